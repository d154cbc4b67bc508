"""An embedder that needs no model: hashed words and letter groups, projected by random signs.

It tells texts of different wording apart, not of different meaning. Weinberger et al. 2009
(feature hashing); Achlioptas 2003 (random sign projection, here by a second hash).
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

_WORD = re.compile(r"\w+|[^\w\s]")
_LETTERS = 4
_SIGNS = 4
"""Places of the vector that one feature touches: more of them collide less harmfully."""


class HashingEmbedder:
    """Embeds texts as signed counts of their words, word pairs and letter groups."""

    def __init__(self, dims: int = 256) -> None:
        """Make vectors of ``dims`` numbers."""
        self._dims = dims

    @property
    def name(self) -> str:
        """Identifies the features and the length."""
        return f"hashing-1-{self._dims}"

    @property
    def dims(self) -> int:
        """Length of each vector."""
        return self._dims

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return unit vectors, shape (len(texts), dims); an empty text points the first way."""
        vectors = np.zeros((len(texts), self._dims), dtype=np.float32)
        for row, text in enumerate(texts):
            self._add(vectors[row], text.lower())
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors[lengths[:, 0] == 0, 0] = 1
        lengths[lengths == 0] = 1
        vectors /= lengths
        return vectors

    def _add(self, vector: npt.NDArray[np.float32], text: str) -> None:
        codes = np.fromiter((zlib.crc32(f.encode()) for f in _features(text)), dtype=np.uint64)
        if not len(codes):
            return
        distinct, counts = np.unique(codes, return_counts=True)
        weights = np.log1p(counts)
        for turn in range(_SIGNS):
            mixed = (distinct + np.uint64(turn)) * np.uint64(0x9E3779B97F4A7C15)
            places = (mixed >> np.uint64(33)) % np.uint64(self._dims)
            signs = np.where((mixed >> np.uint64(32)) & np.uint64(1), 1.0, -1.0)
            np.add.at(vector, places.astype(np.intp), signs * weights)


def _features(text: str) -> list[str]:
    words = _WORD.findall(text)
    pairs = [f"{a} {b}" for a, b in pairwise(words)]
    letters = [w[i : i + _LETTERS] for w in words for i in range(max(0, len(w) - _LETTERS))]
    return [*words, *pairs, *letters]
