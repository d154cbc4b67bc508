"""Who is asked for one call, decided before anybody is: the request against the routes in force."""

from __future__ import annotations

import msgspec

from slimdown.backends.reply import RuntimeAnswer
from slimdown.gateway.in_force import InForce
from slimdown.route import decide
from slimdown.types import Decision, JsonObject, Release, Route


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Who is asked for one call, decided before anybody is.

    There is a decision for each task that the request may belong to and that has a route; with
    several, ``task_id`` is "" until the runtime has told which it is.
    """

    reason: str
    task_id: str = ""
    decisions: tuple[Decision, ...] = ()
    releases: dict[str, Release] = {}

    @property
    def asks(self) -> bool:
        """Whether a specialist may answer the caller."""
        return any(decision.asks_specialist for decision in self.decisions)

    @property
    def shadows(self) -> bool:
        """Whether a specialist is to be asked after the caller has the upstream's answer."""
        return any(decision.shadows for decision in self.decisions)


NO_ROUTE = Plan(reason="no_route")


def planned(routing: InForce, request: JsonObject, off: bool, session: str) -> Plan:
    """Return the plan of a request; ``off`` is the caller's wish for the upstream, ``session`` what
    a canary sticks to."""
    tasks = routing.candidates.of(request)
    if not tasks:
        return Plan(reason="no_task")
    # Where content decides too, it is the runtime that knows.
    task_id = tasks[0].id if len(tasks) == 1 and not tasks[0].centroid else ""
    routes = [routing.routes[task.id] for task in tasks if task.id in routing.routes]
    if not routes:
        return Plan(reason="off" if off else "no_route", task_id=task_id)
    releases = routing.releases
    decisions = tuple(
        decide(request, off, route, releases.get(route.specialist_id), session) for route in routes
    )
    # Of several, the one that gets furthest gives the reason.
    first = max(decisions, key=lambda d: (d.asks_specialist, d.shadows))
    return Plan(reason=first.reason, task_id=task_id, decisions=decisions, releases=releases)


def offered(plan: Plan, *, shadows: bool) -> list[str]:
    """Return the ids of the specialists that a plan asks, or of those that shadow."""
    wanted = [d for d in plan.decisions if (d.shadows if shadows else d.asks_specialist)]
    return [decision.route.specialist_id for decision in wanted if decision.route]


def route_of(plan: Plan, draft: RuntimeAnswer) -> Route | None:
    """Return the route by which a draft's specialist was asked for the draft's task."""
    named = (draft.task_id, draft.specialist_id)
    routes = [d.route for d in plan.decisions if d.route and (d.asks_specialist or d.shadows)]
    return next((r for r in routes if (r.task_id, r.specialist_id) == named), None)
