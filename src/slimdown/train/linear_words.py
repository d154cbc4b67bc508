"""A text as weights of its words and character runs: TF-IDF over hashed n-grams.

No vocabulary is kept, only which hashes were seen often enough and how rare each is. It reads a
text whole, however long.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.utils import murmurhash3_32

from slimdown.train.linear_sealed import Arrays

Columns = npt.NDArray[np.int32]
Weights = npt.NDArray[np.float32]

_N_HASHES = 1 << 20
_FEWEST_TEXTS = 2

_ANALYSERS: tuple[Callable[[str], list[str]], ...] = tuple(
    CountVectorizer(**options).build_analyzer()
    for options in (
        {"ngram_range": (1, 2), "token_pattern": r"\w+|[^\w\s]"},
        {"ngram_range": (2, 5), "analyzer": "char_wb"},
    )
)
"""A text's words and pairs of words; its runs of two to five characters within words."""


class Words:
    """Turns texts into sparse vectors whose dot product is likeness, 0..1."""

    def __init__(self, arrays: Arrays) -> None:
        """Take what ``arrays`` of a fitted one holds."""
        self.arrays = arrays
        self._views = [_View(arrays[f"hashes{i}"], arrays[f"rarity{i}"]) for i in (0, 1)]
        self._n_columns = sum(view.n_columns for view in self._views)

    @classmethod
    def fit(cls, texts: Sequence[str]) -> Words:
        """Learn from texts which n-grams recur, and how rare they are."""
        arrays: Arrays = {}
        for i, analyse in enumerate(_ANALYSERS):
            n_texts = np.zeros(_N_HASHES, np.int64)
            for text in texts:
                n_texts[_hashed(analyse(text))[0]] += 1
            hashes = np.flatnonzero(n_texts >= min(_FEWEST_TEXTS, len(texts)))
            rarity = np.log((1 + len(texts)) / (1 + n_texts[hashes])) + 1
            arrays[f"hashes{i}"] = hashes.astype(np.int32)
            arrays[f"rarity{i}"] = rarity.astype(np.float32)
        return cls(arrays)

    def vectors(self, texts: Sequence[str]) -> Any:
        """Return a sparse matrix (len(texts), n-grams); the row of a text without any is zero."""
        rows = [self._row(text) for text in texts]
        starts = np.concatenate([[0], np.cumsum([len(columns) for columns, _ in rows])])
        columns = np.concatenate([columns for columns, _ in rows])
        weights = np.concatenate([weights for _, weights in rows])
        return sparse.csr_matrix((weights, columns, starts), (len(texts), self._n_columns))

    def _row(self, text: str) -> tuple[Columns, Weights]:
        """Return the columns and weights of one text: those of both views, side by side."""
        first, second = (
            view.row(analyse(text)) for view, analyse in zip(self._views, _ANALYSERS, strict=True)
        )
        columns = np.concatenate([first[0], second[0] + self._views[0].n_columns])
        return columns, np.concatenate([first[1], second[1]]) * np.float32(np.sqrt(0.5))


class _View:
    """One kind of n-gram: the columns kept of its hash table, and their weights."""

    def __init__(self, hashes: Columns, rarity: Weights) -> None:
        self.n_columns = len(hashes)
        self._column = np.full(_N_HASHES, -1, np.int32)
        self._column[hashes] = np.arange(len(hashes), dtype=np.int32)
        self._rarity = rarity

    def row(self, ngrams: Sequence[str]) -> tuple[Columns, Weights]:
        """Return a text's columns and their weights, of unit length unless there are none."""
        hashes, counts = _hashed(ngrams)
        columns = self._column[hashes]
        known = columns >= 0
        columns = columns[known]
        weights = (1 + np.log(counts[known])) * self._rarity[columns]
        # Summed one by one: the order of a sum shows in its last digit, and in what was certified.
        square = np.cumsum(weights * weights, dtype=np.float64)[-1:]
        return columns, (weights / np.sqrt(square)).astype(np.float32)


def _hashed(ngrams: Sequence[str]) -> tuple[Columns, Weights]:
    """Return the hashes of n-grams in order, each once, and how often each occurs."""
    signed = np.fromiter(map(murmurhash3_32, ngrams), np.int64, len(ngrams))
    hashes, counts = np.unique(np.abs(signed) % _N_HASHES, return_counts=True)
    return hashes.astype(np.int32), counts.astype(np.float32)
