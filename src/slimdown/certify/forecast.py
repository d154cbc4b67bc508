"""What a test on calibration is likely to bring, judged from dev alone.

Dev tells how often each band of scores disagrees; calibration's own scores, whose labels stay
unread, tell how many labels each threshold will have. From both follows, exactly, the chance that
the walk from any start passes each step. A wrong forecast costs coverage, never the guarantee.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import bdtr, ndtri

from slimdown.certify.binomial import Counts, most_allowed
from slimdown.certify.ladder import Floats, Tally

_SCALES = np.exp(ndtri([1 / 6, 1 / 2, 5 / 6]))
"""e to three equally likely standard normal values: how far dev's rate may lie from the truth."""

_SURE_DISAGREEMENTS = 4.0
"""Pretended disagreements that bound the doubt about a rate that dev saw few or none of."""


@dataclass(frozen=True)
class Forecast:
    """For each threshold as a start: the chance that its own test passes, and the expected
    coverage of the walk that begins there, as a share of the answered calls."""

    power: Floats
    coverage: Floats


def band_rates(dev: Tally, risk: float) -> Floats:
    """Return the disagreement rate of each band between two thresholds, never falling.

    Half a disagreement is added in all, in a band of ``.5 / risk`` examples that stands first,
    so a rate that dev knows nothing of is the floor itself.
    """
    n = np.diff(dev.n, prepend=0).astype(np.float64)
    k = np.diff(dev.k, prepend=0).astype(np.float64)
    n[0] += 0.5 / risk
    k[0] += 0.5
    return _never_falling(k, n)


def forecast(rates: Floats, n: Counts, *, risk: float, delta: float, doubt: float) -> Forecast:
    """Forecast each start's power and coverage if bands disagree at ``rates``.

    ``n`` is how many labelled examples each threshold will serve; ``doubt`` is the relative
    standard error of the rates.
    """
    allowed = most_allowed(n, risk, delta)
    walks = [_walk(scaled, n, allowed) for scaled in _scaled(rates, doubt)]
    return Forecast(power_at(rates, n, allowed, doubt), np.mean(walks, axis=0))


def power_at(rates: Floats, n: Counts, allowed: Counts, doubt: float) -> Floats:
    """Return the chance, at each threshold, that at most ``allowed`` of ``n`` disagree."""
    bands = np.diff(n, prepend=0)
    sums = [np.cumsum(scaled * bands) / np.maximum(n, 1) for scaled in _scaled(rates, doubt)]
    chances = [bdtr(np.maximum(allowed, 0), n, np.minimum(mean, 1.0)) for mean in sums]
    return np.where(allowed >= 0, np.mean(chances, axis=0), 0.0)


def doubt_of(dev: Tally) -> float:
    """Return the relative standard error of dev's disagreement rate near the floor."""
    return float(1 / np.sqrt(max(float(np.median(dev.k)), _SURE_DISAGREEMENTS)))


def _scaled(rates: Floats, doubt: float) -> list[Floats]:
    return [np.minimum(rates * scale, 1.0) for scale in _SCALES**doubt]


def _walk(rates: Floats, n: Counts, allowed: Counts) -> Floats:
    """Return the coverage to expect of a walk from each start, by its chances run backwards:
    worth[k] is the coverage that is expected once k disagreements have passed a step."""
    bands = np.diff(n, prepend=0)
    share = n / max(n[-1], 1)
    ks = np.arange(int(max(allowed.max(), 0)) + 1)
    mean = np.minimum(np.cumsum(rates * bands) / np.maximum(n, 1), 1.0)
    worth = np.full(len(ks), share[-1])
    coverage = np.zeros(len(n))
    for j in range(len(n) - 1, -1, -1):
        passing = ks <= allowed[j]
        coverage[j] = (_chances(ks, n[j], mean[j]) * passing) @ worth
        if j > 0:
            # A step's chances form a band: from k disagreements to k plus those of the next band.
            step = _chances(ks, bands[j], rates[j])
            onward = np.convolve(((worth - share[j - 1]) * passing)[::-1], step)[: len(ks)][::-1]
            worth = share[j - 1] + onward
    return coverage


def _chances(ks: Counts, n: int, rate: float) -> Floats:
    """Return P(Bin(n, rate) = k) for each k."""
    at_most = bdtr(np.minimum(ks, n), n, rate)
    return np.diff(at_most, prepend=0.0)


def _never_falling(k: Floats, n: Floats) -> Floats:
    """Pool neighbouring bands until no rate is below the one before (isotonic regression)."""
    pools: list[tuple[float, float, int]] = []
    for each_k, each_n in zip(k, n, strict=True):
        pool = (float(each_k), float(each_n), 1)
        while pools and pool[0] * pools[-1][1] <= pools[-1][0] * pool[1]:
            before = pools.pop()
            pool = (before[0] + pool[0], before[1] + pool[1], before[2] + pool[2])
        pools.append(pool)
    rates = [k_sum / n_sum if n_sum else 0.0 for k_sum, n_sum, _ in pools]
    return np.repeat(rates, [width for _, _, width in pools])
