"""Ten minutes of everything against the gateway: memory and open files must stay flat.

The load mixes plain calls, streams, calls that a specialist answers, callers who hang up, and an
upstream that errs, breaks off or stalls; connections come and go, and the route changes every
half minute. The gateway's waits are a second or two instead of minutes. What the gateway keeps in
memory on purpose is bounded, but fills slowly, so a minute of plain calls as fast as they go comes
before. Fails (exit code 1) where memory or open files of gateway or runtime grow by more than a
tenth after the first fifth of the time, a call ends as none should, or one that was answered is
not in the store.

Run: python benchmarks/soak.py [--minutes 10] [--fill-seconds 60] [--trained FOLDER]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from gateway_parts.contestants import Place
from gateway_parts.growth import growth, slope_per_minute, warmed_up
from gateway_parts.line import timed
from gateway_parts.load import run_wrk
from gateway_parts.mixed_load import Seen, load
from gateway_parts.processes import Running
from gateway_parts.specialists import served
from gateway_parts.streams import streaming_upstream
from gateway_parts.summary import rounded
from gateway_parts.training import RECIPES, Trained, slimdown, tasks, trained
from record import write_result
from slimdown.store import Store

SHORT_TIMERS = {
    "SLIMDOWN_GATEWAY__CONNECT_TIMEOUT_S": "1",
    "SLIMDOWN_GATEWAY__FIRST_BYTE_TIMEOUT_S": "2",
    "SLIMDOWN_GATEWAY__IDLE_TIMEOUT_S": "2",
    "SLIMDOWN_GATEWAY__CLIENT_TIMEOUT_S": "2",
    "SLIMDOWN_GATEWAY__LONGEST_S": "30",
}
MOST_GROWTH = 0.1
WATCHED = ("gateway_mb", "runtime_mb", "gateway_files", "runtime_files")
_ROUTE_CHANGES_EVERY_S = 30.0


def main(options: argparse.Namespace) -> int:
    """Soak, write ``soak.json``, and say what grew."""
    with tempfile.TemporaryDirectory(prefix="slimdown-soak-") as folder:
        made = trained(RECIPES[0], Path(options.trained or folder))
        made = replace(made, environ={**made.environ, **SHORT_TIMERS})
        samples, seen, kept = soaked(made, Path(folder), options)
    steady = warmed_up(samples)
    found = {key: growth(steady, key) for key in WATCHED}
    summary = {
        "minutes": options.minutes,
        "fill_seconds": options.fill_seconds,
        "growth": rounded(found),
        "slope_per_minute": rounded({key: slope_per_minute(steady, key) for key in WATCHED}),
        "wal_mb_most": max(sample["wal_mb"] for sample in samples),
        "ended": dict(sorted(seen.ended.items())),
        "unexpected": dict(seen.unexpected),
        **kept,
    }
    print(json.dumps(summary, indent=1))
    write_result("soak", [rounded(sample) for sample in samples[::5]], summary)
    grew = [key for key, share in found.items() if share > MOST_GROWTH]
    for key in grew:
        print(f"{key} grew by {found[key]:.0%} after the warm-up")
    return int(bool(grew or seen.unexpected or kept["n_lost"]))


def soaked(
    made: Trained, folder: Path, options: argparse.Namespace
) -> tuple[list[dict[str, Any]], Seen, dict[str, int]]:
    """Load for so long; return the samples, how calls ended, and whether they were stored."""
    samples: list[dict[str, Any]] = []
    seen = Seen()
    n_before = stored(made)
    with streaming_upstream(folder) as port, served(made, port) as (place, started, specialists):
        fill = run_wrk(place.port, {}, 32, options.fill_seconds)
        seen.ended["fill 200 whole"] = fill.n_calls - fill.n_errors
        begun = time.monotonic()

        def sample() -> None:
            at_s = time.monotonic() - begun
            samples.append({"at_s": at_s, **sampled(place, started, specialists)})
            samples[-1]["n_calls"] = seen.ended.total()

        with changing_routes(made):
            timed(load(place.port, options.minutes * 60, made.unseen, seen, sample))
    n_stored = stored(made) - n_before
    lost = max(0, seen.n_answered - n_stored)
    return samples, seen, {"n_answered": seen.n_answered, "n_stored": n_stored, "n_lost": lost}


def sampled(place: Place, started: Running, specialists: Running) -> dict[str, Any]:
    """Return memory, open files, and the size of the store."""
    database = place.folder / "workspace" / "slimdown.db"
    wal = database.with_name(database.name + "-wal")
    return {
        "gateway_mb": started.resident_mb(),
        "runtime_mb": specialists.resident_mb(),
        "gateway_files": started.n_files(),
        "runtime_files": specialists.n_files(),
        "database_mb": database.stat().st_size / 1e6,
        "wal_mb": wal.stat().st_size / 1e6 if wal.exists() else 0.0,
    }


@contextmanager
def changing_routes(made: Trained) -> Iterator[None]:
    """Let the specialist serve half of the sessions, then all, in turn, while the block lasts."""
    over = threading.Event()
    thread = threading.Thread(target=_change_routes, args=(made, tasks(made)[0], over))
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _change_routes(made: Trained, task: str, over: threading.Event) -> None:
    stages: Sequence[Sequence[str]] = (("canary", "--share", "50%"), ("live",))
    n_changes = 0
    while not over.wait(_ROUTE_CHANGES_EVERY_S):
        slimdown(made, "promote", task, "--stage", *stages[n_changes % 2])
        n_changes += 1


def stored(made: Trained) -> int:
    """Return how many calls the workspace holds."""
    with Store.open(made.folder / "workspace", made.environ, write=False) as store:
        return store.count()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--fill-seconds", type=float, default=60.0)
    parser.add_argument("--trained")
    sys.exit(main(parser.parse_args()))
