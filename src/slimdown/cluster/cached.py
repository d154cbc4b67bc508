"""Remembers embeddings by the content of their texts, since agents resend the same ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from slimdown.canonical import bytes_id
from slimdown.seams import Embedder


class CachedEmbedder:
    """An embedder in front of another one, which is asked for each text once."""

    def __init__(self, embedder: Embedder, *, most: int = 100_000) -> None:
        """Remember at most ``most`` vectors; the ones remembered longest are let go first."""
        self._embedder = embedder
        self._most = most
        self._known: dict[str, npt.NDArray[np.float32]] = {}

    @property
    def name(self) -> str:
        """The name of the embedder behind: the vectors are the same."""
        return self._embedder.name

    @property
    def dims(self) -> int:
        """Length of each vector."""
        return self._embedder.dims

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return unit vectors, shape (len(texts), dims)."""
        keys = [bytes_id(text.encode("utf-8", "surrogatepass")) for text in texts]
        new = {k: t for k, t in zip(keys, texts, strict=True) if k not in self._known}
        rows = dict(zip(new, self._embedder.embed(list(new.values())), strict=True)) if new else {}
        found = [rows[key] if key in rows else self._known[key] for key in keys]
        self._remember(rows)
        return np.array(found, dtype=np.float32).reshape(len(texts), self.dims)

    def _remember(self, new: dict[str, npt.NDArray[np.float32]]) -> None:
        self._known.update(new)
        for key in list(self._known)[: max(0, len(self._known) - self._most)]:
            del self._known[key]
