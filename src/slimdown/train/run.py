"""Runs a rung's training in a process of its own, so that its end cannot be ours.

The dataset and the key go to the child through its standard input, never to disk or into its
arguments; progress comes back as JSON lines. The child writes the manifest last, so a folder with
one is whole and is returned at once, and a folder without one is gone on with. It does not know
what a rung does, nor where the calls are kept.
"""

from __future__ import annotations

import collections
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import msgspec

from slimdown.artefact import Artefact
from slimdown.canonical import content_id
from slimdown.errors import TrainingFailed
from slimdown.resolve import resolve
from slimdown.seams import Progress, Specialist
from slimdown.train.job import Job, Report
from slimdown.types import Dataset, DevPrediction, Manifest

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_NAMES = {known.value: known.name for known in signal.Signals}
_LAST_WORDS = 5
_LINE_CHARS = 200
_GRACE_S = 5.0


def train(
    rung: str,
    dataset: Dataset,
    artefact: Artefact,
    *,
    key: bytes,
    progress: Progress,
    dataset_id: str,
    threads: int | None = None,
) -> Manifest:
    """Train ``rung`` on a dataset into ``artefact``, or go on where an earlier run was stopped.

    ``key`` is the key of the artefact's sealer; ``threads`` limits the child's, None for no limit.
    Returns the manifest, at once if the folder is already whole. Raises `TrainingFailed` if the
    child fails or dies or if the folder belongs to other inputs, `ArtefactIncomplete` if a whole
    folder was altered.
    """
    resolve("rungs", rung)
    wanted = specialist_id(rung, dataset.task_id, dataset_id)
    if artefact.manifest() is not None:
        return _already_trained(artefact, wanted)
    job = Job(
        rung=rung,
        path=str(artefact.path),
        key=key,
        # What decides about a specialist never reaches the process that makes it.
        dataset=msgspec.structs.replace(dataset, calibration=(), dropped=()),
        dataset_id=dataset_id,
        specialist_id=wanted,
    )
    _run(job, progress, threads)
    return artefact.verify()


def specialist_id(rung: str, task_id: str, dataset_id: str) -> str:
    """Return the id of the specialist that a rung makes of a dataset: a hash of these inputs."""
    return content_id({"rung": rung, "task": task_id, "dataset": dataset_id})


def load_specialist(artefact: Artefact) -> Specialist:
    """Return a trained specialist, ready to answer; raises `ArtefactIncomplete` if not whole."""
    manifest = artefact.verify()
    specialist: Specialist = resolve("rungs", manifest.rung)().load(artefact)
    return specialist


def dev_predictions(artefact: Artefact) -> tuple[DevPrediction, ...]:
    """Return the predictions that training left for examples its models were not fitted on."""
    return msgspec.convert(artefact.read_json("dev"), tuple[DevPrediction, ...])


def _already_trained(artefact: Artefact, wanted: str) -> Manifest:
    manifest = artefact.verify()
    if manifest.id != wanted:
        raise TrainingFailed(
            f"{artefact.path} holds the specialist {manifest.id} ({manifest.rung}), trained on "
            "other examples. It was left as it is. Train into another folder, or delete this one."
        )
    return manifest


def _run(job: Job, progress: Progress, threads: int | None) -> None:
    with _child(threads) as child:
        last_words = _drain(child.stderr)
        failure = _converse(child, job, progress)
        code = child.wait()
    if failure is not None or code != 0:
        cause = failure or _cause(code, last_words())
        raise TrainingFailed(
            f"training {job.rung} for task {job.dataset.task_id} stopped: {cause}. The calls and "
            f"the checkpoints in {job.path} are kept; run it again to go on from there."
        )


@contextmanager
def _child(threads: int | None) -> Iterator[subprocess.Popen[bytes]]:
    """Start the child, and leave no child behind, whatever interrupts us."""
    child = subprocess.Popen(
        [sys.executable, "-m", "slimdown.train.job"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # Numerical libraries read their number of threads once, when they are loaded.
        env=os.environ | dict.fromkeys(_THREAD_VARIABLES, str(threads)) if threads else None,
    )
    try:
        yield child
    finally:
        _stop(child)


def _stop(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    for pipe in (child.stdin, child.stdout, child.stderr):
        _close(pipe)


def _close(pipe: IO[bytes] | None) -> None:
    try:
        assert pipe is not None
        pipe.close()
    except BrokenPipeError:
        pass  # the child died with part of its input unread


def _converse(child: subprocess.Popen[bytes], job: Job, progress: Progress) -> str | None:
    """Hand the job over and follow the child to its end; return the failure that it told."""
    assert child.stdin is not None and child.stdout is not None
    message = msgspec.json.encode(job)
    try:
        child.stdin.write(b"%d\n" % len(message) + message)
        child.stdin.flush()
    except BrokenPipeError:
        return None  # it died before it read the job: its exit code says why
    # Standard input stays open until the end: to the child its closing means that we are gone.
    failure = None
    for line in child.stdout:
        report = msgspec.json.decode(line, type=Report)
        if report.failure is not None:
            failure = report.failure
        else:
            progress(report.share, report.note)
    return failure


class _LastWords:
    """The last lines of a stream, read in a thread so that a chatty child never blocks."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._lines: collections.deque[bytes] = collections.deque(maxlen=_LAST_WORDS)
        self._thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._thread.start()

    def _read(self, stream: IO[bytes]) -> None:
        self._lines.extend(stream)

    def __call__(self) -> list[str]:
        self._thread.join(_GRACE_S)
        return [line.decode("utf-8", "replace").strip()[:_LINE_CHARS] for line in self._lines]


def _drain(stream: IO[bytes] | None) -> _LastWords:
    assert stream is not None
    return _LastWords(stream)


def _cause(code: int, last_words: list[str]) -> str:
    if code >= 0:
        cause = f"its process ended with code {code}"
    else:
        name = _NAMES.get(-code, f"signal {-code}")
        cause = f"its process was killed by {name}"
        if name == "SIGKILL":
            cause += " (as the system does when memory runs out)"
    said = " | ".join(line for line in last_words if line)
    return f"{cause}; it last said: {said}" if said else cause
