"""Examples as batches of tensors: texts of like length together, in an order that a seed fixes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from slimdown.encoder.pieces import Pieces
from slimdown.train.fields.chain import unit_pooling
from slimdown.train.fields.net import Batch
from slimdown.train.fields.plan import Plan, Target

_SORTED_BATCHES = 16
"""Batches among which texts are sorted by length: more would save little and shuffle less."""


@dataclass(frozen=True)
class Lesson:
    """An example ready to be learnt: its pieces and its target."""

    pieces: Pieces
    target: Target


def epoch(
    lessons: Sequence[Lesson], *, size: int, most_pieces: int, seed: int
) -> Iterator[list[int]]:
    """Yield the positions of one epoch's batches: ``size`` texts, fewer where they are long."""
    draw = np.random.default_rng(seed)
    order = draw.permutation(len(lessons))
    lengths = np.array([len(lesson.pieces.ids) for lesson in lessons])
    batches: list[list[int]] = []
    for start in range(0, len(order), size * _SORTED_BATCHES):
        near = order[start : start + size * _SORTED_BATCHES]
        batches += _packed(
            near[np.argsort(lengths[near], kind="stable")], lengths, size, most_pieces
        )
    for at in draw.permutation(len(batches)):
        yield batches[at]


def collated(lessons: Sequence[Lesson], plan: Plan) -> Batch:
    """Return the lessons as one batch."""
    longest = max(len(lesson.pieces.ids) for lesson in lessons)
    most = max(1, *(len(lesson.pieces.units) for lesson in lessons))
    n = len(lessons)
    ids, types = np.zeros((n, longest), np.int64), np.zeros((n, longest), np.int64)
    real = np.zeros((n, longest), bool)
    pooling = np.zeros((n, most, longest), np.float32)
    tags = np.zeros((len(plan.layers), n, most), np.int64)
    for row, lesson in enumerate(lessons):
        length = len(lesson.pieces.ids)
        ids[row, :length], types[row, :length] = lesson.pieces.ids, lesson.pieces.types
        real[row, :length] = True
        pooling[row, : len(lesson.pieces.units), :length] = unit_pooling(lesson.pieces)
        for layer, spans in enumerate(lesson.target.spans):
            for field, (start, end) in spans:
                tags[layer, row, start:end] = 2 + 2 * field
                tags[layer, row, start] = 1 + 2 * field
    return Batch(
        ids=torch.from_numpy(ids),
        types=torch.from_numpy(types),
        real=torch.from_numpy(real),
        pooling=torch.from_numpy(pooling),
        n_units=torch.tensor([len(lesson.pieces.units) for lesson in lessons]),
        tags=tuple(torch.from_numpy(layer) for layer in tags),
        options=torch.tensor([lesson.target.options for lesson in lessons], dtype=torch.int64),
    )


def _packed(
    order: np.ndarray, lengths: np.ndarray, size: int, most_pieces: int
) -> Iterator[list[int]]:
    batch: list[int] = []
    for at in order:
        if batch and (len(batch) >= size or (len(batch) + 1) * lengths[at] > most_pieces):
            yield batch
            batch = []
        batch.append(int(at))
    if batch:
        yield batch
