from __future__ import annotations

import numpy as np
import pytest
from populations import RISK, draw

from slimdown.certify.binomial import most_allowed
from slimdown.certify.forecast import band_rates, doubt_of, forecast, power_at
from slimdown.certify.ladder import Tally, scores_of, tally, thresholds

N = np.array([100, 200, 300], np.int64)


def test_band_rates_never_fall_and_keep_the_sum_of_disagreements() -> None:
    dev = Tally(N, np.array([9, 10, 40], np.int64))
    rates = band_rates(dev, RISK)
    assert rates.tolist() == sorted(rates.tolist())
    # Half a disagreement in .5 / risk = 10 pretended examples joins the first band.
    assert rates[0] * 210 + rates[2] * 100 == pytest.approx(40.5)


def test_without_dev_the_rate_is_the_floor() -> None:
    nothing = np.zeros(3, np.int64)
    assert band_rates(Tally(nothing, nothing), RISK)[0] == pytest.approx(RISK)


def test_the_forecast_walk_agrees_with_a_simulated_one() -> None:
    rates, n = np.array([0.01, 0.03, 0.08]), N
    exact = forecast(rates, n, risk=RISK, delta=0.05, doubt=0.0)
    chance = np.random.default_rng(0)
    passed = np.cumsum(chance.binomial(100, rates, (40_000, 3)), axis=1) <= most_allowed(
        n, RISK, 0.05
    )
    walked = np.logical_and.accumulate(passed, axis=1).sum(axis=1) / 3
    assert exact.power[0] == pytest.approx(passed[:, 0].mean(), abs=0.01)
    assert exact.power[2] == pytest.approx(passed[:, 2].mean(), abs=0.01)
    assert exact.coverage[0] == pytest.approx(walked.mean(), abs=0.01)


def test_doubt_lowers_the_power_of_a_likely_test() -> None:
    rates = np.full(3, 0.02)
    allowed = most_allowed(N, RISK, 0.05)
    assert power_at(rates, N, allowed, 0.5)[-1] < power_at(rates, N, allowed, 0.0)[-1]


def test_more_disagreements_on_dev_leave_less_doubt() -> None:
    few, many = Tally(N, N // 100), Tally(N, N // 4)
    assert doubt_of(many) < doubt_of(few)


def test_thresholds_come_strictest_first_and_serve_growing_shares() -> None:
    graded = draw("easy", 1000, np.random.default_rng(1))
    limits = thresholds(scores_of(graded))
    counted = tally(graded, limits)
    assert limits.tolist() == sorted(limits.tolist(), reverse=True)
    assert counted.n.tolist() == list(range(10, 1001, 10))


def test_equal_scores_leave_a_single_threshold() -> None:
    assert len(thresholds(np.full(100, 0.5))) == 1


def test_fewer_examples_than_steps_give_as_many_thresholds_as_examples() -> None:
    assert len(thresholds(np.array([0.1, 0.2, 0.3]))) == 3
