"""A linear-chain tagger's arithmetic in numpy: the best tags of a text, and how sure each is.

The tags of a layer are 0 for outside, then begin and inside for each field: 1 + 2 * field and
2 + 2 * field. Lafferty, McCallum and Pereira 2001. Knows nothing of encoders or fields' values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from slimdown.encoder.pieces import Pieces

Array = npt.NDArray[Any]

FORBIDDEN = -1e4
"""Score of a transition that makes no sense: into the inside of a span that has not begun."""


@dataclass(frozen=True)
class Tagged:
    """A text's best tags, their joint probability, and each tag's marginal (units, tags)."""

    tags: list[int]
    probability: float
    marginals: Array


def allowed(n_fields: int) -> Array:
    """Return scores (tags + 1, tags) of 0 or FORBIDDEN; the last row is the start of a text."""
    n_tags = 1 + 2 * n_fields
    scores = np.zeros((n_tags + 1, n_tags), np.float32)
    for field in range(n_fields):
        begin, inside = 1 + 2 * field, 2 + 2 * field
        scores[:, inside] = FORBIDDEN
        scores[[begin, inside], inside] = 0
    return scores


def best_tags(emissions: Array, transitions: Array) -> Tagged:
    """Return the best tags under ``emissions`` (units, tags), ``transitions`` (tags + 1, tags)."""
    if not len(emissions):
        return Tagged([], 1.0, emissions)
    start, moves = transitions[-1], transitions[:-1]
    tags, score = _viterbi(emissions, start, moves)
    forward, backward, total = _both_ways(emissions, start, moves)
    probability = float(np.exp(min(0.0, score - total)))
    return Tagged(tags, probability, np.exp(np.minimum(forward + backward - total, 0.0)))


def spans_of(tags: list[int]) -> list[tuple[int, tuple[int, int]]]:
    """Return (field, span of units) for each span that the tags mark, left to right."""
    found: list[tuple[int, tuple[int, int]]] = []
    for at, tag in enumerate(tags):
        if tag % 2 == 1:
            found.append(((tag - 1) // 2, (at, at + 1)))
        elif tag:
            field, (start, _) = found[-1]
            found[-1] = (field, (start, at + 1))
    return found


def unit_pooling(pieces: Pieces) -> Array:
    """Return weights (units, pieces) that average the pieces of each unit."""
    unit_of = np.array(pieces.unit_of)
    weight = (unit_of[None, :] == np.arange(len(pieces.units))[:, None]).astype(np.float32)
    # A unit that the tokenizer drops (a control mark) has no piece: its average is zero.
    return weight / np.maximum(weight.sum(axis=1, keepdims=True), 1)


def _viterbi(emissions: Array, start: Array, moves: Array) -> tuple[list[int], float]:
    score = start + emissions[0]
    came_from = []
    for emitted in emissions[1:]:
        reached = score[:, None] + moves
        best = reached.argmax(axis=0)
        came_from.append(best)
        score = reached[best, np.arange(len(best))] + emitted
    tags = [int(score.argmax())]
    for best in reversed(came_from):
        tags.append(int(best[tags[-1]]))
    return tags[::-1], float(score.max())


def _both_ways(emissions: Array, start: Array, moves: Array) -> tuple[Array, Array, float]:
    ways = np.exp(moves)
    forward = np.empty_like(emissions)
    backward = np.zeros_like(emissions)
    forward[0] = start + emissions[0]
    for at in range(1, len(emissions)):
        forward[at] = _stepped(forward[at - 1], ways) + emissions[at]
    for at in range(len(emissions) - 2, -1, -1):
        backward[at] = _stepped(backward[at + 1] + emissions[at + 1], ways.T)
    peak = forward[-1].max()
    return forward, backward, float(peak + np.log(np.exp(forward[-1] - peak).sum()))


def _stepped(score: Array, ways: Array) -> Array:
    peak = score.max()
    return peak + np.log(np.exp(score - peak) @ ways + 1e-30)
