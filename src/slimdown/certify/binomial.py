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
    passes, fails = np.full(len(n), -1, np.int64), n.copy()
    while (fails - passes > 1).any():
        middle = (passes + fails) // 2
        # bdtr is not defined at -1, where the halving of a settled pair may come to stand.
        good = (bdtr(np.maximum(middle, 0), n, risk) <= delta) & (middle >= 0)
        passes, fails = np.where(good, middle, passes), np.where(good, fails, middle)
        fails = np.maximum(fails, passes + 1)
    return passes


def fewest_labels(risk: float, delta: float) -> int:
    """Return the n at which a test without a single disagreement would pass."""
    return math.ceil(math.log(delta) / math.log1p(-risk))
