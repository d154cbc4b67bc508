"""Choose how sure a specialist must be before it may answer in the upstream's place.

The promise: among the answers that it serves, a specialist disagrees with the upstream on at most
``risk`` of them, except with probability ``delta`` over the draw of calibration. It needs
calibration examples that are independent of each other, drawn like the traffic to come, and not
trained on; it trusts neither the model, nor its score, nor dev.

Fixed-sequence testing (Bauer 1991; for risk control Angelopoulos et al., arXiv 2110.01052): the
start is chosen by dev and unlabelled scores, then ever more lenient thresholds are tested in order,
each at the full ``delta``, up to the first failure. Pure: no store, no clock, no randomness.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from slimdown.certify.binomial import Counts, fewest_labels, most_allowed, upper_bound
from slimdown.certify.forecast import Forecast, band_rates, doubt_of, forecast, power_at
from slimdown.certify.ladder import Floats, Tally, scores_of, tally, thresholds
from slimdown.types import CurvePoint, Graded, Refusal

Decision = CurvePoint | Refusal
"""The point that a specialist may serve from, or why it may not."""

_WORTHWHILE_POWER = 0.5
_MOST_GROWTH = 100.0
_GROWTH_STEP = 1.2


@dataclass(frozen=True)
class _Plan:
    """All that is fixed before a calibration label is read."""

    limits: Floats
    n: Counts
    rates: Floats
    doubt: float
    forecast: Forecast


def certify(
    dev: Sequence[Graded], calibration: Sequence[Graded], *, risk: float, delta: float = 0.05
) -> Decision:
    """Return the most lenient threshold that the walk certifies, or why there is none.

    A refusal before the walk (``too_few_labels``, ``low_power``, ``disagrees_too_often``) has
    read no calibration label, so the split may be tested later; ``failed_test`` has used it up.
    Raises ValueError for a risk or delta outside 0..1.
    """
    if not (0 < risk < 1 and 0 < delta < 1):
        raise ValueError(f"risk and delta must lie between 0 and 1, not {risk} and {delta}")
    fewest = fewest_labels(risk, delta)
    if len(calibration) < fewest:
        return _too_few(len(calibration), fewest, risk)
    scores = scores_of(calibration)
    if not (scores > 0).any():
        return Refusal(code="disagrees_too_often", reason="the specialist abstained on every call.")
    plan = _plan(dev, scores, risk, delta)
    start = _start(plan.forecast)
    if start is None:
        return _not_yet(plan, risk, delta)
    return _walk(plan, start, calibration, risk=risk, delta=delta)


def expected_coverage(
    dev: Sequence[Graded], scores: Sequence[float], *, risk: float, delta: float = 0.05
) -> float:
    """Return the coverage to expect of `certify`, 0 where it would refuse before the walk.

    Reads dev and the unlabelled ``scores`` of calibration alone, so specialists may be compared
    by it without using the split up.
    """
    if len(scores) < fewest_labels(risk, delta):
        return 0.0
    ranked = np.nan_to_num(np.array(scores, np.float64), nan=0.0)
    if not (ranked > 0).any():
        return 0.0
    foreseen = _plan(dev, ranked, risk, delta).forecast
    start = _start(foreseen)
    if start is None:
        return 0.0
    # The forecast's shares are of the answered calls; an abstention is a call that is not served.
    return float(foreseen.coverage[start] * (ranked > 0).mean())


def curve(calibration: Sequence[Graded], delta: float = 0.05) -> list[CurvePoint]:
    """Return coverage against disagreement at each threshold, each with its own upper bound.

    For the eye only: to choose a threshold by it would break the promise.
    """
    limits = thresholds(scores_of(calibration))
    return [
        _point(limits, tally(calibration, limits), j, len(calibration), delta)
        for j in range(len(limits))
    ]


def naive_threshold(dev: Sequence[Graded], risk: float) -> float | None:
    """Return the most lenient threshold whose disagreement seen on dev is at most ``risk``.

    What one does without a guarantee; it is the baseline that benchmarks compare with.
    """
    limits = thresholds(scores_of(dev))
    counted = tally(dev, limits)
    good = [
        limit for limit, n, k in zip(limits, counted.n, counted.k, strict=True) if k <= risk * n
    ]
    return float(good[-1]) if good else None


def _plan(dev: Sequence[Graded], scores: Floats, risk: float, delta: float) -> _Plan:
    limits = thresholds(scores)
    n = np.array([(scores >= limit).sum() for limit in limits], np.int64)
    # Dev's best share stands for calibration's where models that saw other examples score alike in
    # rank only; dev's equal scores stand for it where the traffic has drifted. Whichever is worse
    # is believed: too strict a start costs a few steps, too lenient a one costs the test.
    ranked = tally(dev, _same_shares(dev, n / len(scores), limits))
    scored = tally(dev, limits)
    rates = np.maximum(band_rates(ranked, risk), band_rates(scored, risk))
    doubt = max(doubt_of(ranked), doubt_of(scored))
    return _Plan(limits, n, rates, doubt, forecast(rates, n, risk=risk, delta=delta, doubt=doubt))


def _same_shares(dev: Sequence[Graded], shares: Floats, limits: Floats) -> Floats:
    if not dev:
        return limits
    ranked = np.append(np.sort(scores_of(dev))[::-1], 0.0)
    below = ranked[np.rint(shares * len(dev)).astype(np.int64)]
    limits_there: Floats = np.nextafter(np.maximum(below, 0.0), np.inf)
    return limits_there


def _start(foreseen: Forecast) -> int | None:
    """Return the start with the most coverage to expect, among those likely enough to pass."""
    worthwhile = foreseen.power >= _WORTHWHILE_POWER
    if not worthwhile.any():
        return None
    return int(np.where(worthwhile, foreseen.coverage, -1.0).argmax())


def _walk(
    plan: _Plan, start: int, calibration: Sequence[Graded], *, risk: float, delta: float
) -> Decision:
    counted = tally(calibration, plan.limits)
    passed = counted.k <= most_allowed(counted.n, risk, delta)
    steps = int(np.logical_and.accumulate(passed[start:]).sum())
    if steps > 0:
        return _point(plan.limits, counted, start + steps - 1, len(calibration), delta)
    n, k = int(counted.n[start]), int(counted.k[start])
    return Refusal(
        code="failed_test",
        reason=(
            f"of {n} calibration answers at the chosen threshold {k} disagreed, which allows up to "
            f"{upper_bound(k, n, delta):.1%} disagreement; the floor is {risk:.1%}. The upstream "
            "keeps the task. This calibration split is used up: collect a fresh one."
        ),
        missing_labels=_labels_needed(plan, risk, delta),
    )


def _point(limits: Floats, counted: Tally, j: int, total: int, delta: float) -> CurvePoint:
    n, k = int(counted.n[j]), int(counted.k[j])
    return CurvePoint(n / total, float(limits[j]), n, k, upper_bound(k, n, delta))


def _too_few(n: int, fewest: int, risk: float) -> Refusal:
    return Refusal(
        code="too_few_labels",
        reason=(
            f"{n} calibration labels cannot prove a floor of {risk:.1%}: even without a "
            f"disagreement it takes {fewest}. The upstream keeps the task while more are logged."
        ),
        missing_labels=fewest - n,
    )


def _not_yet(plan: _Plan, risk: float, delta: float) -> Refusal:
    power = float(plan.forecast.power.max())
    needed = _labels_needed(plan, risk, delta)
    lead = f"a test at {risk:.1%} would pass with a chance of {power:.0%} at best"
    if needed is None:
        return Refusal(
            code="disagrees_too_often",
            reason=(
                f"{lead}: on dev even the surest answers disagree too often, and more labels would "
                "not help. The upstream keeps the task; no calibration label was read."
            ),
        )
    missing = needed - int(plan.n[-1])
    return Refusal(
        code="low_power",
        reason=(
            f"{lead}, so no calibration label was read; about {missing} more would make a test "
            "worthwhile. The upstream keeps the task meanwhile."
        ),
        missing_labels=missing,
    )


def _labels_needed(plan: _Plan, risk: float, delta: float) -> int | None:
    """Return how many answered calibration labels would make a test worthwhile, None if no
    number within reach would."""
    growth = _GROWTH_STEP
    while growth <= _MOST_GROWTH:
        n = np.rint(plan.n * growth).astype(np.int64)
        power = power_at(plan.rates, n, most_allowed(n, risk, delta), plan.doubt)
        if power.max() >= _WORTHWHILE_POWER:
            return int(n[-1])
        growth *= _GROWTH_STEP
    return None
