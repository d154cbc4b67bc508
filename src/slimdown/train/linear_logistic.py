"""Logistic regression on meaning vectors, with held-out answers by folds of whole groups.

It knows rows and classes only. Served as a matrix product and a softmax.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

N_FOLDS = 5
_INVERSE_PENALTY = 10.0
_MOST_STEPS = 60
_NEVER = -30.0


def folds(groups: Ints) -> Ints:
    """Return the fold of each example, 0..N_FOLDS - 1; a group lies in one fold."""
    return groups % N_FOLDS


def fit(vectors: Floats, classes: Ints, n_classes: int) -> Floats:
    """Return weights (dims + 1, n_classes), the last row the offsets.

    A class without an example gets an offset that makes it all but impossible.
    """
    weights = np.zeros((vectors.shape[1] + 1, n_classes), np.float32)
    weights[-1] = _NEVER
    present = np.unique(classes)
    if len(present) < 2:
        weights[-1, present] = 0.0
        return weights
    model: Any = LogisticRegression(C=_INVERSE_PENALTY, max_iter=_MOST_STEPS)
    with warnings.catch_warnings():
        # The last steps of the descent sharpen what the agreement model only ranks.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(vectors, classes)
    # Of two classes scikit-learn keeps one column, the odds of the second.
    columns = present if len(model.coef_) == len(present) else present[1:]
    weights[-1, present] = 0.0
    weights[:-1, columns] = model.coef_.T
    weights[-1, columns] = model.intercept_
    return weights


def chances(vectors: Floats, weights: Floats) -> Floats:
    """Return class probabilities (texts, classes)."""
    return softmax(vectors @ weights[:-1] + weights[-1])


def softmax(scores: Floats) -> Floats:
    """Return the rows of ``scores`` as probabilities."""
    powers: Floats = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
