"""From logs on disk to calls in the store; what cannot be read is kept aside, never in the way.

Rejected lines hold text of prompts, so their bytes are sealed in the rejects file like all else.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from slimdown.canonical import bytes_id
from slimdown.capture import Reject, read_logs
from slimdown.errors import StoreError, UsageError
from slimdown.seal import Sealer
from slimdown.seams import Progress
from slimdown.store import Store

KEPT_BYTES = 1 << 20
"""Of a rejected line this much is kept; the log itself still has the rest, at its line number."""


class RejectedLine(msgspec.Struct, frozen=True):
    """One line of the rejects file; ``sealed`` is its sealed start, in base64."""

    source: str
    line: int
    reason: str
    n_bytes: int
    sealed: str


class ImportReport(msgspec.Struct, frozen=True, kw_only=True):
    """What an import did: new calls, calls that were there already, and lines it could not read.

    ``first_rejects`` names at most twenty of the rejected lines; ``rejects_file`` holds them all.
    """

    n_files: int
    n_new: int
    n_known: int
    n_rejected: int
    first_rejects: tuple[RejectedLine, ...] = ()
    rejects_file: str | None = None


class Rejects:
    """Collects rejected lines into a sealed JSON-lines file, one per imported source."""

    def __init__(self, folder: Path, sealer: Sealer) -> None:
        """Keep rejects under ``folder``, made on the first one."""
        self.folder = folder
        self.n_rejected = 0
        self.first: list[RejectedLine] = []
        self._sealer = sealer
        self._begun: set[Path] = set()

    def __call__(self, reject: Reject) -> None:
        """Keep one rejected line; a source imported again begins its file anew."""
        path = self.path(reject.source)
        sealed = self._sealer.seal(reject.raw[:KEPT_BYTES], _about(reject.line))
        text = base64.b64encode(sealed).decode("ascii")
        row = RejectedLine(reject.source, reject.line, reject.reason, reject.n_bytes, text)
        mode = os.O_APPEND if path in self._begun else os.O_TRUNC
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | mode, 0o600), "ab") as file:
            file.write(msgspec.json.encode(row) + b"\n")
        self._begun.add(path)
        self.n_rejected += 1
        if len(self.first) < 20:
            self.first.append(row)

    def settle(self, paths: Sequence[Path]) -> None:
        """Forget the old rejects of logs that were read again, to the end, and now have none."""
        for log in (each for path in paths for each in (path, *path.rglob("*"))):
            kept = self.path(str(log))
            if kept not in self._begun:
                kept.unlink(missing_ok=True)

    def path(self, source: str) -> Path:
        """Return the rejects file of one source."""
        return self.folder / f"{bytes_id(source.encode())}.jsonl"


def read_rejects(folder: Path, sealer: Sealer) -> Iterator[tuple[RejectedLine, bytes]]:
    """Yield each rejected line with the bytes that were kept of it.

    Raises `StoreError` for a file that is damaged, `SealBroken` for a line that does not open.
    """
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_bytes().splitlines():
            row, sealed = _row(line, path)
            yield row, sealer.open(sealed, _about(row.line))


def _row(line: bytes, path: Path) -> tuple[RejectedLine, bytes]:
    try:
        row = msgspec.json.decode(line, type=RejectedLine)
        return row, base64.b64decode(row.sealed, validate=True)
    except ValueError as error:
        raise StoreError(
            f"{path} is damaged ({error}); the calls of the workspace are not concerned. Delete "
            "it, and import the log again to have its rejected lines listed anew."
        ) from error


def import_logs(
    store: Store, rejects: Rejects, paths: Sequence[Path], *, log_format: str, progress: Progress
) -> ImportReport:
    """Add the calls of every log; raises `ImportProblem` or `UsageError` if a path is no log."""
    for path in paths:
        if str(path) != "-" and not path.exists():
            raise UsageError(f"{path} does not exist; nothing was imported.")
    calls = read_logs(paths, format=log_format, rejects=rejects, progress=progress)
    added = store.add(calls)
    rejects.settle(paths)
    return ImportReport(
        n_files=len(paths),
        n_new=added.n_new,
        n_known=added.n_known,
        n_rejected=rejects.n_rejected,
        first_rejects=tuple(rejects.first),
        rejects_file=str(rejects.folder) if rejects.n_rejected else None,
    )


def _about(line: int) -> str:
    return f"reject/1/{line}"
