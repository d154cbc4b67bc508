"""Specialists by name: listed beside the upstream's models, and asked for outright.

A caller that asks for ``slimdown/TASK`` gets the live specialist's answer or an error: there is no
upstream behind that name to fall back on.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from slimdown.gateway.in_force import InForce
from slimdown.gateway.planning import Plan
from slimdown.types import Decision, Route

PREFIX = "slimdown/"
"""What a specialist's model name begins with."""


def is_list(method: str, path: str) -> bool:
    """Tell whether a request is for the list of models."""
    return method == "GET" and path.rstrip("/").endswith("/v1/models")


def live(routes: Iterable[Route]) -> list[Route]:
    """Return the routes whose specialists may be asked for by name."""
    return [route for route in routes if route.stage == "live"]


def with_specialists(body: bytes, routes: Iterable[Route]) -> bytes:
    """Return an upstream's list of models with live specialists added; another shape as it is."""
    try:
        listed = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return body
    if not isinstance(listed, dict) or not isinstance(listed.get("data"), list):
        return body
    ours = [
        {"id": PREFIX + route.task_name, "object": "model", "created": 0, "owned_by": "slimdown"}
        for route in live(routes)
    ]
    return msgspec.json.encode({**listed, "data": [*listed["data"], *ours]})


def plan_by_name(model: str, routing: InForce) -> Plan | None:
    """Return the plan of a call that asks for a specialist by name; None if none is live."""
    wanted = model.removeprefix(PREFIX)
    route = next((r for r in live(routing.table.routes) if r.task_name == wanted), None)
    if route is None or route.specialist_id not in routing.releases:
        return None
    decision = Decision("by_name", route, asks_specialist=True)
    return Plan(
        reason="by_name", task_id=route.task_id, decisions=(decision,), releases=routing.releases
    )
