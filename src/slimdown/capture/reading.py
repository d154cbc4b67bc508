"""Reads a file, a folder or standard input as calls; what cannot be used is told, never dropped.

The format is told by each record, so a file may mix them and a bad line spoils only itself.
Knows where records come from, not what is in them (`formats`).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from slimdown.capture import formats
from slimdown.capture.batch import BatchJoin
from slimdown.capture.draft import Found, Numbering, Unusable
from slimdown.capture.records import Record, records
from slimdown.capture.source import KEPT_BYTES, Source
from slimdown.errors import ImportProblem, UsageError
from slimdown.seams import Progress
from slimdown.types import Call

FORMATS = ("auto", *formats.NAMES)
"""What ``format`` may be."""

_TRIED = 50  # records without a known one among them, after which a file is given up
_TOLD_EVERY = 256


class Reject(msgspec.Struct, frozen=True):
    """Something in a log that is not a call, or cannot be read.

    ``line`` counts from 1 (records of a document count as lines; 0 is the file itself). ``raw`` is
    the line's bytes, at most the first mebibyte of its ``n_bytes``.
    """

    source: str
    line: int
    reason: str
    raw: bytes
    n_bytes: int


Rejects = Callable[[Reject], None]
"""Told each reject, as the log is read."""


def read_log(
    path: Path,
    *,
    format: str = "auto",
    rejects: Rejects | None = None,
    progress: Progress | None = None,
) -> Iterator[Call]:
    """Yield the calls of a file, of the files in a folder, or of standard input for ``-``.

    Raises `ImportProblem` for a file that cannot be opened or in which nothing is known, and
    `UsageError` for an unknown ``format``.
    """
    yield from read_logs([path], format=format, rejects=rejects, progress=progress)


def read_logs(
    paths: Sequence[Path],
    *,
    format: str = "auto",
    rejects: Rejects | None = None,
    progress: Progress | None = None,
) -> Iterator[Call]:
    """Yield the calls of several files that belong together, such as a batch's two halves.

    As `read_log`, for each path in turn; halves of batch calls are joined across all of them.
    """
    if format not in FORMATS:
        raise UsageError(f"no log format {format!r}. Known: {', '.join(FORMATS)}.")
    reader = _Reader(format, rejects or _ignore, progress or _ignore_progress)
    for path in paths:
        yield from reader.folder(path) if path.is_dir() else reader.file(path)
    reader.finish()


def sniff(path: Path) -> str:
    """Return the format of a file's first known record; raises `ImportProblem` if it has none."""
    tried: list[str] = []
    for record in itertools.islice(records(Source(path)), _TRIED):
        form = formats.format_of(record.value)
        if form is not None:
            return form.name
        tried.append(_why_unknown(record))
    raise ImportProblem(_nothing_known(path, tried))


class _Reader:
    """Reads files one after the other, joining batch halves across them."""

    def __init__(self, only: str, rejects: Rejects, progress: Progress) -> None:
        self._only = only
        self._rejects = rejects
        self._progress = progress
        self._join = BatchJoin()

    def folder(self, path: Path) -> Iterator[Call]:
        """Yield the calls of all files below a folder; a file of another kind is a reject.

        Raises `ImportProblem` if there is no file of a known format.
        """
        known = False
        for file in sorted(file for file in path.rglob("*") if file.is_file()):
            try:
                yield from self.file(file)
                known = True
            except ImportProblem as error:
                self._rejects(Reject(str(file), 0, str(error), b"", 0))
        if not known:
            raise ImportProblem(
                f"no file in {path} is a log that slimdown knows how to read. Nothing was stored. "
                f"Known formats: {', '.join(formats.NAMES)} (see docs/formats.md)."
            )

    def file(self, path: Path) -> Iterator[Call]:
        """Yield the calls of one file; raises `ImportProblem` if nothing in it is known."""
        source, numbering = Source(path), Numbering()
        unknown: list[Reject] | None = []  # None once a known record was seen
        for number, record in enumerate(records(source)):
            if number % _TOLD_EVERY == 0:
                self._progress(source.share, f"reading {path.name}")
            form = None if record.fault else formats.format_of(record.value, self._only)
            if form is None:
                self._unknown(_reject(path, record, _why_unknown(record)), unknown, path)
                continue
            for reject in unknown or ():
                self._rejects(reject)
            unknown = None
            yield from self._calls(path, record, form, numbering)
        self._progress(1.0, f"reading {path.name}")
        if unknown:
            raise ImportProblem(_nothing_known(path, [reject.reason for reject in unknown]))
        if unknown is not None:
            self._rejects(Reject(str(path), 0, "the file is empty", b"", 0))

    def finish(self) -> None:
        """Tell the batch halves whose other half never came."""
        for half, raw, reason in self._join.unmatched():
            self._rejects(Reject(half.source, half.line, reason, raw[:KEPT_BYTES], len(raw)))

    def _unknown(self, reject: Reject, held: list[Reject] | None, path: Path) -> None:
        if held is None:
            self._rejects(reject)
            return
        held.append(reject)
        if len(held) >= _TRIED:
            raise ImportProblem(_nothing_known(path, [each.reason for each in held]))

    def _calls(
        self, path: Path, record: Record, form: formats.Format, numbering: Numbering
    ) -> Iterator[Call]:
        try:
            for found in self._found(path, record, form):
                if isinstance(found, Unusable):
                    self._rejects(_reject(path, record, str(found)))
                else:
                    yield numbering.call(found)
        except Unusable as error:
            self._rejects(_reject(path, record, str(error)))
        except RecursionError:
            self._rejects(_reject(path, record, "JSON nested too deeply"))

    def _found(self, path: Path, record: Record, form: formats.Format) -> Found:
        if form.name != formats.BATCH:
            yield from form.drafts(record.value)
            return
        draft = self._join.draft(record.value, str(path), record.number)
        if draft is not None:
            yield draft


def _reject(path: Path, record: Record, reason: str) -> Reject:
    # Only a part of a document has no line of its own; where a stream breaks off there is nothing.
    raw = record.raw if record.fault or record.raw else msgspec.json.encode(record.value)
    return Reject(str(path), record.number, reason, raw[:KEPT_BYTES], max(record.n_bytes, len(raw)))


def _why_unknown(record: Record) -> str:
    return record.fault or f"no known format: {formats.describe(record.value)}"


def _nothing_known(path: Path, reasons: Sequence[str]) -> str:
    seen = "; ".join(list(dict.fromkeys(reasons))[:3]) or "the file is empty"
    return (
        f"{path} holds no calls that slimdown knows how to read. Nothing of it was stored. "
        f"Seen: {seen}. Known formats: {', '.join(formats.NAMES)} (see docs/formats.md)."
    )


def _ignore(_: Reject) -> None:
    pass


def _ignore_progress(_: float, __: str) -> None:
    pass
