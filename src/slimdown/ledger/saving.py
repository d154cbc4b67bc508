"""What a specialist saves: an interval, what it rests on, and whether it is worth it.

Per call of the task, ``D = kappa (1 - q) c_L - c_S - c_o``: the share served, less the share ``q``
asked of the upstream too so as to keep watch, times what the upstream costs, less what the
specialist costs (it drafts every call, served or not) and the overhead. The interval holds with
95 %: a third of the 5 % goes to each of coverage (Clopper-Pearson), upstream cost and specialist
cost (percentile bootstrap of the mean), and the worst ends are put together. It does not know
whether traffic and prices stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from slimdown.errors import UsageError

_CHANCE_OF_MISS = 0.05 / 3
_N_RESAMPLES = 1000
_DAYS_PER_MONTH = 30.4375
_SECONDS_PER_HOUR = 3600
_HORIZON_DAYS = 365

Verdict = Literal["worth it", "not worth it", "uncertain"]
Interval = tuple[float, float, float]
"""A figure, and the two ends of its interval."""


class Coverage(msgspec.Struct, frozen=True):
    """Of ``n`` recent calls of the task, ``served`` would have been served."""

    served: int
    n: int


class SpecialistUse(msgspec.Struct, frozen=True, kw_only=True):
    """What a specialist consumes, measured.

    ``cpu_seconds`` are CPU seconds of single answers, ``training_cpu_seconds`` of its training;
    ``usd_per_cpu_hour`` prices both, as ``price_source`` says. ``overhead_usd`` is any further
    cost per call; ``shadow_share`` the share of served calls that the upstream answers too.
    """

    cpu_seconds: tuple[float, ...]
    training_cpu_seconds: float
    usd_per_cpu_hour: float
    price_source: str = "your settings"
    overhead_usd: float = 0.0
    shadow_share: float = 0.02


class Saving(msgspec.Struct, frozen=True, kw_only=True):
    """Money in USD, with the ends of its 95 % interval, and all that it assumes.

    ``share`` is of the upstream's cost. Per month is None where the traffic's pace is not known;
    ``payback_days`` also where training is never paid back.
    """

    usd_per_call: float
    usd_per_call_low: float
    usd_per_call_high: float
    share: float
    share_low: float
    share_high: float
    upstream_usd_per_call: float
    specialist_usd_per_call: float
    training_usd: float
    usd_per_month: float | None = None
    usd_per_month_low: float | None = None
    usd_per_month_high: float | None = None
    break_even_calls: float | None = None
    payback_days: float | None = None
    verdict: Verdict
    reason: str
    assumptions: tuple[str, ...] = ()


def saving_of(
    upstream_usd: Sequence[float],
    coverage: Coverage,
    use: SpecialistUse,
    *,
    calls_per_day: float | None = None,
    assumptions: Sequence[str] = (),
    seed: int = 0,
) -> Saving:
    """Return what serving a task by its specialist saves per call, and per month if paced.

    ``upstream_usd`` holds what each priced call of the task cost. ``assumptions`` are the
    caller's own (prices and their dates, say), returned before ours. Raises `UsageError` where a
    sample is empty or coverage is impossible.
    """
    _demand(upstream_usd, coverage, use)
    to_usd = use.usd_per_cpu_hour / _SECONDS_PER_HOUR
    upstream = mean_interval(upstream_usd, seed)
    specialist = mean_interval([s * to_usd for s in use.cpu_seconds], seed + 1)
    served = coverage_interval(coverage)
    spared = 1 - use.shadow_share
    each: Interval = (
        served[0] * spared * upstream[0] - specialist[0] - use.overhead_usd,
        served[1] * spared * upstream[1] - specialist[2] - use.overhead_usd,
        served[2] * spared * upstream[2] - specialist[1] - use.overhead_usd,
    )
    share: Interval = (
        served[0] * spared - _ratio(specialist[0] + use.overhead_usd, upstream[0]),
        served[1] * spared - _ratio(specialist[2] + use.overhead_usd, upstream[1]),
        served[2] * spared - _ratio(specialist[1] + use.overhead_usd, upstream[2]),
    )
    return _saving(
        each,
        share,
        upstream_usd=upstream[0],
        specialist_usd=specialist[0] + use.overhead_usd,
        training_usd=use.training_cpu_seconds * to_usd,
        calls_per_day=calls_per_day,
        assumptions=(*assumptions, *_assumed(len(upstream_usd), coverage, use, calls_per_day)),
    )


def total_saving(
    parts: Sequence[tuple[Saving, int]],
    *,
    n_calls: int,
    upstream_usd: float,
    calls_per_day: float | None = None,
) -> Saving | None:
    """Return the saving over a whole log of ``n_calls`` calls that cost ``upstream_usd``.

    ``parts`` are the tasks' savings with their numbers of calls; the rest saves nothing. Ends of
    intervals are added up, so that the whole is at least as wide as it must be if the parts hold
    together. None without parts or cost.
    """
    if not parts or n_calls <= 0 or upstream_usd <= 0:
        return None
    weights = [(saving, count / n_calls) for saving, count in parts]
    costs = [(s, s.upstream_usd_per_call * count / upstream_usd) for s, count in parts]
    each: Interval = (
        sum(s.usd_per_call * w for s, w in weights),
        sum(s.usd_per_call_low * w for s, w in weights),
        sum(s.usd_per_call_high * w for s, w in weights),
    )
    share: Interval = (
        sum(s.share * w for s, w in costs),
        sum(s.share_low * w for s, w in costs),
        sum(s.share_high * w for s, w in costs),
    )
    shared = dict.fromkeys(text for saving, _ in parts for text in saving.assumptions)
    return _saving(
        each,
        share,
        upstream_usd=upstream_usd / n_calls,
        specialist_usd=sum(s.specialist_usd_per_call * w for s, w in weights),
        training_usd=sum(saving.training_usd for saving, _ in parts),
        calls_per_day=calls_per_day,
        assumptions=tuple(shared),
    )


def coverage_interval(coverage: Coverage) -> Interval:
    """Return the share served with its exact (Clopper-Pearson) interval."""
    from scipy.stats import beta

    k, n = coverage.served, coverage.n
    half = _CHANCE_OF_MISS / 2
    low = float(beta.ppf(half, k, n - k + 1)) if k else 0.0
    high = float(beta.ppf(1 - half, k + 1, n - k)) if k < n else 1.0
    return k / n, low, high


def mean_interval(values: Sequence[float], seed: int) -> Interval:
    """Return the mean with its percentile-bootstrap interval (Efron 1979), from a fixed seed."""
    # Loaded where it is needed: the gateway prices calls and does without it.
    import numpy as np

    sample = np.asarray(values, np.float64)
    random = np.random.default_rng(seed)
    means = [random.choice(sample, len(sample)).mean() for _ in range(_N_RESAMPLES)]
    low, high = np.quantile(means, [_CHANCE_OF_MISS / 2, 1 - _CHANCE_OF_MISS / 2])
    return float(sample.mean()), float(low), float(high)


def _saving(
    each: Interval,
    share: Interval,
    *,
    upstream_usd: float,
    specialist_usd: float,
    training_usd: float,
    calls_per_day: float | None,
    assumptions: tuple[str, ...],
) -> Saving:
    per_month = (calls_per_day or 0.0) * _DAYS_PER_MONTH
    monthly = [usd * per_month for usd in each] if calls_per_day else [None] * 3
    break_even = training_usd / each[0] if each[0] > 0 else None
    days = break_even / calls_per_day if break_even is not None and calls_per_day else None
    verdict, reason = _judge(each, training_usd, calls_per_day)
    return Saving(
        usd_per_call=each[0],
        usd_per_call_low=each[1],
        usd_per_call_high=each[2],
        share=share[0],
        share_low=share[1],
        share_high=share[2],
        upstream_usd_per_call=upstream_usd,
        specialist_usd_per_call=specialist_usd,
        training_usd=training_usd,
        usd_per_month=monthly[0],
        usd_per_month_low=monthly[1],
        usd_per_month_high=monthly[2],
        break_even_calls=break_even,
        payback_days=days,
        verdict=verdict,
        reason=reason,
        assumptions=assumptions,
    )


def _ratio(cost: float, upstream: float) -> float:
    return cost / upstream if upstream > 0 else 0.0


def _judge(each: Interval, training_usd: float, calls_per_day: float | None) -> tuple[Verdict, str]:
    """Weigh a year of the traffic against training; without a pace, a call against nothing."""
    n_calls = (calls_per_day or 0.0) * _HORIZON_DAYS
    low, high = each[1], each[2]
    if n_calls:
        low, high = low - training_usd / n_calls, high - training_usd / n_calls
    if low > 0:
        return "worth it", "Even the low end of the interval saves money."
    if high <= 0 and each[2] > 0:
        return "not worth it", "A year of this traffic does not pay for the training."
    if high <= 0:
        return "not worth it", "The specialist costs more than the upstream calls it spares."
    return "uncertain", "The interval reaches from a loss to a saving: more calls would tell."


def _assumed(
    n_priced: int, coverage: Coverage, use: SpecialistUse, calls_per_day: float | None
) -> tuple[str, ...]:
    pace = f"Traffic goes on at {calls_per_day:,.0f} calls a day." if calls_per_day else ""
    told = (
        f"Upstream cost is the mean of {n_priced:,} priced calls; those that the specialist "
        "serves cost as much as the others.",
        f"Coverage is as seen on {coverage.n:,} recent calls.",
        f"The specialist drafts every call: CPU time measured on {len(use.cpu_seconds):,} "
        f"answers, at {use.usd_per_cpu_hour:.4g} USD per CPU-hour ({use.price_source}), idle "
        "time not counted.",
        f"{use.shadow_share:.0%} of served calls are asked of the upstream too, to keep watch.",
        f"Training took {use.training_cpu_seconds:,.0f} CPU seconds at the same price.",
        pace,
    )
    return tuple(text for text in told if text)


def _demand(upstream_usd: Sequence[float], coverage: Coverage, use: SpecialistUse) -> None:
    if not len(upstream_usd) or not use.cpu_seconds:
        raise UsageError(
            "a saving needs at least one priced call and one measured answer; nothing was "
            "changed. Add the model's price to the settings, or run the evaluation first."
        )
    if not (0 <= coverage.served <= coverage.n and coverage.n > 0):
        raise UsageError(
            f"{coverage.served} of {coverage.n} calls cannot have been served; nothing was changed."
        )
