"""From a file to its lines, whatever it was compressed with, without ever holding much of it.

Compression is told by a file's first bytes, not its name. Knows nothing of JSON or of formats.
"""

from __future__ import annotations

import gzip
import io
import itertools
import re
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import msgspec
import zstandard

from slimdown.errors import ImportProblem

MAX_LINE_BYTES = 32 << 20
"""A longer line is passed over, read in pieces and counted."""

MAX_DOCUMENT_BYTES = 256 << 20
"""A JSON document, which is read whole, may be this large."""

KEPT_BYTES = 1 << 20
"""How much of a line that cannot be used is handed on."""

_PIECE_BYTES = 1 << 18
_ZSTD_SLICE_BYTES = 1 << 10  # a hostile kibibyte of zstd unpacks to at most some 32 MiB
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_SKIPPABLE = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18")  # RFC 8878, 3.1.2: pzstd begins with one
_UTF16 = "UTF-16 text, not UTF-8. Convert it first: iconv -f UTF-16 -t UTF-8."
_OTHER_KINDS = (
    (b"\xff\xfe", _UTF16),
    (b"\xfe\xff", _UTF16),
    (b"PK\x03\x04", "a zip archive. Unpack it first and import the files in it."),
    (b"PAR1", "a Parquet file. Convert it to lines of JSON first."),
    (b"SQLite", "an SQLite database. Export its rows as lines of JSON first."),
    (b"\xfd7zXZ", "compressed with xz. Unpack it first, or use gzip or zstd."),
    (b"BZh", "compressed with bzip2. Unpack it first, or use gzip or zstd."),
    (b"%PDF", "a PDF document."),
)
_UTF8_MARK = b"\xef\xbb\xbf"
_BROKEN_STREAM = (EOFError, gzip.BadGzipFile, zlib.error, zstandard.ZstdError)


class Line(msgspec.Struct, frozen=True):
    """A line without its line break: its number from 1, its size, and why it cannot be used.

    ``data`` is all of it, or the first mebibyte of one that has a ``fault``.
    """

    number: int
    data: bytes
    n_bytes: int
    fault: str = ""


class Source:
    """A log file, or standard input for ``-``, read once from its start to its end."""

    def __init__(self, path: Path) -> None:
        """Open ``path``; raises `ImportProblem` if it cannot be opened."""
        self.path = path
        self._raw = _opened(path)
        self._size = path.stat().st_size if path.is_file() else 0

    @property
    def share(self) -> float:
        """How much of the file is read, 0..1; 0 throughout where its size is not known."""
        if not self._size or self._raw.closed:
            return 1.0 if self._raw.closed else 0.0
        return min(1.0, self._raw.tell() / self._size)

    def lines(self) -> Iterator[Line]:
        """Yield the lines, blank ones left out.

        A stream that breaks off yields what was whole, then one line with the fault. Raises
        `ImportProblem` for UTF-16 text.
        """
        with self._raw:
            stream = _decompressed(self._raw)
            for number in itertools.count(1):
                try:
                    if number == 1:
                        _check_text(stream, self.path)
                    line = _line(stream, number)
                except _BROKEN_STREAM as error:
                    yield Line(number, b"", 0, f"the compressed file breaks off here ({error})")
                    return
                if line is None:
                    return
                if line.data.strip():
                    yield line


def _opened(path: Path) -> io.BufferedReader:
    try:
        source = sys.stdin.buffer if str(path) == "-" else path.open("rb")
    except OSError as error:
        raise ImportProblem(
            f"{path} cannot be opened ({error.strerror}). Nothing of it was stored."
        ) from error
    return cast("io.BufferedReader", source)


def _decompressed(raw: io.BufferedReader) -> io.BufferedReader:
    start = raw.peek(4)
    if start.startswith(_GZIP):
        return cast("io.BufferedReader", gzip.GzipFile(fileobj=raw))
    if start.startswith(_ZSTD) or _SKIPPABLE.match(start):
        return io.BufferedReader(_ZstdStream(raw), _PIECE_BYTES)
    return raw


class _ZstdStream(io.RawIOBase):
    """A zstd file, decompressed; unlike the library's reader it tells a file that breaks off."""

    def __init__(self, raw: io.BufferedReader) -> None:
        """Read frame after frame from ``raw`` until it ends."""
        self._raw = raw
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._inside = False
        self._broken: zstandard.ZstdError | None = None
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        """Return True, as `io.BufferedReader` asks."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill ``buffer``; 0 at the end.

        Raises `EOFError` if the last frame is cut short, and `ZstdError` where one is broken.
        """
        while not self._ready:
            if self._broken is not None:
                raise self._broken
            packed = self._raw.read(_ZSTD_SLICE_BYTES)
            if not packed:
                if self._inside:
                    raise EOFError("zstd frame cut short")
                return 0
            self._ready = memoryview(self._decompress(packed))
        n_bytes = min(len(buffer), len(self._ready))
        buffer[:n_bytes] = self._ready[:n_bytes]
        self._ready = self._ready[n_bytes:]
        return n_bytes

    def _decompress(self, packed: bytes) -> bytes:
        pieces = []
        while packed:
            try:
                pieces.append(self._frame.decompress(packed))
            except zstandard.ZstdError as error:  # told once what came before it is handed on
                self._broken = error
                break
            self._inside = not self._frame.eof
            packed = b""
            if self._frame.eof:
                packed = self._frame.unused_data
                self._frame = zstandard.ZstdDecompressor().decompressobj()
        return b"".join(pieces)


def _check_text(stream: io.BufferedReader, path: Path) -> None:
    """Raise `ImportProblem` for a kind of file that can be named and holds no lines of JSON."""
    start = stream.peek(6)[:6]
    kind = next((kind for mark, kind in _OTHER_KINDS if start.startswith(mark)), None)
    if kind is None and len(start) >= 4 and 0 in (start[0], start[1]):
        kind = _UTF16
    if kind is not None:
        raise ImportProblem(f"{path} is {kind} Nothing of it was stored.")
    if start.startswith(_UTF8_MARK):
        stream.read(len(_UTF8_MARK))


def _line(stream: io.BufferedReader, number: int) -> Line | None:
    document = number == 1 and stream.peek(1)[:1] == b"["
    most = MAX_DOCUMENT_BYTES if document else MAX_LINE_BYTES
    data = stream.readline(most + 1)
    if not data:
        return None
    if len(data) <= most or data.endswith(b"\n"):
        return Line(number, data, len(data))
    start, n_bytes = data[:KEPT_BYTES], len(data)
    while data and not data.endswith(b"\n"):
        data = stream.readline(_PIECE_BYTES)
        n_bytes += len(data)
    fault = f"a line of {n_bytes} bytes; the longest that is read is {most}"
    return Line(number, start, n_bytes, fault)
