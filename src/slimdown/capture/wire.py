"""From an exchange of bytes with a model to a `Call`: three dialects, whole or as streams.

Total: whatever the bytes, a call comes out, and what could not be read is kept in it as bytes.
Runs off the client's path. Knows nothing of sockets, stores or routes.
"""

from __future__ import annotations

import re
from typing import Any, Literal

import msgspec

from slimdown.capture.dialects import DIALECTS, Dialect, chat
from slimdown.capture.dialects.assembled import Assembled
from slimdown.capture.times import iso_time
from slimdown.capture.wire_body import (
    Undecodable,
    header,
    json_object,
    kept_bytes,
    plain,
    repeats_a_key,
)
from slimdown.capture.wire_error import with_code
from slimdown.capture.wire_session import session_of_request
from slimdown.capture.wire_usage import without_bad_usage
from slimdown.exchange import Exchange
from slimdown.sse import SSEOverflow, SSEParser
from slimdown.types import Call, JsonObject

__all__ = ["Endpoint", "call_of", "endpoint_of", "session_of_request"]

Endpoint = Literal["chat", "responses", "messages", "completions", "embeddings"]
"""What a model is asked for; the paths of everything else are not calls."""

_PATHS: tuple[tuple[str, Endpoint], ...] = (
    ("/chat/completions", "chat"),
    ("/responses", "responses"),
    ("/messages", "messages"),
    ("/completions", "completions"),
    ("/embeddings", "embeddings"),
)
_NO_DIALECT = Dialect(chat.same, chat.same, chat.assemble)
_THREADS = re.compile(r"/threads/[^/]+/messages$")  # of the Assistants API: no model answers
_RAW_REQUEST_BYTES = 1 << 20
_RAW_RESPONSE_BYTES = 64 << 10


class _Answer(msgspec.Struct):
    """What a response body amounts to, as chat has it. ``error`` is "" for a whole answer."""

    response: JsonObject | None = None
    error: str = ""
    flags: list[str] = []
    notes: JsonObject = {}
    streamed: bool = False


def endpoint_of(method: str, path: str) -> Endpoint | None:
    """Return what a model is asked for by a request, or None where none is asked."""
    if method != "POST":
        return None
    bare = path.partition("?")[0].rstrip("/")
    found = next((endpoint for ending, endpoint in _PATHS if bare.endswith(ending)), None)
    return None if found == "messages" and _THREADS.search(bare) else found


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
    dialect = DIALECTS.get(endpoint or "")
    request = exchange.request
    notes: JsonObject = {}
    if request is None:
        request = json_object(exchange.request_body)
    if request is None or repeats_a_key(exchange.request_body, request):
        notes["raw_request"] = kept_bytes(exchange.request_body, _RAW_REQUEST_BYTES)
    native = request or {}
    answer = _answer(exchange, dialect)
    known = _known(exchange, endpoint, native, answer)
    return Call(
        id=exchange.call_id,
        request=dialect.request(native) if dialect else native,
        response=answer.response,
        started_at=iso_time(exchange.started_at),
        latency_ms=round(exchange.latency_ms, 3),
        session_id=session_of_request(exchange.request_headers, native),
        error=answer.error or None,
        metadata=_audience(exchange) | {"gateway": known | notes | answer.notes},
    )


def _answer(exchange: Exchange, dialect: Dialect | None) -> _Answer:
    """Return what came back; how the exchange ended counts before what it says."""
    try:
        body = plain(exchange.response_body, exchange.response_headers)
    except Undecodable as error:
        return _unreadable(exchange, exchange.response_body, str(error))
    answer = _read(exchange, dialect, body)
    if exchange.outcome != "ok":
        answer.error = exchange.outcome
    return answer


def _read(exchange: Exchange, dialect: Dialect | None, body: bytes) -> _Answer:
    start = body.lstrip(b"\xef\xbb\xbf \t\r\n")[:16]  # some send blanks to keep a line alive
    if start[:1] == b"{":
        value = json_object(body)
        if value is not None:
            return _judged(exchange, dialect, value, None)
    elif dialect and _is_stream(exchange, start):
        return _streamed(exchange, dialect, body)
    if _failed(exchange.status):
        return _unreadable(exchange, body, f"upstream_status_{exchange.status}")
    return _unreadable(exchange, body, "upstream_invalid")


