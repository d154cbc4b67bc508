"""Compression of a text against an earlier one that starts alike, as prompts of one template do.

A text that starts like an earlier one is compressed with that one as its dictionary (zstd, RFC
8878, raw content), so the template costs nothing again. A text is either a base or leans on a
base, never on another that leans. Knows nothing of keys or databases.
"""

from __future__ import annotations

import msgspec
import zstandard

_LEVEL = 3
_SHORTEST = 200  # bytes; below it there is no template worth the look-up
_LONGEST = 1 << 20
_START = slice(32, 96)  # past the keys, the role and the length, which come before the words
_LEANING = 256  # texts on one base: a base that is lost takes them along, so it is renewed
_BASES = 128  # bases kept in memory


class _Base(msgspec.Struct):
    number: int
    compressor: zstandard.ZstdCompressor
    n_leaning: int = 0


class Leaning(msgspec.Struct, frozen=True):
    """A text compressed against the part with the number ``base``."""

    base: int
    packed: bytes


class Templates:
    """The latest base for each way that texts start."""

    def __init__(self) -> None:
        """Start without any base."""
        self._bases: dict[bytes, _Base] = {}

    def forget(self) -> None:
        """Drop all bases; to be called when a transaction is rolled back."""
        self._bases.clear()

    def lean(self, data: bytes) -> Leaning | None:
        """Return a text compressed against its base, or None if it has none."""
        base = self._bases.get(data[_START]) if _SHORTEST <= len(data) <= _LONGEST else None
        if base is None or base.n_leaning >= _LEANING:
            return None
        base.n_leaning += 1
        return Leaning(base.number, base.compressor.compress(data))

    def add(self, number: int, data: bytes) -> None:
        """Take a stored text as base for those that start alike and come after it."""
        if not _SHORTEST <= len(data) <= _LONGEST:
            return
        if len(self._bases) >= _BASES:
            del self._bases[next(iter(self._bases))]
        compressor = zstandard.ZstdCompressor(level=_LEVEL, dict_data=_dictionary(data))
        self._bases[data[_START]] = _Base(number, compressor)


def stand(packed: bytes, base: bytes) -> bytes:
    """Return the text that was compressed against ``base``; raises `zstandard.ZstdError`."""
    return zstandard.ZstdDecompressor(dict_data=_dictionary(base)).decompress(packed)


def _dictionary(data: bytes) -> zstandard.ZstdCompressionDict:
    return zstandard.ZstdCompressionDict(data, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
