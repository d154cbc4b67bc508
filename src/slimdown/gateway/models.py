"""Specialists by name: listed beside the upstream's models, and asked for outright.

A caller that asks for ``slimdown/TASK`` gets the live specialist's answer or an error: there is no
upstream behind that name to fall back on.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from slimdown.capture.wire_body import Undecodable, json_object, plain
from slimdown.exchange import Headers
from slimdown.gateway.in_force import InForce
from slimdown.gateway.inbound import Inbound
from slimdown.gateway.outgoing import header
from slimdown.gateway.planning import Plan
from slimdown.route.parameters import unsupported
from slimdown.types import Decision, JsonObject, Route

_OF_THE_BYTES = frozenset((b"content-encoding", b"content-md5", b"digest", b"etag"))

PREFIX = "slimdown/"
"""What a specialist's model name begins with."""


def is_list(inbound: Inbound) -> bool:
    """Tell whether a request is for the list of models in OpenAI's shape; Anthropic's callers could
    not ask what we would add."""
    asked = inbound.method == "GET" and inbound.path.rstrip("/").endswith("/v1/models")
    return asked and not header(inbound.headers, b"anthropic-version")


def live(routes: Iterable[Route]) -> list[Route]:
    """Return the routes whose specialists may be asked for by name."""
    return [route for route in routes if route.stage == "live"]


def with_specialists(
    body: bytes, headers: Headers, routes: Iterable[Route]
) -> tuple[bytes, Headers]:
    """Return an upstream's list of models with live specialists added, and the headers that it
    then has; what is no such list, as it is."""
    try:
        listed = json_object(plain(body, headers))
    except Undecodable:
        return body, headers
    if listed is None or not isinstance(listed.get("data"), list):
        return body, headers
    ours = [
        {"id": PREFIX + route.task_name, "object": "model", "created": 0, "owned_by": "slimdown"}
        for route in live(routes)
    ]
    made = msgspec.json.encode({**listed, "data": [*listed["data"], *ours]})
    return made, [line for line in headers if line[0] not in _OF_THE_BYTES]


def plan_by_name(request: JsonObject, routing: InForce) -> Plan | None:
    """Return the plan of a call that asks for a specialist by name; None if none is live.

    It asks nobody, and says why, where the request wants what no specialist gives.
    """
    wanted = request["model"].removeprefix(PREFIX)
    route = next((r for r in live(routing.table.routes) if r.task_name == wanted), None)
    if route is None or route.specialist_id not in routing.releases:
        return None
    parameter = unsupported(request)
    reason = f"unsupported:{parameter}" if parameter else "by_name"
    decision = Decision(reason, route, asks_specialist=not parameter)
    return Plan(
        reason=reason, task_id=route.task_id, decisions=(decision,), releases=routing.releases
    )
