"""Who is asked for a call: its task's specialist, the upstream, or the upstream and then both.

A pure function of the request, the task's route and the release it names. A specialist is asked
only what it was made for; whatever else a request holds, the upstream knows and we do not.
"""

from __future__ import annotations

import hashlib

from slimdown.route.parameters import unsupported
from slimdown.signature import messages_of, specialist_input
from slimdown.types import Decision, JsonObject, Release, Route


def decide(
    request: JsonObject,
    headers_off: bool,
    route: Route | None,
    release: Release | None,
    session: str,
) -> Decision:
    """Return who is asked for a request of the route's task.

    ``headers_off`` is the caller's own wish for the upstream. The reason is one of "off",
    "no_route", "retired", "canary_not_drawn", "no_release", "void", "unsupported:" with the
    parameter, "other_model", "too_long", or the stage by which the specialist is asked.
    """
    if headers_off:
        return Decision("off", route)
    if route is None:
        return Decision("no_route")
    reason = _not_routed(route, session)
    if reason or release is None:
        return Decision(reason or "no_release", route)
    reason = "void" if _void(route, release) else _unsuited(request, release)
    if reason:
        return Decision(reason, route)
    shadows = route.stage == "shadow"
    return Decision(route.stage, route, asks_specialist=not shadows, shadows=shadows)


def drawn(route: Route, session: str) -> bool:
    """Tell whether a session is one of the canary's: the same at every call, and monotone in
    ``share``, so that a larger canary keeps the sessions of the smaller one."""
    # Hashed with the specialist, lest the same sessions bear every canary.
    text = f"{route.task_id}\0{route.specialist_id}\0{session}"
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    # 53 bits: a double holds the quotient exactly, so that it stays below a share of 1.
    return (int.from_bytes(digest) >> 11) / 2**53 < route.share


def _not_routed(route: Route, session: str) -> str:
    if route.stage == "retired":
        return "retired"
    if route.stage == "canary" and not drawn(route, session):
        return "canary_not_drawn"
    return ""


def _unsuited(request: JsonObject, release: Release) -> str:
    """Return why a request is not what a specialist was made for, "" if it is."""
    if len(messages_of(request)) > len(release.task.template.slots) + release.longest_input:
        return "too_long"  # without a look at each of very many
    parameter = unsupported(request)
    if parameter:
        return f"unsupported:{parameter}"
    if request.get("model") not in release.models:
        return "other_model"
    if len(specialist_input(release.task, request)) > release.longest_input:
        return "too_long"
    return ""


def _void(route: Route, release: Release) -> bool:
    """Tell whether the release is not what the route says, or may not do what the route wants."""
    if (route.specialist_id, route.task_id) != (release.specialist_id, release.task.id):
        return True
    if route.stage == "shadow":
        return False
    return route.threshold is None or release.certificate is None
