"""From an exchange of bytes with a model to a `Call`: every dialect, whole or as a stream.

Total: whatever the bytes, a call comes out, and what could not be read is kept in it as bytes.
Runs off the client's path. Knows nothing of sockets, stores or routes.
"""

from __future__ import annotations

import re
import time
from functools import lru_cache
from typing import Literal

from slimdown.capture.dialects import DIALECTS
from slimdown.capture.wire_answer import RAW_RESPONSE_BYTES, WireAnswer, answer_in
from slimdown.capture.wire_body import header, json_object, kept_bytes, repeats_a_key
from slimdown.capture.wire_parts import lightened
from slimdown.capture.wire_session import session_of_request
from slimdown.exchange import Exchange
from slimdown.types import Call, JsonObject

__all__ = ["Endpoint", "call_of", "endpoint_of", "session_of_request"]

Endpoint = Literal["chat", "responses", "messages", "completions", "embeddings"]
"""What a model is asked for; the paths of everything else are not calls."""

RAW_REQUEST_BYTES = 1 << 20
"""How much is kept of a request that cannot be decoded, or not without loss."""

_ENDPOINTS: tuple[tuple[str, Endpoint], ...] = (
    ("/chat/completions", "chat"),
    ("/responses", "responses"),
    ("/messages", "messages"),
    ("/completions", "completions"),
    ("/embeddings", "embeddings"),
)
_THREAD = re.compile(r"/threads/[^/]+/messages$")  # of the Assistants API: no model answers
_LONGEST_NAME = 200
_LATEST_S = 253_402_300_799.0  # the last second of the year 9999


def endpoint_of(method: str, path: str) -> Endpoint | None:
    """Return what a model is asked for by a request, or None where none is asked."""
    return _endpoint(path) if method == "POST" and len(path) <= 2048 else None


def call_of(exchange: Exchange) -> Call:
    """Return the call of an exchange; never raises.

    Request and response are in chat's words, whatever the dialect. ``error`` is None only for a
    whole, successful answer, else a short stable code, after which the provider's own may follow.
    ``metadata["gateway"]`` holds what is known of the exchange (docs/decisions/0010-wire.md).
    """
    try:
        return _call(exchange)
    except Exception as fault:  # noqa: BLE001 - a fault of ours must not lose a call
        return _kept_raw(exchange, type(fault).__name__)


def _call(exchange: Exchange) -> Call:
    endpoint = endpoint_of("POST", exchange.path)
    body = exchange.request_body
    request = json_object(body) if exchange.request is None else exchange.request
    answer = answer_in(exchange, endpoint)
    if body and (request is None or repeats_a_key(body, request)):
        answer.notes["raw_request"] = kept_bytes(body, RAW_REQUEST_BYTES)
    native, dropped = lightened(request or {}, len(body))
    if dropped:
        answer.notes["dropped_parts"] = dropped
    dialect = DIALECTS.get(endpoint or "")
    return Call(
        id=exchange.call_id,
        request=dialect.request(native) if dialect and native else native,
        response=answer.response,
        started_at=_utc(exchange.started_at),
        latency_ms=round(exchange.latency_ms, 3),
        session_id=session_of_request(exchange.request_headers, request or {}),
        error=answer.error or None,
        metadata=_metadata(exchange, endpoint, native, answer),
    )


def _metadata(
    exchange: Exchange, endpoint: Endpoint | None, request: JsonObject, answer: WireAnswer
) -> JsonObject:
    """Return what the gateway knows of a call, without what is empty."""
    known = {
        "endpoint": endpoint,
        "status": exchange.status,
        "stream": answer.streamed or request.get("stream") is True,
        "outcome": exchange.outcome,
        "ttft_ms": exchange.first_byte_ms,
        "served_by": exchange.served_by,
        "task": exchange.task_id,
        "reason": exchange.reason,
        "score": exchange.score,
        "upstream": exchange.upstream,
        "detail": exchange.detail,
        "end_user": _end_user(request),
        "flags": answer.flags,
        "facts": exchange.facts,
        **answer.notes,
    }
    metadata: JsonObject = {"gateway": {k: v for k, v in known.items() if v or v in (0, False)}}
    audience = header(exchange.request_headers, b"x-slimdown-audience")
    if audience in ("human", "machine"):
        metadata["audience"] = audience
    return metadata


def _end_user(request: JsonObject) -> str:
    """Return who the caller says that the end user is: OpenAI's ``user``, Anthropic's metadata."""
    told = request.get("user") or request.get("safety_identifier")
    metadata = request.get("metadata")
    if not told and isinstance(metadata, dict):
        told = metadata.get("user_id")
    return told[:_LONGEST_NAME] if isinstance(told, str) else ""


@lru_cache(maxsize=1024)
def _endpoint(path: str) -> Endpoint | None:
    bare = path.partition("?")[0].rstrip("/")
    found = next((endpoint for ending, endpoint in _ENDPOINTS if bare.endswith(ending)), None)
    return None if found == "messages" and _THREAD.search(bare) else found


def _utc(seconds: float) -> str | None:
    """Return a time as ISO 8601 in UTC with milliseconds; None where a clock went mad."""
    if not 0 < seconds <= _LATEST_S:
        return None
    whole, milliseconds = divmod(round(seconds * 1000), 1000)
    return f"{_second(whole)}.{milliseconds:03d}Z"


@lru_cache(maxsize=16)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def _kept_raw(exchange: Exchange, fault: str) -> Call:
    """Return the call of an exchange that we failed to read, with its bytes."""
    known = {
        "status": exchange.status,
        "outcome": exchange.outcome,
        "served_by": exchange.served_by,
        "flags": ["unreadable"],
        "fault": fault,
        "raw_request": kept_bytes(exchange.request_body, RAW_REQUEST_BYTES),
        "raw_response": kept_bytes(exchange.response_body, RAW_RESPONSE_BYTES),
    }
    return Call(
        id=exchange.call_id,
        request={},
        started_at=_utc(exchange.started_at),
        latency_ms=exchange.latency_ms,
        error="unreadable" if exchange.outcome == "ok" else exchange.outcome,
        metadata={"gateway": known},
    )
