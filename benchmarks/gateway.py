"""What the gateway costs, beside its peers: LiteLLM, Portkey, a bare ASGI proxy, and no gateway.

A gateway runs alone on core 0; the upstream and the load share core 1, so two cores are needed,
and a quiet machine (the noise before each run is in the result). Ours records and encrypts, into a
new workspace each time; the peers record nothing. Needs `scripts/setup bench`.

Parts: throughput (calls a second and latency at 1 and 32 connections), stream (time to first token
and order of 64 streams), specialists (latency of served calls), faults (what a dead or frozen
runtime costs a call), memory (idle), profile (where the time goes).

Run: python benchmarks/gateway.py [--parts throughput,stream,...] [--seconds 8] [--rounds 3]
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gateway_parts.contestants import CONTESTANTS, Contestant
from gateway_parts.load import upstream
from gateway_parts.streams import measure_streams, streaming_upstream
from gateway_parts.summary import medians, rounded, with_added, with_ratios
from gateway_parts.throughput import CONNECTIONS, measure
from record import FOLDER, write_result

Row = dict[str, Any]


def throughput(options: argparse.Namespace) -> list[Row]:
    """Load every gateway in turn, as many rounds as asked."""
    runs = []
    with (
        tempfile.TemporaryDirectory(prefix="slimdown-bench-") as folder,
        upstream(Path(folder)) as (_, port),
    ):
        for contestant in options.rounds * chosen(options.gateways):
            runs.append(measure(contestant, port, options.seconds))
            print(json.dumps(rounded(runs[-1])), flush=True)
    rows = with_added(medians(runs), [f"{p}_ms_{c}" for p in ("p50", "p99") for c in CONNECTIONS])
    return with_ratios(rows, [f"calls_per_s_{c}" for c in CONNECTIONS])


def stream(options: argparse.Namespace) -> list[Row]:
    """Stream through every gateway in turn, as many rounds as asked."""
    runs = []
    with (
        tempfile.TemporaryDirectory(prefix="slimdown-bench-") as folder,
        streaming_upstream(Path(folder)) as port,
    ):
        for contestant in options.rounds * chosen(options.gateways):
            runs.append(measure_streams(contestant, port, options.seconds))
            print(json.dumps(rounded(runs[-1])), flush=True)
    return with_added(medians(runs), ("first_token_p50_ms", "first_token_p99_ms", "transit_p50_ms"))


def chosen(names: Sequence[str]) -> list[Contestant]:
    """Return the gateways that were asked for and are installed; tell which are not."""
    found = []
    for contestant in CONTESTANTS:
        if names and contestant.name.lower() not in names:
            continue
        if contestant.needs.exists():
            found.append(contestant)
        else:
            print(f"{contestant.name}: not installed; run `scripts/setup bench`")
    return found


PARTS: dict[str, Callable[[argparse.Namespace], list[Row]]] = {
    "throughput": throughput,
    "stream": stream,
}


def main(options: argparse.Namespace) -> None:
    """Measure the parts asked for; keep the last result's rows of the others."""
    load_before = round(os.getloadavg()[0], 2)
    fresh = {name: PARTS[name](options) for name in options.parts}
    kept = [row for row in previous() if row["part"] not in fresh]
    rows = kept + [{"part": n, **rounded(row)} for n, found in fresh.items() for row in found]
    extra = {"load_1m_before": load_before, "seconds": options.seconds, "rounds": options.rounds}
    print(json.dumps({"written": write_result("gateway", rows, extra).name}))


def previous() -> list[Row]:
    """Return the rows of the last result, each with the date and commit it was measured at."""
    path = FOLDER / "gateway.json"
    if not path.exists():
        return []
    last = json.loads(path.read_text("utf-8"))
    return [{"date": last["date"], "commit": last["commit"], **row} for row in last["rows"]]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", type=lambda text: text.split(","), default=list(PARTS))
    parser.add_argument("--gateways", type=lambda text: text.lower().split(","), default=[])
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--rounds", type=int, default=3)
    main(parser.parse_args())
