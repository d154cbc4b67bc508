"""The promise itself, counted over simulated draws: it may break in a share delta of them."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from populations import RATES, RISK, draw, true_disagreement

from slimdown.certify import certify, naive_threshold
from slimdown.types import CurvePoint, Graded, Refusal

N_TRIALS = 80
N_DEV, N_CALIBRATION = 600, 700
DELTA = 0.05
MOST_BROKEN = 10
"""Of 80 trials that each break with chance 5 %, 11 or more do with a chance below 0.3 %."""


@cache
def _decisions(name: str) -> list[CurvePoint | Refusal]:
    chance = np.random.default_rng(1)
    return [
        certify(
            draw(name, N_DEV, chance), draw(name, N_CALIBRATION, chance), risk=RISK, delta=DELTA
        )
        for _ in range(N_TRIALS)
    ]


@pytest.mark.parametrize("name", RATES)
def test_the_promise_breaks_in_at_most_a_share_delta_of_draws(name: str) -> None:
    points = [d for d in _decisions(name) if isinstance(d, CurvePoint)]
    broken = sum(true_disagreement(name, point.threshold) > RISK for point in points)
    assert broken <= MOST_BROKEN


def test_the_promise_holds_for_a_start_forced_upon_a_specialist_above_the_floor() -> None:
    """Dev that flatters makes every trial a test, the worst case for the promise."""
    chance = np.random.default_rng(2)
    name = "just above the floor"
    flattering = [Graded(g.score, True) for g in draw(name, N_DEV, chance)]
    decisions = [
        certify(flattering, draw(name, N_CALIBRATION, chance), risk=RISK) for _ in range(N_TRIALS)
    ]
    assert all(isinstance(d, CurvePoint) or d.code == "failed_test" for d in decisions)
    assert sum(isinstance(d, CurvePoint) for d in decisions) <= MOST_BROKEN


def test_a_naive_threshold_breaks_it_far_more_often() -> None:
    chance = np.random.default_rng(3)
    limits = [naive_threshold(draw("ranked", N_CALIBRATION, chance), RISK) for _ in range(N_TRIALS)]
    broken = sum(
        limit is not None and true_disagreement("ranked", limit) > RISK for limit in limits
    )
    assert broken > 2 * MOST_BROKEN


def test_an_easy_task_is_nearly_always_certified_nearly_whole() -> None:
    decisions = _decisions("easy")
    coverages = [d.coverage if isinstance(d, CurvePoint) else 0.0 for d in decisions]
    assert np.mean(coverages) > 0.9


def test_a_ranked_task_is_certified_at_most_of_its_oracle_coverage() -> None:
    limits = np.linspace(0, 1, 101)
    oracle = max(1 - t for t in limits if true_disagreement("ranked", float(t)) <= RISK)
    decisions = _decisions("ranked")
    coverages = [d.coverage if isinstance(d, CurvePoint) else 0.0 for d in decisions]
    assert np.mean(coverages) > 0.6 * oracle


def test_a_hopeless_task_is_refused_before_its_labels_are_read() -> None:
    codes = {d.code if isinstance(d, Refusal) else "certified" for d in _decisions("hopeless")}
    assert "certified" not in codes and "failed_test" not in codes
