"""The thresholds that are tried, strictest first, fixed by unlabelled scores alone.

A rung of this ladder is "serve what scores strictly more than the (m + 1)-th best score". Given
that score, the m better ones are a sample of what will be served, which makes the count of
disagreements among them binomial. A score of 0 or less is an abstention and is never served.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from slimdown.certify.binomial import Counts
from slimdown.types import Graded

N_STEPS = 100
"""Coverages tried are 1/100, 2/100, ..., 1."""

Floats = npt.NDArray[np.float64]
"""A vector of scores, rates or coverages."""


@dataclass(frozen=True)
class Tally:
    """What each threshold would have served of some graded examples: ``n``, ``k`` of it wrong."""

    n: Counts
    k: Counts


def thresholds(scores: Floats) -> Floats:
    """Return the thresholds to try on traffic that scores like ``scores``, strictest first.

    "score >= threshold" serves each coverage in turn, as nearly as ties allow; fewer than
    `N_STEPS` come back where ties make some equal.
    """
    ranked = np.sort(scores[scores > 0])[::-1]
    if not len(ranked):
        return ranked
    shares = np.arange(1, N_STEPS + 1) / N_STEPS
    wanted = np.rint(shares * len(scores)).astype(np.int64)
    below = [ranked[m] if m < len(ranked) else 0.0 for m in wanted if m > 0]
    below = [score for score in below if score < ranked[0]]  # the best score's ties serve nobody
    return np.nextafter(np.unique(np.array(below, np.float64)), np.inf)[::-1]


def tally(graded: Sequence[Graded], limits: Floats) -> Tally:
    """Count the examples at or above each limit, and the disagreements among them."""
    scores = scores_of(graded)
    order = np.argsort(-scores, kind="stable")
    wrong = np.array([not graded[i].agreed for i in order], bool)
    n = np.searchsorted(-scores[order], -limits, side="right")
    return Tally(n, np.concatenate([[0], np.cumsum(wrong)])[n])


def scores_of(graded: Sequence[Graded]) -> Floats:
    """Return the scores as a vector; a score that is not a number counts as an abstention."""
    return np.nan_to_num(np.array([g.score for g in graded], np.float64), nan=0.0)
