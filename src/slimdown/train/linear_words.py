"""A text as weights of its words and character runs: TF-IDF over hashed n-grams.

No vocabulary is kept, only which hashes were seen often enough and how rare each is. It reads a
text whole, however long.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.preprocessing import normalize

from slimdown.train.linear_sealed import Arrays

_N_HASHES = 1 << 20
_FEWEST_TEXTS = 2

_VIEWS = tuple(
    HashingVectorizer(
        n_features=_N_HASHES, norm=None, alternate_sign=False, dtype=np.float32, **options
    )
    for options in (
        {"ngram_range": (1, 2), "token_pattern": r"\w+|[^\w\s]"},
        {"ngram_range": (2, 5), "analyzer": "char_wb"},
    )
)


class Words:
    """Turns texts into sparse vectors whose dot product is likeness, 0..1."""

    def __init__(self, arrays: Arrays) -> None:
        """Take what ``arrays`` of a fitted one holds."""
        self.arrays = arrays
        self._views = [_View(arrays[f"hashes{i}"], arrays[f"rarity{i}"]) for i in (0, 1)]

    @classmethod
    def fit(cls, texts: Sequence[str]) -> Words:
        """Learn from texts which n-grams recur, and how rare they are."""
        arrays: Arrays = {}
        for i, view in enumerate(_VIEWS):
            n_texts = np.bincount(view.transform(texts).indices, minlength=_N_HASHES)
            hashes = np.flatnonzero(n_texts >= min(_FEWEST_TEXTS, len(texts)))
            rarity = np.log((1 + len(texts)) / (1 + n_texts[hashes])) + 1
            arrays[f"hashes{i}"] = hashes.astype(np.int32)
            arrays[f"rarity{i}"] = rarity.astype(np.float32)
        return cls(arrays)

    def vectors(self, texts: Sequence[str]) -> Any:
        """Return a sparse matrix (len(texts), n-grams); the row of a text without any is zero."""
        both = [
            view.vectors(raw.transform(texts))
            for view, raw in zip(self._views, _VIEWS, strict=True)
        ]
        return sparse.hstack(both, format="csr") * np.float32(np.sqrt(0.5))


class _View:
    """One kind of n-gram: the columns kept of its hash table, and their weights."""

    def __init__(self, hashes: npt.NDArray[np.int32], rarity: npt.NDArray[np.float32]) -> None:
        self._column = np.full(_N_HASHES, -1, np.int32)
        self._column[hashes] = np.arange(len(hashes), dtype=np.int32)
        self._rarity = rarity

    def vectors(self, raw: Any) -> Any:
        columns = self._column[raw.indices]
        known = columns >= 0
        before = np.concatenate([[0], np.cumsum(known)])
        weights = (1 + np.log(raw.data[known])) * self._rarity[columns[known]]
        shape = (raw.shape[0], len(self._rarity))
        vectors = sparse.csr_matrix((weights, columns[known], before[raw.indptr]), shape)
        # Where no n-gram recurs (inputs all empty, or all different) there is nothing to scale.
        return normalize(vectors) if shape[1] else vectors
