"""Exact binomial bounds, after Clopper and Pearson (Biometrika 26, 1934).

Knows nothing of scores or tasks: n trials, k of which went wrong.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.special import bdtr, betaincinv

Counts = npt.NDArray[np.int64]
"""A vector of counts."""


def upper_bound(k: int, n: int, delta: float) -> float:
    """Return the rate below which the true rate lies with confidence ``1 - delta``; 1 if n is 0."""
    if k >= n:
        return 1.0
    return float(betaincinv(k + 1, n - k, 1 - delta))


def most_allowed(n: Counts, risk: float, delta: float) -> Counts:
    """Return for each n the largest k whose upper bound is at most ``risk``, -1 where none is.

    That is the largest k with P(Bin(n, risk) <= k) <= delta.
    """
    return np.array([_most(int(each), risk, delta) for each in n], np.int64)


def fewest_labels(risk: float, delta: float) -> int:
    """Return the n at which a test without a single disagreement would pass."""
    return math.ceil(math.log(delta) / math.log1p(-risk))


def _most(n: int, risk: float, delta: float) -> int:
    if n == 0:
        return -1
    # A k that passes lies below the mean, since half of the distribution does not.
    k = np.arange(math.ceil(risk * n) + 1)
    return int((bdtr(k, n, risk) <= delta).sum()) - 1
