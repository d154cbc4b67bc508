"""One HTTP exchange with a model, as the gateway saw it: bytes, times, and how it ended.

It is what the hot path hands to the recorder; turning it into a `Call` is for `capture`, off the
client's path. Knows no dialect and does no I/O.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from slimdown.types import JsonObject

Headers = Sequence[tuple[bytes, bytes]]
"""Header lines in order, as ASGI has them: names in lower case."""

Outcome = Literal[
    "ok",
    "client_disconnected",
    "upstream_unreachable",
    "upstream_timeout",
    "upstream_stalled",
    "upstream_truncated",
    "upstream_invalid",
    "too_large",
    "gateway_fault",
]
"""How an exchange ended for us; an answer with an error status is ``ok`` here: it was relayed."""


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """One request and what came back, as bytes.

    ``request`` is the decoded body where the hot path decoded it. ``response_body`` holds the
    bytes as they were sent, still under ``content-encoding``, up to a bound; ``cut`` tells that
    there were more. ``started_at`` is in seconds since the epoch, ``latency_ms`` and
    ``first_byte_ms`` (of the body; None if none came) since then, by a monotonic clock.
    ``served_by`` is "upstream" or a specialist's id; ``upstream`` is the upstream's name.
    """

    call_id: str
    path: str
    request_headers: Headers
    request_body: bytes
    request: JsonObject | None = None
    status: int | None = None
    response_headers: Headers = ()
    response_body: bytes = b""
    cut: bool = False
    outcome: Outcome = "ok"
    detail: str = ""
    started_at: float
    latency_ms: float
    first_byte_ms: float | None = None
    served_by: str = "upstream"
    upstream: str = ""
    task_id: str = ""
    reason: str = ""
    score: float | None = None
    facts: dict[str, Any] = {}
