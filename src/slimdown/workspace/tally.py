"""Adds up what the calls of each task amount to: numbers, tokens, money, times, models."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable

import msgspec

from slimdown.ledger import Prices, cost_of, usage_of
from slimdown.types import Call

SAMPLE_SIZE = 2_000
"""Costs of single calls kept per task: enough for the spread of their mean."""


class CallFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a set of calls amounts to; ``cost_usd`` covers all but the ``n_unpriced``.

    ``costs`` is a random sample of single calls' costs in USD, for the spread of a saving;
    ``models`` are the upstream models that answered, ``asked`` those that the requests named, the
    most frequent first.
    """

    n_calls: int = 0
    cost_usd: float = 0.0
    n_unpriced: int = 0
    n_estimated: int = 0
    n_tokens: int = 0
    first_at: str = ""
    last_at: str = ""
    costs: tuple[float, ...] = ()
    models: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()


class Tally:
    """Adds calls up by task, in one pass."""

    def __init__(self, prices: Prices) -> None:
        """Price calls by ``prices``."""
        self.sessions: set[str] = set()
        self._prices = prices
        self._tasks: dict[str, _Sums] = {}

    def add(self, call: Call, task_id: str) -> None:
        """Count one call to a task."""
        if call.session_id:
            self.sessions.add(call.session_id)
        self._tasks.setdefault(task_id, _Sums()).add(call, self._prices)

    def facts(self) -> dict[str, CallFacts]:
        """Return the facts of each task so far."""
        return {task_id: sums.facts() for task_id, sums in self._tasks.items()}


class _Sums:
    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.models: Counter[str] = Counter()
        self.asked: Counter[str] = Counter()
        self.costs: list[float] = []
        self.cost_usd = 0.0
        self.first_at = self.last_at = ""
        self.random = random.Random(0)

    def add(self, call: Call, prices: Prices) -> None:
        usage, cost = usage_of(call), cost_of(call, prices)
        self.counts["n_calls"] += 1
        self.counts["n_tokens"] += usage.input + usage.output
        self.models[str((call.response or {}).get("model") or call.request.get("model"))] += 1
        if call.request.get("model"):
            self.asked[str(call.request["model"])] += 1
        if call.started_at:
            self.first_at = min(self.first_at or call.started_at, call.started_at)
            self.last_at = max(self.last_at, call.started_at)
        if cost is None:
            self.counts["n_unpriced"] += 1
            return
        self.counts["n_estimated"] += cost.estimated
        self.cost_usd += cost.usd
        self._sample(cost.usd)

    def facts(self) -> CallFacts:
        return CallFacts(
            **self.counts,
            cost_usd=self.cost_usd,
            first_at=self.first_at,
            last_at=self.last_at,
            costs=tuple(self.costs),
            models=tuple(model for model, _ in self.models.most_common()),
            asked=tuple(model for model, _ in self.asked.most_common()),
        )

    def _sample(self, usd: float) -> None:
        """Keep a uniform sample of what has been seen (reservoir sampling, Vitter 1985)."""
        seen = self.counts["n_calls"] - self.counts["n_unpriced"]
        if len(self.costs) < SAMPLE_SIZE:
            self.costs.append(usd)
        elif (place := self.random.randrange(seen)) < SAMPLE_SIZE:
            self.costs[place] = usd


def total_of(parts: Iterable[CallFacts]) -> CallFacts:
    """Add up the facts of several sets of calls; samples and models are left out."""
    listed = list(parts)
    return CallFacts(
        n_calls=sum(p.n_calls for p in listed),
        cost_usd=sum(p.cost_usd for p in listed),
        n_unpriced=sum(p.n_unpriced for p in listed),
        n_estimated=sum(p.n_estimated for p in listed),
        n_tokens=sum(p.n_tokens for p in listed),
        first_at=min((p.first_at for p in listed if p.first_at), default=""),
        last_at=max((p.last_at for p in listed), default=""),
    )
