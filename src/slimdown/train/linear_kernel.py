"""Ridge regression on likeness to known examples, with exact leave-group-out answers.

Kernel: the mean over views of exp(sharpness (likeness - 1)); landmarks are the examples
themselves, or an evenly spread part of them (Nystroem). What each example would have been answered
had its group not been trained on follows in closed form from the fit on all (the leave-out
identity of linear smoothers), so evidence costs no further fit. It knows rows and classes only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import linalg

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

MOST_LANDMARKS = 3_000
_RIDGE = 0.2
_WORDS_SHARPNESS = 2.0
_MEANING_SHARPNESS = 4.0
_JITTER = 1e-4


@dataclass(frozen=True)
class Fitted:
    """``weights`` is (landmarks, classes); ``left_out`` (examples, classes) holds each example's
    class scores from a fit without its group."""

    weights: Floats
    left_out: Floats


def turned(words: Any) -> Any:
    """Return sparse vectors (texts, n-grams) as (n-grams, texts), in rows as `likeness` wants."""
    return words.T.tocsr()


def likeness(words: Any, columns: Any, meaning: Floats | None, known: Floats | None) -> Floats:
    """Return the kernel (texts, landmarks), each entry in 0..1.

    ``words`` are the texts' sparse vectors, ``columns`` the landmarks' as `turned` has them;
    ``meaning`` and ``known`` their unit vectors, or None where there is no encoder.
    """
    same_words = np.asarray((words @ columns).toarray(), np.float32)
    kernel: Floats = np.exp(_WORDS_SHARPNESS * (same_words - 1))
    if meaning is None or known is None:
        return kernel
    kernel += np.exp(_MEANING_SHARPNESS * (meaning @ known.T - 1))
    kernel /= 2
    return kernel


def landmarks(n: int) -> Ints:
    """Return which of n examples are landmarks: all, or `MOST_LANDMARKS` evenly spread ones."""
    return np.unique(np.linspace(0, n - 1, min(n, MOST_LANDMARKS)).round().astype(np.int64))


def fit(kernel: Floats, marks: Ints, classes: Ints, n_classes: int, groups: Ints) -> Fitted:
    """Fit on ``kernel`` (examples, landmarks), whose rows ``marks`` are the landmarks themselves.

    ``classes`` and ``groups`` number each example's class and group.
    """
    factor = linalg.cholesky(
        kernel[marks].astype(np.float64) + _JITTER * np.eye(len(marks)), lower=True
    )
    features = linalg.solve_triangular(factor.astype(np.float32), kernel.T, lower=True).T
    wanted = np.zeros((len(classes), n_classes), np.float32)
    wanted[np.arange(len(classes)), classes] = 1
    gram = linalg.cho_factor(features.T @ features + _RIDGE * np.eye(len(marks), dtype=np.float32))
    primal = linalg.cho_solve(gram, features.T @ wanted)
    reach = linalg.cho_solve(gram, features.T).T
    left_out = _leave_groups_out(features, reach, wanted - features @ primal, wanted, groups)
    weights = linalg.solve_triangular(factor, primal, lower=True, trans="T")
    return Fitted(np.asarray(weights, np.float32), np.asarray(left_out, np.float32))


def _leave_groups_out(features: Any, reach: Any, residual: Any, wanted: Any, groups: Ints) -> Any:
    """Residuals without group I are (1 - H_II)^-1 times those with it, H the smoother's matrix."""
    hat = np.einsum("ij,ij->i", features, reach)
    without = residual / (1 - hat)[:, None]
    order = np.argsort(groups, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(groups[order])) + 1):
        if len(rows) > 1:
            block = np.eye(len(rows)) - features[rows] @ reach[rows].T
            without[rows] = np.linalg.solve(block, residual[rows])
    return wanted - without
