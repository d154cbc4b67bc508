"""Simulated specialists: how often one disagrees at each rank of its score, from easy to hopeless.

A score is uniform on 0..1, so "serve what scores t or more" has the coverage 1 - t, and its true
disagreement is the mean of the rate above t.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from slimdown.types import Graded

Floats = npt.NDArray[np.float64]

RISK = 0.05

RATES: dict[str, Callable[[Floats], Floats]] = {
    "ranked": lambda u: 0.005 + 0.75 * (1 - u) ** 3,
    "noisy upstream": lambda u: 0.03 + 0.6 * (1 - u) ** 3,
    "sure and wrong": lambda u: np.where(u > 0.96, 0.15, 0.01 + 0.6 * (1 - u) ** 3),
    "easy": lambda u: np.full_like(u, 0.015),
    "just above the floor": lambda u: np.full_like(u, 0.052),
    "hopeless": lambda u: np.full_like(u, 0.1),
}

_GRID = (np.arange(20_000) + 0.5) / 20_000


def draw(name: str, n: int, chance: np.random.Generator) -> list[Graded]:
    """Draw n graded answers of a population."""
    scores = chance.random(n)
    agreed = chance.random(n) >= RATES[name](scores)
    return [Graded(float(s), bool(a)) for s, a in zip(scores, agreed, strict=True)]


def true_disagreement(name: str, threshold: float) -> float:
    """Return the rate of disagreement of all that scores the threshold or more."""
    served = np.flatnonzero(threshold <= _GRID)
    return float(RATES[name](_GRID[served if len(served) else [-1]]).mean())
