"""What certify promises for any scores and answers, not only for likely ones."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from populations import RISK, draw

from slimdown.certify import certify, curve, expected_coverage, naive_threshold
from slimdown.certify.binomial import fewest_labels, most_allowed, upper_bound
from slimdown.types import CurvePoint, Graded, Refusal

SCORES = st.floats(allow_nan=True, allow_infinity=True) | st.sampled_from([0.0, 0.25, 0.5, 1.0])
GRADED = st.lists(st.builds(Graded, SCORES, st.booleans()), max_size=150)
RISKS = st.sampled_from([0.05, 0.1, 0.3])
SEEDS = st.integers(0, 2**32 - 1)
quick = settings(max_examples=20, deadline=None)


def seeded(seed: int, n: int = 300, wrong: float = 0.03) -> list[Graded]:
    """Draw graded answers, about one in twenty scores tied, one in fifty an abstention."""
    chance = np.random.default_rng(seed)
    scores = np.where(chance.random(n) < 0.05, 0.5, chance.random(n))
    scores[chance.random(n) < 0.02] = 0.0
    return [
        Graded(float(s), bool(a)) for s, a in zip(scores, chance.random(n) >= wrong, strict=True)
    ]


def covered(found: CurvePoint | Refusal) -> float:
    return found.coverage if isinstance(found, CurvePoint) else 0.0


def all_agreeing(graded: list[Graded], *, agreed: bool = True) -> list[Graded]:
    return [msgspec.structs.replace(g, agreed=agreed) for g in graded]


@quick
@given(GRADED, GRADED, RISKS)
def test_any_evidence_leads_to_a_point_that_was_counted_or_a_refusal_that_says_why(
    dev: list[Graded], calibration: list[Graded], risk: float
) -> None:
    found = certify(dev, calibration, risk=risk)

    if isinstance(found, Refusal):
        assert found.reason.endswith(".")
        assert found.missing_labels is None or found.missing_labels > 0
    else:
        served = [g for g in calibration if g.score >= found.threshold]
        assert (found.n, found.k) == (len(served), sum(not g.agreed for g in served))
        assert found.upper <= risk + 1e-9
        assert found.threshold > 0


@quick
@given(SEEDS, SEEDS, RISKS)
def test_a_specialist_that_is_always_wrong_is_never_certified(
    one: int, other: int, risk: float
) -> None:
    flattering = all_agreeing(seeded(one))
    wrong = all_agreeing(seeded(other), agreed=False)

    found = certify(flattering, wrong, risk=risk)

    assert isinstance(found, Refusal)
    assert found.code == "failed_test"


@quick
@given(SEEDS, SEEDS, st.floats(0, 1))
def test_expected_coverage_is_positive_exactly_where_calibration_would_be_tested(
    one: int, other: int, wrong: float
) -> None:
    dev, calibration = seeded(one, wrong=wrong), seeded(other)
    scores = [g.score for g in calibration]

    expected = expected_coverage(dev, scores, risk=RISK)

    tested = certify(dev, all_agreeing(calibration, agreed=False), risk=RISK)
    assert isinstance(tested, Refusal)
    assert (expected > 0) == (tested.code == "failed_test")
    assert 0 <= expected <= 1


@quick
@given(SEEDS, SEEDS)
def test_what_is_refused_untested_is_refused_alike_whatever_the_labels_say(
    one: int, other: int
) -> None:
    dev, calibration = seeded(one, wrong=0.2), seeded(other, 90)
    found = certify(dev, calibration, risk=RISK)
    assume(isinstance(found, Refusal) and found.code != "failed_test")

    assert certify(dev, all_agreeing(calibration), risk=RISK) == found
    assert certify(dev, all_agreeing(calibration, agreed=False), risk=RISK) == found


@quick
@given(SEEDS, SEEDS, st.integers(0, 299))
def test_one_disagreement_fewer_never_costs_coverage(one: int, other: int, place: int) -> None:
    dev, worse = seeded(one), seeded(other, wrong=0.04)
    better = [*worse[:place], Graded(worse[place].score, True), *worse[place + 1 :]]

    before, after = (certify(dev, graded, risk=RISK) for graded in (worse, better))

    assert covered(after) >= covered(before)


@quick
@given(SEEDS)
def test_the_order_of_the_evidence_does_not_matter(seed: int) -> None:
    dev, calibration = seeded(seed), seeded(seed + 1)
    order = np.random.default_rng(seed).permutation(300)

    shuffled = certify([dev[i] for i in order], [calibration[i] for i in order[::-1]], risk=RISK)

    assert shuffled == certify(dev, calibration, risk=RISK)


@quick
@given(SEEDS, st.sampled_from([0.5, 0.25, 4.0]))
def test_the_scale_of_the_scores_does_not_matter(seed: int, scale: float) -> None:
    dev, calibration = seeded(seed), seeded(seed + 1)
    scaled = [[Graded(g.score * scale, g.agreed) for g in part] for part in (dev, calibration)]

    plain, other = certify(dev, calibration, risk=RISK), certify(scaled[0], scaled[1], risk=RISK)

    assert covered(other) == covered(plain)
    if isinstance(plain, CurvePoint) and isinstance(other, CurvePoint):
        assert (other.n, other.k, other.upper) == (plain.n, plain.k, plain.upper)


@given(st.integers(0, 400), st.integers(1, 400), st.floats(0.01, 0.3))
def test_the_bound_rises_with_disagreements_and_falls_with_evidence(
    k: int, n: int, delta: float
) -> None:
    assume(k < n)

    bound = upper_bound(k, n, delta)

    assert upper_bound(k + 1, n, delta) > bound
    assert upper_bound(k, n + 1, delta) < bound
    assert upper_bound(k, n, delta / 2) > bound


@given(st.floats(0.005, 0.4), st.floats(0.005, 0.3))
def test_more_labels_and_laxer_floors_allow_no_fewer_disagreements(
    risk: float, delta: float
) -> None:
    n = np.arange(1, 400)

    allowed = most_allowed(n, risk, delta)

    assert (np.diff(allowed) >= 0).all()
    assert (most_allowed(n, risk * 1.2, delta) >= allowed).all()
    assert (most_allowed(n, risk, delta * 1.2) >= allowed).all()
    assert fewest_labels(risk, delta) >= fewest_labels(risk * 1.2, delta)


@quick
@given(GRADED)
def test_the_curve_counts_what_each_threshold_serves(graded: list[Graded]) -> None:
    points = curve(graded)

    for point in points:
        served = [g for g in graded if g.score >= point.threshold]
        assert (point.n, point.k) == (len(served), sum(not g.agreed for g in served))
        assert point.coverage == len(served) / len(graded)
    assert [p.n for p in points] == sorted({p.n for p in points})


@quick
@given(GRADED, RISKS)
def test_a_naive_threshold_keeps_the_floor_on_dev_itself(dev: list[Graded], risk: float) -> None:
    limit = naive_threshold(dev, risk)
    assume(limit is not None)

    served = [g for g in dev if g.score >= (limit or 0.0)]

    assert sum(not g.agreed for g in served) <= risk * len(served)


@pytest.mark.parametrize("n", [58, 59])
def test_the_fewest_labels_are_the_border_between_waiting_and_testing(n: int) -> None:
    faultless = all_agreeing(seeded(1, 600))
    calibration = [Graded(g.score or 1.0, True) for g in faultless[:n]]

    found = certify(faultless, calibration, risk=RISK)

    assert fewest_labels(RISK, 0.05) == 59
    assert isinstance(found, CurvePoint) == (n == 59)
    assert isinstance(found, CurvePoint) or found.missing_labels == 1


def test_a_refusal_for_want_of_labels_says_who_keeps_the_task() -> None:
    found = certify([], seeded(1, 20), risk=0.02)

    assert isinstance(found, Refusal)
    assert found.reason == (
        "20 calibration labels cannot prove a floor of 2.0%: even without a disagreement it takes "
        "149. The upstream keeps the task while more are logged."
    )
    assert found.missing_labels == 129


def test_a_failed_test_tells_what_it_counted_and_that_the_split_is_used_up() -> None:
    dev, wrong = all_agreeing(seeded(1)), all_agreeing(seeded(2), agreed=False)

    found = certify(dev, wrong, risk=0.02)

    assert isinstance(found, Refusal)
    assert "disagreed, which allows up to 100.0% disagreement; the floor is 2.0%" in found.reason
    assert found.reason.endswith("This calibration split is used up: collect a fresh one.")


def test_dev_from_easier_traffic_with_surer_scores_does_not_spend_the_test() -> None:
    """Traffic has drifted: its scores are lower, where dev too disagreed; only their rank is as
    before."""
    chance = np.random.default_rng(5)
    dev = draw("ranked", 900, chance)
    drifted = [Graded(g.score * 0.3, g.agreed) for g in draw("hopeless", 400, chance)]

    found = certify(dev, drifted, risk=RISK)

    assert isinstance(found, Refusal)
    assert found.code in ("disagrees_too_often", "low_power")
    assert expected_coverage(dev, [g.score for g in drifted], risk=RISK) == 0.0


def test_dev_whose_scores_only_rank_alike_still_leads_to_a_certificate() -> None:
    """Cross-fitted models score on another scale than the one that serves."""
    chance = np.random.default_rng(6)
    dev, calibration = draw("easy", 900, chance), draw("easy", 900, chance)
    lower = [Graded(g.score / 2, g.agreed) for g in dev]

    found = certify(lower, calibration, risk=RISK)

    assert isinstance(found, CurvePoint)
    assert found.coverage > 0.9


@pytest.mark.parametrize("score", [1.0, 1e-300, float("inf")])
def test_specialists_of_a_single_score_serve_all_or_nothing(score: float) -> None:
    right = [Graded(score, True)] * 200

    found = certify(right, right, risk=RISK)

    assert isinstance(found, CurvePoint)
    assert (found.n, found.k, found.coverage) == (200, 0, 1.0)


def test_negative_scores_are_abstentions() -> None:
    mixed = [*[Graded(0.9, True)] * 200, *[Graded(-0.5, False)] * 50, *[Graded(-1e300, False)] * 50]

    found = certify(mixed, mixed, risk=RISK)

    assert isinstance(found, CurvePoint)
    assert (found.n, found.k) == (200, 0)
    assert found.coverage == pytest.approx(2 / 3)
