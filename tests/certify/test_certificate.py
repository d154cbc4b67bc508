from __future__ import annotations

import numpy as np
import pytest
from populations import RISK, draw

from slimdown.certify import certify, curve, expected_coverage, naive_threshold
from slimdown.certify.binomial import fewest_labels, upper_bound
from slimdown.types import CurvePoint, Graded, Refusal


def _all_agree(n: int, seed: int = 0) -> list[Graded]:
    return [Graded(float(s), True) for s in np.random.default_rng(seed).random(n)]


def _refusal(dev: list[Graded], calibration: list[Graded], risk: float = RISK) -> Refusal:
    found = certify(dev, calibration, risk=risk)
    assert isinstance(found, Refusal)
    return found


def test_a_faultless_specialist_may_serve_everything() -> None:
    point = certify(_all_agree(300), _all_agree(300, 1), risk=0.02)
    assert isinstance(point, CurvePoint)
    assert (point.coverage, point.n, point.k) == (1.0, 300, 0)
    assert point.upper == pytest.approx(upper_bound(0, 300, 0.05))


def test_the_threshold_serves_exactly_what_was_counted() -> None:
    chance = np.random.default_rng(4)
    calibration = draw("ranked", 900, chance)
    point = certify(draw("ranked", 900, chance), calibration, risk=RISK)
    assert isinstance(point, CurvePoint)
    served = [g for g in calibration if g.score >= point.threshold]
    assert (point.n, point.k) == (len(served), sum(not g.agreed for g in served))
    assert point.upper <= RISK


def test_ties_are_served_together_or_not_at_all() -> None:
    rough = [Graded(round(g.score, 1), g.agreed) for g in draw("ranked", 900, _chance())]
    point = certify(rough, rough, risk=RISK)
    assert isinstance(point, CurvePoint)
    assert point.n == sum(g.score >= point.threshold for g in rough)


def test_an_abstention_is_never_served_at_any_threshold() -> None:
    mixed = [*_all_agree(300), *[Graded(0.0, False)] * 300]
    point = certify(mixed, mixed, risk=0.02)
    assert isinstance(point, CurvePoint)
    assert (point.n, point.coverage) == (300, 0.5)
    assert point.threshold > 0


def test_a_score_that_is_no_number_is_an_abstention() -> None:
    mixed = [*_all_agree(300), *[Graded(float("nan"), True)] * 100]
    point = certify(mixed, mixed, risk=0.02)
    assert isinstance(point, CurvePoint) and point.n == 300


def test_calibration_too_small_for_the_floor_names_the_missing_count() -> None:
    refusal = _refusal(_all_agree(500), _all_agree(100), risk=0.02)
    assert (refusal.code, refusal.missing_labels) == (
        "too_few_labels",
        fewest_labels(0.02, 0.05) - 100,
    )


def test_a_test_unlikely_to_pass_is_put_off_and_more_labels_asked_for() -> None:
    chance = _chance()
    refusal = _refusal(draw("noisy upstream", 900, chance), draw("noisy upstream", 150, chance))
    assert refusal.code == "low_power"
    assert refusal.missing_labels is not None and refusal.missing_labels > 0


def test_asking_for_more_labels_is_honoured_by_a_test_once_they_are_there() -> None:
    chance = _chance()
    dev = draw("noisy upstream", 900, chance)
    missing = _refusal(dev, draw("noisy upstream", 150, chance)).missing_labels
    assert missing is not None
    later = certify(dev, draw("noisy upstream", 200 + missing, chance), risk=RISK)
    assert isinstance(later, CurvePoint) or later.code == "failed_test"


def test_where_more_labels_would_not_help_none_are_asked_for() -> None:
    chance = _chance()
    refusal = _refusal(draw("hopeless", 900, chance), draw("hopeless", 900, chance), risk=0.02)
    assert (refusal.code, refusal.missing_labels) == ("disagrees_too_often", None)


def test_dev_that_flatters_leads_to_a_failed_test_not_to_a_certificate() -> None:
    refusal = _refusal(_all_agree(500), draw("hopeless", 500, _chance()))
    assert refusal.code == "failed_test"
    assert "used up" in refusal.reason


def test_a_specialist_that_only_abstains_is_refused() -> None:
    silent = [Graded(0.0, False)] * 400
    assert _refusal(silent, silent).code == "disagrees_too_often"


def test_without_dev_nothing_is_tested() -> None:
    assert _refusal([], _all_agree(400)).code != "failed_test"


def test_refusals_before_the_test_do_not_depend_on_calibration_labels() -> None:
    chance = _chance()
    dev, calibration = draw("noisy upstream", 900, chance), draw("noisy upstream", 150, chance)
    flipped = [Graded(g.score, not g.agreed) for g in calibration]
    assert _refusal(dev, calibration) == _refusal(dev, flipped)


def test_the_expected_coverage_reads_no_label_and_is_near_what_comes() -> None:
    chance = _chance()
    dev, calibration = draw("easy", 900, chance), draw("easy", 900, chance)
    promised = expected_coverage(dev, [g.score for g in calibration], risk=RISK)
    point = certify(dev, calibration, risk=RISK)
    assert isinstance(point, CurvePoint)
    assert promised == pytest.approx(point.coverage, abs=0.1)


def test_a_stricter_floor_never_covers_more() -> None:
    chance = _chance()
    dev, calibration = draw("ranked", 2000, chance), draw("ranked", 2000, chance)
    found = [certify(dev, calibration, risk=risk) for risk in (0.2, 0.1, 0.05, 0.02)]
    coverages = [d.coverage if isinstance(d, CurvePoint) else 0.0 for d in found]
    assert coverages == sorted(coverages, reverse=True)


@pytest.mark.parametrize(("risk", "delta"), [(0.0, 0.05), (1.0, 0.05), (0.02, 0.0), (0.02, 1.0)])
def test_a_risk_or_delta_out_of_range_is_an_error_that_names_them(
    risk: float, delta: float
) -> None:
    with pytest.raises(ValueError, match=f"{risk} and {delta}"):
        certify([], [], risk=risk, delta=delta)


def test_the_curve_runs_from_strict_to_lenient_and_bounds_what_was_seen() -> None:
    points = curve(draw("ranked", 500, _chance()))
    coverages = [p.coverage for p in points]
    assert coverages == sorted(coverages) and coverages[-1] == 1.0
    assert all(p.k / p.n <= p.upper <= 1 for p in points)


def test_the_curve_of_nothing_is_empty() -> None:
    assert curve([]) == []


def test_a_naive_threshold_is_the_most_lenient_that_held_on_dev() -> None:
    dev = [Graded(s / 10, s > 5) for s in range(1, 11)]
    limit = naive_threshold(dev, 0.2)
    assert limit is not None
    assert sum(g.score >= limit for g in dev) == 6


def test_a_naive_threshold_may_not_exist() -> None:
    assert naive_threshold([Graded(0.5, False)] * 10, 0.2) is None


def _chance() -> np.random.Generator:
    return np.random.default_rng(11)
