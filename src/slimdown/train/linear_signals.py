"""From class probabilities and likeness to predictions with their signals.

The signals are what an agreement model may rank by: how sure each member is, whether they agree,
what the nearest known examples were answered with, and how reliable this answer was before. It
does not know which of them will help.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from slimdown.types import Prediction

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

N_NEIGHBOURS = 10
_TINY = 1e-9
_PRIOR_EXAMPLES = 8.0
_RELIABILITY_FOLDS = 5


@dataclass(frozen=True)
class Views:
    """All that is known of some texts: ``members`` maps a member's name to its probabilities
    (texts, classes); ``kernel`` (texts, landmarks) is 0 where a landmark may not be looked at;
    ``names`` (texts, classes) is the likeness to each class's name, or None."""

    members: dict[str, Floats]
    kernel: Floats
    names: Floats | None
    lengths: Floats


@dataclass(frozen=True)
class Known:
    """What training knows of its classes: each landmark's class, and each class's count."""

    landmark_classes: Ints
    counts: Ints


@dataclass(frozen=True)
class Read:
    """The answers (class numbers), their confidence, and the signals by name, one per text."""

    classes: Ints
    confidence: Floats
    signals: dict[str, Floats]


def read(views: Views, known: Known) -> Read:
    """Return each text's most probable class with the signals that speak for and against it."""
    mean = np.mean(list(views.members.values()), axis=0)
    rows = np.arange(len(mean))
    first = mean.argmax(axis=1)
    others = mean.copy()
    others[rows, first] = -1
    second = others.argmax(axis=1)
    top, next_top = mean[rows, first], np.maximum(mean[rows, second], 0)
    signals = {
        "margin": top - next_top,
        "log_odds": np.log((top + _TINY) / (1 - top + _TINY)),
        "log_ratio": np.log((top + _TINY) / (next_top + _TINY)),
        "entropy": -(mean * np.log(mean + _TINY)).sum(axis=1),
        "count": np.log1p(known.counts[first]),
        "length": np.log1p(views.lengths),
        **_of_members(views.members, rows, first),
        **_of_neighbours(views.kernel, known.landmark_classes, first, second),
    }
    if views.names is not None:
        signals["name"] = views.names[rows, first]
        signals["name_margin"] = signals["name"] - views.names[rows, second]
    return Read(first, top, signals)


def reliability(answers: Ints, agreed: npt.NDArray[np.bool_], n_classes: int) -> Floats:
    """Return each class's share of agreement when it was answered, drawn towards the mean."""
    n = np.bincount(answers, minlength=n_classes)
    k = np.bincount(answers, weights=agreed, minlength=n_classes)
    overall = agreed.mean() if len(agreed) else 0.5
    shares: Floats = ((k + _PRIOR_EXAMPLES * overall) / (n + _PRIOR_EXAMPLES)).astype(np.float32)
    return shares


def held_out_reliability(
    answers: Ints, agreed: npt.NDArray[np.bool_], n_classes: int, groups: Ints
) -> Floats:
    """Return for each example the reliability of its answer, learned from other groups alone."""
    fold = groups % _RELIABILITY_FOLDS
    result = np.zeros(len(answers), np.float32)
    for each in range(_RELIABILITY_FOLDS):
        held = fold == each
        result[held] = reliability(answers[~held], agreed[~held], n_classes)[answers[held]]
    return result


def predictions(found: Read, outputs: Sequence[Any]) -> list[Prediction]:
    """Return the texts' predictions; ``outputs`` are the classes' answers."""
    names = list(found.signals)
    columns = np.column_stack([found.signals[name] for name in names]).astype(float).tolist()
    return [
        Prediction(
            output=outputs[each],
            confidence=min(max(float(sure), 0.0), 1.0),
            signals=dict(zip(names, row, strict=True)),
        )
        for each, sure, row in zip(found.classes, found.confidence, columns, strict=True)
    ]


def _of_members(members: dict[str, Floats], rows: Ints, first: Ints) -> dict[str, Floats]:
    signals: dict[str, Floats] = {}
    for name, chances in members.items():
        signals[f"{name}_chance"] = chances[rows, first]
        signals[f"{name}_agrees"] = (chances.argmax(axis=1) == first).astype(np.float32)
    return signals


def _of_neighbours(kernel: Floats, classes: Ints, first: Ints, second: Ints) -> dict[str, Floats]:
    n = min(N_NEIGHBOURS, kernel.shape[1])
    nearest = np.argpartition(-kernel, n - 1, axis=1)[:, :n]
    likeness = np.take_along_axis(kernel, nearest, axis=1)
    theirs = classes[nearest]
    same = theirs == first[:, None]
    return {
        "vote": same.mean(axis=1, dtype=np.float32),
        "second_vote": (theirs == second[:, None]).mean(axis=1, dtype=np.float32),
        "nearest": likeness.max(axis=1),
        "near": likeness.mean(axis=1),
        "nearest_same": np.where(same, likeness, 0).max(axis=1),
        "nearest_other": np.where(same, 0, likeness).max(axis=1),
    }
