"""The training process: reads one job from standard input, trains, writes the manifest last.

Nothing that a library prints can reach the parent's protocol or its error messages: Python's own
streams are closed off, and an unexpected error is told by its type and place, not by its text,
which may quote a prompt. It does not know who waits for the result.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import msgspec

from slimdown.artefact import Artefact
from slimdown.errors import SlimdownError
from slimdown.resolve import resolve
from slimdown.seal import Sealer
from slimdown.types import Dataset, Manifest

_PARENT_GONE = 75
_FRAMES_TOLD = 3


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """All that a training process is told. ``key`` is the key of the artefact's sealer."""

    rung: str
    path: str
    key: bytes
    dataset: Dataset
    dataset_id: str
    specialist_id: str


class Report(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line back to the parent: the share done and a note, or a failure."""

    share: float = 0.0
    note: str = ""
    failure: str | None = None


def work(job: Job, progress: Callable[[float, str], None]) -> Manifest:
    """Train the job's rung and finish its artefact; what the rung raises passes through."""
    started = time.monotonic()
    artefact = Artefact(Path(job.path), Sealer(job.key))
    trained = resolve("rungs", job.rung)().train(job.dataset, artefact, progress)
    artefact.write_json("dev", trained.dev)
    return artefact.finish(
        Manifest(
            id=job.specialist_id,
            rung=job.rung,
            task_id=job.dataset.task_id,
            kind=job.dataset.kind,
            dataset_id=job.dataset_id,
            files={},
            train_seconds=round(time.monotonic() - started, 3),
            n_train=len(job.dataset.train),
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
            facts=trained.facts,
        )
    )


def main() -> int:
    """Serve one job on standard input; return the exit code."""
    faulthandler.enable()
    os.umask(0o077)
    reports = _take_over_stdout()
    job = _read_job(sys.stdin.buffer)
    threading.Thread(target=_die_with_parent, daemon=True).start()

    def tell(report: Report) -> None:
        reports.write(msgspec.json.encode(report) + b"\n")
        reports.flush()

    try:
        work(job, lambda share, note: tell(Report(share=share, note=note)))
    except SlimdownError as error:
        tell(Report(failure=str(error)))
    except Exception as error:  # noqa: BLE001 - whatever a rung raises must reach the user
        tell(Report(failure=_told(error)))
    return 0


def _take_over_stdout() -> BinaryIO:
    """Keep standard output for reports alone, and silence what libraries print and warn."""
    reports = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    # Open until the process ends: there is no moment at which a library may print again.
    sys.stdout = sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    return reports


def _read_job(stream: BinaryIO) -> Job:
    length = int(stream.readline())
    return msgspec.json.decode(stream.read(length), type=Job)


def _die_with_parent() -> None:
    """Wait for the parent's end of the pipe to close: nobody wants the result any more."""
    # Past Python's buffer, whose lock a daemon thread must not hold when the process ends.
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(_PARENT_GONE)


def _told(error: Exception) -> str:
    """Name an error and its place without its text, which may hold words of a prompt."""
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES_TOLD:]
    places = ", ".join(f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in frames)
    return f"{type(error).__name__} at {places}"


if __name__ == "__main__":
    sys.exit(main())