def _streamed(exchange: Exchange, dialect: Dialect, body: bytes) -> _Answer:
    parser = SSEParser()
    try:
        events = parser.feed(body) + parser.close()
    except SSEOverflow:
        return _unreadable(exchange, body, "upstream_invalid")
    assembled = dialect.assemble(events)
    return _judged(exchange, dialect, assembled.answer, assembled)


def _judged(
    exchange: Exchange, dialect: Dialect | None, native: JsonObject, assembled: Assembled | None
) -> _Answer:
    """Return an answer in chat's words, with what is wrong with it."""
    failure = assembled.failure if assembled else (dialect or _NO_DIALECT).failure(native)
    if dialect is None or (failure and assembled is None):
        return _Answer(native, _error(exchange, failure, assembled))
    response = dialect.answer(native)
    error = _error(exchange, failure, assembled)
    if not response.get("choices"):
        return _Answer(response, error or "upstream_invalid", streamed=assembled is not None)
    usages = assembled.usages if assembled else ()
    response, aside = without_bad_usage(response, usages)
    flags = ["inconsistent"] if assembled and assembled.inconsistent else []
    return _Answer(
        response,
        error,
        flags=flags + (["usage_unusable"] if aside else []),
        notes={"usage_set_aside": aside} if any(aside) else {},
        streamed=assembled is not None,
    )


def _error(exchange: Exchange, failure: Any, assembled: Assembled | None) -> str:
    if _failed(exchange.status):
        return with_code(f"upstream_status_{exchange.status}", failure)
    if failure:
        return with_code("upstream_error", failure)
    if exchange.cut:
        return "recorded_in_part"
    return _fault_of(assembled) if assembled else ""


def _fault_of(assembled: Assembled) -> str:
    if not assembled.whole:
        return "upstream_truncated"
    if assembled.unreadable:
        return "upstream_invalid"
    return "upstream_inconsistent" if assembled.inconsistent else ""


def _unreadable(exchange: Exchange, body: bytes, code: str) -> _Answer:
    """Return what is known of a body that is no answer, with its bytes."""
    error = "recorded_in_part" if exchange.cut else code
    kept = kept_bytes(body, _RAW_RESPONSE_BYTES) if body else None
    if exchange.outcome != "ok":
        error = exchange.outcome
    return _Answer(error=error, notes={"raw_response": kept} if kept else {})


def _failed(status: int | None) -> bool:
    return status is not None and not 200 <= status < 300


def _is_stream(exchange: Exchange, start: bytes) -> bool:
    if "event-stream" in header(exchange.response_headers, b"content-type"):
        return True
    return start.startswith((b"data:", b"event:", b":", b"id:", b"retry:"))


def _known(
    exchange: Exchange, endpoint: Endpoint | None, request: JsonObject, answer: _Answer
) -> JsonObject:
    """Return what the gateway knows of a call, without what is empty."""
    user = request.get("user")
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
        "end_user": user[:200] if isinstance(user, str) else None,
        "flags": answer.flags,
        "facts": exchange.facts,
    }
    return {key: value for key, value in known.items() if value not in (None, "", [], {})}


def _audience(exchange: Exchange) -> JsonObject:
    """Return for whom the caller says that the answer is, under the key that curation reads."""
    told = header(exchange.request_headers, b"x-slimdown-audience")
    return {"audience": told} if told in ("human", "machine") else {}


def _kept_raw(exchange: Exchange, fault: str) -> Call:
    """Return the call of an exchange that we failed to read, with its bytes."""
    known = {
        "status": exchange.status,
        "outcome": exchange.outcome,
        "served_by": exchange.served_by,
        "fault": fault,
        "raw_request": kept_bytes(exchange.request_body, _RAW_REQUEST_BYTES),
        "raw_response": kept_bytes(exchange.response_body, _RAW_RESPONSE_BYTES),
    }
    return Call(
        id=exchange.call_id,
        request={},
        started_at=iso_time(exchange.started_at),
        latency_ms=exchange.latency_ms,
        error="unreadable" if exchange.outcome == "ok" else exchange.outcome,
        metadata={"gateway": known},
    )
