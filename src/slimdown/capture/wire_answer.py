"""What came back from a model, as chat has it: the answer, what is wrong with it, what is odd.

Reads JSON and event streams of every dialect. Never raises for what an upstream sent: a body that
is no answer is kept as bytes. Knows nothing of requests.
"""

from __future__ import annotations

from typing import Any

import msgspec

from slimdown.capture.dialects import DIALECTS, Dialect
from slimdown.capture.dialects.assembled import Assembled, failure_in
from slimdown.capture.dialects.embeddings import without_vectors
from slimdown.capture.wire_body import Undecodable, header, json_object, kept_bytes, plain
from slimdown.capture.wire_error import with_code
from slimdown.capture.wire_parts import lightened
from slimdown.capture.wire_usage import usable
from slimdown.exchange import Exchange
from slimdown.sse import SSEOverflow, SSEParser
from slimdown.types import JsonObject

RAW_RESPONSE_BYTES = 64 << 10
"""How much is kept of a body that is no answer."""

_BLANKS = b"\xef\xbb\xbf \t\r\n"
_FIELDS = (b"data:", b"event:", b":", b"id:", b"retry:")


class WireAnswer(msgspec.Struct):
    """An answer in chat's words, as far as it came.

    ``error`` is "" for a whole, successful one. ``flags`` are short stable codes of what is odd,
    ``notes`` what was moved or kept aside, by its name.
    """

    response: JsonObject | None = None
    error: str = ""
    streamed: bool = False
    flags: list[str] = []
    notes: JsonObject = {}


def answer_in(exchange: Exchange, endpoint: str | None) -> WireAnswer:
    """Return what came back; how the exchange ended counts before what the bytes say."""
    body = exchange.response_body
    try:
        body = plain(body, exchange.response_headers)
        answer = _read(exchange, endpoint, body)
    except Undecodable as error:
        answer = _unreadable(exchange, body, "upstream_invalid")
        answer.flags.append(str(error))
    if exchange.outcome != "ok":
        answer.error = exchange.outcome
    return answer


def _read(exchange: Exchange, endpoint: str | None, body: bytes) -> WireAnswer:
    if endpoint == "embeddings":
        found = without_vectors(body)
        if found is not None:
            return _embedded(exchange, *found)
        return _unembedded(exchange, body)
    dialect = DIALECTS.get(endpoint or "")
    # Some upstreams send blanks before the body, to keep the line alive.
    start = body[:1] if body[:1] == b"{" else body.lstrip(_BLANKS)[:8]
    if start[:1] == b"{":
        native = json_object(body)
        if native is not None:
            return _whole(exchange, dialect, native, body)
    elif dialect is not None and _is_stream(exchange, start):
        return _streamed(exchange, dialect, body)
    return _unreadable(exchange, body, "upstream_invalid")


def _whole(
    exchange: Exchange, dialect: Dialect | None, native: JsonObject, body: bytes
) -> WireAnswer:
    native, dropped = lightened(native, len(body))
    failure = dialect.failure(native) if dialect else failure_in(native)
    error = _error(exchange, failure)
    if dialect is None or failure:
        answer = WireAnswer(native, error)
    else:
        answer = _checked(dialect.answer(native), error)
    if dropped:
        answer.notes["dropped_answer_parts"] = dropped
    return answer


def _streamed(exchange: Exchange, dialect: Dialect, body: bytes) -> WireAnswer:
    parser = SSEParser()
    try:
        events = parser.feed(body) + parser.close()
    except SSEOverflow:
        return _unreadable(exchange, body, "upstream_invalid")
    assembled = dialect.assemble(events)
    native, dropped = lightened(assembled.answer, len(body))
    error = _error(exchange, assembled.failure) or _fault_of(assembled)
    answer = _checked(dialect.answer(native), error, unsure=assembled.unsure_usage)
    answer.streamed = True
    if assembled.inconsistent:
        answer.flags.append("inconsistent")
    if dropped:
        answer.notes["dropped_answer_parts"] = dropped
    return answer


def _checked(response: JsonObject, error: str, *, unsure: bool = False) -> WireAnswer:
    """Return an answer without token counts that nobody should trust with a bill."""
    if not response.get("choices"):
        return WireAnswer(response, error or "upstream_invalid")
    usage = response.get("usage")
    answer = WireAnswer(response, error)
    if not unsure and usable(usage):
        return answer
    if usage is None and error:
        return answer  # it broke off before it came to its usage
    answer.flags.append("usage_unusable")
    if usage is not None:
        answer.response = {key: value for key, value in response.items() if key != "usage"}
        answer.notes["usage_set_aside"] = usage
    return answer


def _embedded(exchange: Exchange, response: JsonObject, dropped: JsonObject) -> WireAnswer:
    answer = WireAnswer(response, _error(exchange, None), notes={"dropped_vectors": dropped})
    if not usable(response.get("usage")):
        answer.flags.append("usage_unusable")
        answer.notes["usage_set_aside"] = response.pop("usage", None)
    return answer


def _unembedded(exchange: Exchange, body: bytes) -> WireAnswer:
    native = json_object(body)
    if native is None:
        return _unreadable(exchange, body, "upstream_invalid")
    error = _error(exchange, failure_in(native))
    return WireAnswer(native, error or "upstream_invalid")


def _error(exchange: Exchange, failure: Any) -> str:
    if _failed(exchange):
        return with_code(f"upstream_status_{exchange.status}", failure)
    if failure:
        return with_code("upstream_error", failure)
    return "recorded_in_part" if exchange.cut else ""


def _fault_of(assembled: Assembled) -> str:
    if not assembled.whole:
        return "upstream_truncated"
    if assembled.unreadable:
        return "upstream_invalid"
    return "upstream_inconsistent" if assembled.inconsistent else ""


def _unreadable(exchange: Exchange, body: bytes, code: str) -> WireAnswer:
    """Return what is known of a body that is no answer, with its bytes."""
    answer = WireAnswer(error=_error(exchange, None) or code)
    if body:
        answer.notes["raw_response"] = kept_bytes(body, RAW_RESPONSE_BYTES)
    return answer


def _failed(exchange: Exchange) -> bool:
    return exchange.status is not None and not 200 <= exchange.status < 300


def _is_stream(exchange: Exchange, start: bytes) -> bool:
    if start.startswith(_FIELDS):
        return True
    return "event-stream" in header(exchange.response_headers, b"content-type")
