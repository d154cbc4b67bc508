"""Counts for Prometheus, with bounded labels and nothing of any payload.

The hot path adds to plain numbers; families are made when somebody asks.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from slimdown.gateway.passage import Passage

_SECONDS = (0.001, 0.005, 0.02, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0)
_OVERHEAD_S = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.25, 1.0)

Gauges = Callable[[], dict[str, float]]
"""Gives present values by metric name."""

Counts = Callable[[], dict[str, int]]
"""Gives how often each reason occurred."""


class Histogram:
    """Observations in buckets."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        """Count up to each of these seconds, and beyond."""
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, seconds: float) -> None:
        """Count one observation."""
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.total += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """Return cumulative counts by upper bound, as Prometheus has them."""
        edges = [*(str(bound) for bound in self.bounds), "+Inf"]
        so_far, found = 0, []
        for edge, count in zip(edges, self.counts, strict=True):
            so_far += count
            found.append((edge, float(so_far)))
        return found


class Metrics(Collector):
    """What a gateway has done so far."""

    def __init__(self) -> None:
        """Begin at nothing."""
        self.in_flight = 0
        self.refused: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self._calls: Counter[tuple[str, str, str, str]] = Counter()
        self._unlogged = 0
        self._seconds = Histogram(_SECONDS)
        self._overhead = Histogram(_OVERHEAD_S)
        self.gauges: list[Gauges] = []
        self.reasons: list[Counts] = []
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def finished(self, passage: Passage, outcome: str, *, logged: bool) -> None:
        """Count a call that has ended."""
        status = f"{passage.status // 100}xx" if passage.status else "none"
        served_by = "upstream" if passage.served_by == "upstream" else "specialist"
        self._calls[passage.inbound.endpoint or "other", status, outcome, served_by] += 1
        self._unlogged += not logged
        self._seconds.add(passage.elapsed_ms() / 1000)
        self._overhead.add(passage.overhead_ms() / 1000)

    def page(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Yield the families; Prometheus' registry calls this."""
        calls = CounterMetricFamily(
            "slimdown_calls",
            "Model calls that ended.",
            labels=["endpoint", "status", "outcome", "served_by"],
        )
        for labels, count in self._calls.items():
            calls.add_metric(labels, count)
        yield calls
        refused = CounterMetricFamily(
            "slimdown_refused", "Requests that the gateway itself refused.", labels=["code"]
        )
        for code, count in self.refused.items():
            refused.add_metric([code], count)
        yield refused
        faults = CounterMetricFamily(
            "slimdown_faults", "Calls at which the gateway itself failed.", labels=["kind"]
        )
        for kind, count in self.faults.items():
            faults.add_metric([kind], count)
        yield faults
        yield CounterMetricFamily(
            "slimdown_unlogged_calls", "Calls answered before they were stored.", self._unlogged
        )
        yield self._histogram("slimdown_call_seconds", "Time of a call.", self._seconds)
        yield self._histogram("slimdown_overhead_seconds", "Our part of it.", self._overhead)
        yield from self._others()

    def _others(self) -> Iterator[Metric]:
        routed = CounterMetricFamily(
            "slimdown_routing", "Calls by what routing decided.", labels=["reason"]
        )
        for counts in self.reasons:
            for reason, count in counts().items():
                routed.add_metric([reason], count)
        yield routed
        yield GaugeMetricFamily("slimdown_in_flight", "Calls under way.", self.in_flight)
        for gauges in self.gauges:
            for name, value in gauges().items():
                yield GaugeMetricFamily(f"slimdown_{name}", name.replace("_", " "), value)

    @staticmethod
    def _histogram(name: str, words: str, found: Histogram) -> Metric:
        family = HistogramMetricFamily(name, words)
        family.add_metric([], found.buckets(), found.total)
        return family
