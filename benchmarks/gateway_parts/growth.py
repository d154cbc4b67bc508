"""Does a figure grow over a long run? Its slope, and its level late against early."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

WARM_UP_SHARE = 0.2


def warmed_up(samples: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Return the samples after the warm-up; each has its time in seconds under "at_s"."""
    return samples[int(len(samples) * WARM_UP_SHARE) :]


def slope_per_minute(samples: Sequence[Mapping[str, Any]], key: str) -> float:
    """Return how much a figure grows in a minute, by least squares."""
    times = [sample["at_s"] / 60 for sample in samples]
    return statistics.linear_regression(times, [sample[key] for sample in samples]).slope


def growth(samples: Sequence[Mapping[str, Any]], key: str) -> float:
    """Return the median of the last quarter over that of the first, less 1."""
    values = [sample[key] for sample in samples]
    quarter = max(1, len(values) // 4)
    first = statistics.median(values[:quarter])
    return statistics.median(values[-quarter:]) / first - 1 if first else 0.0
