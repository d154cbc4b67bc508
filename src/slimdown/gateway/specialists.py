"""Specialists in front of the upstream: who may answer a call, and whether what they say is served.

What is not served is never seen by the caller. Nothing here fails a call: whatever goes wrong
becomes a `Fallback`, and the upstream is asked. Counts reasons; holds no payload.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import Protocol

import msgspec

from slimdown.backends.reply import RuntimeAnswer, RuntimeRefusal
from slimdown.backends.runtime import RuntimeClient
from slimdown.errors import RuntimeUnavailable
from slimdown.gateway.in_force import InForce
from slimdown.gateway.pairing import compared, is_comparable
from slimdown.gateway.planning import NO_ROUTE, Plan, offered, planned, route_of
from slimdown.gateway.served import served_completion
from slimdown.route import unfit
from slimdown.types import Evidence, JsonObject

__all__ = ["Fallback", "Plan", "Served", "Specialists"]

SHADOW_BUDGET_S = 5.0
"""Seconds that a shadow may take: nobody waits for it, but it holds memory."""

MOST_SHADOWS = 4
"""Shadows asked at a time; further ones are dropped, lest they slow down who serves."""


class HasRouting(Protocol):
    """Whoever knows the routes in force."""

    @property
    def current(self) -> InForce:
        """Return them; the next call may find others."""


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """A specialist's answer as the caller gets it; ``reason`` is the stage that let it answer."""

    completion: JsonObject
    specialist_id: str
    task_id: str
    score: float
    reason: str


class Fallback(msgspec.Struct, frozen=True):
    """The upstream is asked: ``reason`` says why. ``draft`` is what was not served, if anything,
    to be compared with the upstream's answer, never to be shown."""

    reason: str
    draft: RuntimeAnswer | None = None


class Specialists:
    """Plans calls by the routes in force and asks the runtime; for one event loop."""

    def __init__(
        self,
        watch: HasRouting,
        client: RuntimeClient,
        *,
        shadow_budget_s: float = SHADOW_BUDGET_S,
        most_shadows: int = MOST_SHADOWS,
    ) -> None:
        """Decide by ``watch.current``, and ask ``client``."""
        self.counts: Counter[str] = Counter()
        self._watch = watch
        self._client = client
        self._shadow_budget_s = shadow_budget_s
        self._shadow_places = most_shadows

    @property
    def is_active(self) -> bool:
        """Whether any route may ask a specialist."""
        return self._watch.current.is_active

    @property
    def routing(self) -> InForce:
        """The routes in force."""
        return self._watch.current

    def plan(self, request: JsonObject, *, off: bool, session: str) -> Plan:
        """Return who is asked for a request; ``off`` is the caller's wish for the upstream.

        ``session`` is what a canary sticks to. It waits for nothing and takes microseconds.
        """
        routing = self._watch.current
        if not routing.is_active:
            return NO_ROUTE
        try:
            plan = planned(routing, request, off, session)
        except (RecursionError, UnicodeError):  # from a request that only the upstream understands
            plan = Plan(reason="no_task")
        if not plan.asks and not plan.shadows:
            self.counts[plan.reason] += 1
        return plan

    async def answer(
        self, plan: Plan, request: JsonObject, body: bytes, call_id: str
    ) -> Served | Fallback:
        """Ask the specialists of a plan that ``asks``; ``body`` is the request as it came."""
        try:
            outcome = await self._answered(plan, request, body, call_id)
        except RuntimeUnavailable:
            outcome = Fallback("runtime_unavailable")
        except Exception:  # noqa: BLE001 - a fault of ours must not become the caller's
            outcome = Fallback("fault")
        self.counts[outcome.reason] += 1
        return outcome

    async def shadow(
        self,
        plan: Plan,
        request: JsonObject,
        body: bytes,
        call_id: str,
        upstream_answer: JsonObject | None,
    ) -> Evidence | None:
        """Ask the shadows of a plan what they would have said; compare, and execute nothing.

        None where there is nothing to compare, the runtime does not answer, or too many wait.
        """
        if not plan.shadows or not is_comparable(upstream_answer):
            return None
        if self._shadow_places == 0:
            self.counts["shadow_dropped"] += 1
            return None
        self._shadow_places -= 1
        try:
            draft = await self._client.ask_patiently(
                body, offered(plan, shadows=True), self._shadow_budget_s
            )
            evidence = compared(plan, draft, call_id, upstream_answer)
            code = draft.code if isinstance(draft, RuntimeRefusal) else ""
        except RuntimeUnavailable:
            evidence, code = None, "unavailable"
        except Exception:  # noqa: BLE001 - a shadow may never be felt
            evidence, code = None, "fault"
        finally:
            self._shadow_places += 1
        self.counts[_shadow_code(evidence, code)] += 1
        return evidence

    async def _answered(
        self, plan: Plan, request: JsonObject, body: bytes, call_id: str
    ) -> Served | Fallback:
        draft = await self._client.ask(body, offered(plan, shadows=False))
        if isinstance(draft, RuntimeRefusal):
            return Fallback(draft.code)
        route, release = route_of(plan, draft), plan.releases.get(draft.specialist_id)
        if route is None or release is None:
            return Fallback("wrong_task")
        if route.threshold is None or draft.score < route.threshold:
            return Fallback("low_score", draft)
        reason = unfit(request, release, draft.completion)
        completion = None if reason else served_completion(request, draft, call_id, time.time())
        if completion is None:
            return Fallback(f"unfit:{reason or 'several_functions'}", draft)
        return Served(
            completion=completion,
            specialist_id=draft.specialist_id,
            task_id=draft.task_id,
            score=draft.score,
            reason=route.stage,
        )


def _shadow_code(evidence: Evidence | None, code: str) -> str:
    if evidence is not None:
        return "shadow_agreed" if evidence.agreed else "shadow_disagreed"
    return f"shadow_{code or 'incomparable'}"
