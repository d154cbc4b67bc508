"""The encoder at work: texts to unit vectors, pieces of text to hidden states.

Runs on ONNX Runtime; torch is not needed. Knows nothing of tasks, fields or training.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from slimdown.encoder.graph import Precision, bert_graph
from slimdown.encoder.pieces import Pieces, Tokenizer
from slimdown.encoder.weights import EncoderWeights
from slimdown.errors import MissingExtra

Floats = npt.NDArray[np.float32]

EMBEDDED_PIECES = 256
"""`embed` reads this much of a text: sentence encoders are trained on no more."""

_BATCH_PIECES = 2048
"""Pieces per forward pass: enough to fill the cores, little enough to stay in their caches."""


class Encoder:
    """A BERT with its tokenizer. Implements `slimdown.seams.Embedder`; safe to share by threads."""

    def __init__(
        self,
        weights: EncoderWeights,
        *,
        precision: Precision = "fp32",
        threads: int | None = None,
    ) -> None:
        """Build the graph from ``weights``; ``threads`` cores per pass, None for all we may use."""
        self.name = weights.name if precision == "fp32" else f"{weights.name}+{precision}"
        self.dims = weights.config.hidden_size
        self.tokenizer = Tokenizer(
            weights.tokenizer_json, window=weights.config.max_position_embeddings
        )
        self._session = _session(bert_graph(weights.config, weights.tensors, precision), threads)
        # Who assigns a request and who answers it read the same text, one right after the other.
        self._last: tuple[str, Floats] | None = None

    def embed(self, texts: Sequence[str]) -> Floats:
        """Return unit vectors (len(texts), dims): the mean of the last states of the pieces.

        A text beyond `EMBEDDED_PIECES` pieces is read up to there.
        """
        last = self._last
        if len(texts) == 1 and last is not None and last[0] == texts[0]:
            return last[1].copy()
        vectors = self._embedded(texts)
        if len(texts) == 1:
            self._last = texts[0], vectors.copy()
        return vectors

    def hidden(self, batch: Sequence[Pieces]) -> list[Floats]:
        """Return each text's last states, of shape (its pieces, dims), in order.

        No text may be longer than ``tokenizer.window``: cutting it is the caller's decision.
        """
        states: list[Floats] = [np.empty((0, self.dims), np.float32)] * len(batch)
        for rows, hidden in self._passes(batch):
            for row, state in zip(rows, hidden, strict=True):
                states[row] = state
        return states

    def _embedded(self, texts: Sequence[str]) -> Floats:
        batch = [p.shortened(EMBEDDED_PIECES) for p in self.tokenizer.of_texts(texts)]
        vectors = np.empty((len(batch), self.dims), np.float32)
        for rows, hidden in self._passes(batch):
            vectors[rows] = hidden.mean(axis=1)
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors / np.maximum(norms, 1e-12)

    def _passes(self, batch: Sequence[Pieces]) -> Iterator[tuple[list[int], Floats]]:
        for rows in _equal_lengths([len(p.ids) for p in batch]):
            ids = np.array([batch[row].ids for row in rows], np.int32)
            types = np.array([batch[row].types for row in rows], np.int32)
            yield rows, self._session.run(["hidden"], {"ids": ids, "types": types})[0]


def _equal_lengths(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Yield the positions of texts of equal length, `_BATCH_PIECES` or less at a time."""
    by_length: dict[int, list[int]] = {}
    for position, length in enumerate(lengths):
        by_length.setdefault(length, []).append(position)
    for length, positions in sorted(by_length.items()):
        size = max(1, _BATCH_PIECES // length)
        for start in range(0, len(positions), size):
            yield positions[start : start + size]


def allowed_threads() -> int:
    """Return ``OMP_NUM_THREADS`` if that is set, else how many cores this process may run on."""
    told = os.environ.get("OMP_NUM_THREADS", "")
    return int(told) if told.isdigit() and int(told) else len(os.sched_getaffinity(0))


def _session(graph: bytes, threads: int | None) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtra(
            f"the encoder needs ONNX Runtime, which does not load ({error}). Nothing was changed. "
            "Run `pip install onnxruntime`."
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or allowed_threads()
    options.inter_op_num_threads = 1
    # Idle threads that spin would take the cores from the gateway that shares this machine.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
