"""Which inputs are (nearly) the same: groups by exact words, and by MinHash where texts are long.

Short texts are grouped only if their words are equal: one word changes the meaning of a question
of ten. From `LONG_WORDS` on, texts whose sets of three-word shingles overlap by `OVERLAP` of
their union (Jaccard) are near-duplicates: Broder 1997, "On the resemblance and containment of
documents", with banded signatures to find the candidates in near-linear time (Leskovec,
Rajaraman, Ullman, "Mining of Massive Datasets", 3.4). Groups are transitive. Does not know what a
text is for: constant prompt text must be left out by the caller, else all is near-duplicate.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

LONG_WORDS = 20
"""Words from which a text is compared by overlap rather than by equality."""

OVERLAP = 0.8
"""Jaccard similarity of shingles from which two long texts are near-duplicates."""

SHINGLE_WORDS = 3
N_HASHES = 128
_BAND_ROWS = 8  # 16 bands of 8: a pair at .8 becomes a candidate with chance .95, at .5 with .06
_BLOCK = 4096  # shingles hashed at a time: 4 MB, whatever the length of the text

# A letter of a script written without blanks counts as a word of its own.
_WORDS = re.compile(
    r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\W\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+"
)

_STEP = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio, as SplitMix64 counts

Signature = npt.NDArray[np.uint32]
"""Shape (N_HASHES,): the least hash of a text's shingles under each of the hash functions."""


def _mix(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Scramble 64-bit values (the finaliser of SplitMix64, Steele et al. 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


# Multiply-add hash functions, from our own mixer: a library's random stream may change with it.
_SEEDS = _mix(np.arange(2 * N_HASHES, dtype=np.uint64) * _STEP)
_FACTORS, _OFFSETS = _SEEDS[:N_HASHES] | np.uint64(1), _SEEDS[N_HASHES:]


class Groups:
    """Collects texts one by one, keeping 16 bytes of each (and 512 more of a distinct long one)."""

    def __init__(self) -> None:
        """Start with no texts."""
        self._digests: list[bytes] = []
        self._signatures: dict[bytes, Signature] = {}

    def add(self, text: str) -> None:
        """Take the next text."""
        words = words_of(text)
        digest = _digest(words, text)
        self._digests.append(digest)
        if len(words) >= LONG_WORDS and digest not in self._signatures:
            self._signatures[digest] = signature(words)

    def ids(self) -> list[str]:
        """Return the group of each text, in the order they came; the same whatever that order."""
        names = sorted(self._signatures)
        roots = _linked([self._signatures[name] for name in names])
        group = {name: names[root] for name, root in zip(names, roots, strict=True)}
        return [group.get(digest, digest).hex() for digest in self._digests]


def group_ids(texts: Iterable[str]) -> list[str]:
    """Return the near-duplicate group of each text: 32 hexadecimal digits, equal within a group."""
    groups = Groups()
    for text in texts:
        groups.add(text)
    return groups.ids()


def words_of(text: str) -> list[str]:
    """Return a text's words without case and punctuation."""
    return _WORDS.findall(text.casefold())


def signature(words: list[str]) -> Signature:
    """Return the MinHash signature of the shingles of ``words`` (at least `SHINGLE_WORDS`)."""
    shingles = _shingles(words)
    least = np.full(N_HASHES, np.iinfo(np.uint32).max, dtype=np.uint32)
    for start in range(0, len(shingles), _BLOCK):
        block = shingles[start : start + _BLOCK, None] * _FACTORS + _OFFSETS
        hashes = (block >> np.uint64(32)).astype(np.uint32)
        least = np.minimum(least, hashes.min(axis=0))
    return least


def similarity(a: Signature, b: Signature) -> float:
    """Estimate the Jaccard similarity of two texts; standard error at most .045."""
    return float(np.mean(a == b))


def _digest(words: list[str], text: str) -> bytes:
    normal = " ".join(words) or text.strip()
    return hashlib.sha256(normal.encode("utf-8", "surrogatepass")).digest()[:16]


def _shingles(words: list[str]) -> npt.NDArray[np.uint64]:
    """Return the distinct 64-bit hashes of all runs of `SHINGLE_WORDS` words."""
    hashes = np.array([zlib.crc32(w.encode("utf-8", "surrogatepass")) for w in words], np.uint64)
    n = len(hashes) - SHINGLE_WORDS + 1
    mixed = np.zeros(n, dtype=np.uint64)
    for offset in range(SHINGLE_WORDS):
        mixed = _mix(mixed + hashes[offset : offset + n] + _STEP)
    return np.unique(mixed)


def _linked(signatures: list[Signature]) -> list[int]:
    """Return for each signature the least row of its group."""
    parents = list(range(len(signatures)))
    if not signatures:
        return parents
    table = np.stack(signatures)
    for band in range(0, N_HASHES, _BAND_ROWS):
        for a, b in _candidates(table[:, band : band + _BAND_ROWS]):
            root_a, root_b = _root(parents, a), _root(parents, b)
            if root_a != root_b and similarity(table[a], table[b]) >= OVERLAP:
                parents[max(root_a, root_b)] = min(root_a, root_b)
    return [_root(parents, row) for row in range(len(parents))]


def _candidates(band: npt.NDArray[np.uint32]) -> list[tuple[int, int]]:
    """Pair each row with the one before it among those whose band is equal."""
    keys = np.zeros(len(band), dtype=np.uint64)
    for column in band.T:
        keys = _mix(keys + column.astype(np.uint64) + _STEP)
    order = np.argsort(keys, kind="stable")
    same = np.flatnonzero(keys[order][1:] == keys[order][:-1])
    return [(int(order[i]), int(order[i + 1])) for i in same]


def _root(parents: list[int], row: int) -> int:
    while parents[row] != row:
        parents[row] = parents[parents[row]]  # halve the path, so that it stays short
        row = parents[row]
    return row
