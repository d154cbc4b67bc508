"""A call in parts: what repeats between calls apart from what is its own.

The messages of a request, its tool list, the rest of it, the answer message, and the frame (the
keys of response and metadata, without the values) are parts that other calls share; the envelope
holds what is left. `unpack` returns exactly what `pack` took apart, key order included. Knows
nothing of databases, keys or hashes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from slimdown.answer import answer_message
from slimdown.types import Call, JsonObject

_ENCODE = msgspec.msgpack.Encoder().encode
_FRAME_DEPTH = 8  # deeper down a value counts as one, so that no nesting exhausts the stack
_NESTED = frozenset((dict, list))
_MOST_APART = 10_000  # messages that are parts of their own; more are one part together
_DECODE = msgspec.msgpack.Decoder().decode


class CallRow(msgspec.Struct, frozen=True, kw_only=True):
    """The plain facts of a call, for a list. ``status`` is ``ok``, ``error``, ``unanswered``,
    or ``broken`` where the record does not open and ``id`` is only its number. ``served_by`` is
    "upstream" or a specialist's id where the gateway recorded the call."""

    id: str
    started_at: str | None
    model: str | None
    latency_ms: float | None
    n_messages: int
    prompt_tokens: int | None
    completion_tokens: int | None
    status: str
    served_by: str | None = None


class Envelope(msgspec.Struct, frozen=True, array_like=True):
    """What a call has for itself. ``values`` are those of its response and metadata, in the order
    of the frame."""

    id: str
    values: list[Any]
    started_at: str | None
    session_id: str | None
    error: str | None
    label: Any


class Parts(msgspec.Struct, frozen=True):
    """The shared parts of a call, each encoded. None stands for one that the call does not have."""

    messages: Sequence[bytes] | None
    tools: bytes | None
    rest: bytes
    frame: bytes
    answer: bytes | None

    @property
    def n_bytes(self) -> int:
        """Size of the encoded parts, which bounds what a batch holds in memory."""
        parts = (*(self.messages or ()), self.tools or b"", self.rest, self.answer or b"")
        return sum(map(len, parts))


class Packed(msgspec.Struct, frozen=True):
    """A call in parts, encoded, so that a batch of them holds no decoded calls."""

    facts: CallRow
    envelope: bytes
    parts: Parts


def pack(call: Call) -> Packed:
    """Take a call apart; raises `TypeError` if it holds a value that JSON has no word for."""
    request = dict(call.request)
    messages = _take_list(request, "messages")
    tools = _take_list(request, "tools")
    answer = answer_message(call.response)
    response = call.response if answer is None else _with_answer(call.response, None)
    values: list[Any] = []
    frame = _frame([response, call.metadata], values)
    parts = Parts(
        messages=None if messages is None else list(map(encode, messages)),
        tools=None if tools is None else encode(tools),
        rest=encode(request),
        frame=encode(frame),
        answer=None if answer is None else encode(answer),
    )
    envelope = Envelope(
        id=call.id,
        values=values,
        started_at=None if is_plain(call.started_at) else call.started_at,
        session_id=call.session_id,
        error=call.error,
        label=call.label,
    )
    return Packed(facts(call), encode(msgspec.structs.astuple(envelope)), parts)


def decode_envelope(data: bytes) -> Envelope:
    """Return the envelope whose bytes these are."""
    return Envelope(*decode(data))


def unpack(envelope: Envelope, row: CallRow, parts: Parts) -> Call:
    """Put a call together from its envelope, its plain facts and its shared parts."""
    request: JsonObject = decode(parts.rest)
    if parts.messages is not None:
        request["messages"] = [decode(message) for message in parts.messages]
    if parts.tools is not None:
        request["tools"] = decode(parts.tools)
    response, metadata = _filled(decode(parts.frame), iter(envelope.values))
    if parts.answer is not None:
        response = _with_answer(response, decode(parts.answer))
    return Call(
        id=envelope.id,
        request=request,
        response=response,
        started_at=row.started_at if envelope.started_at is None else envelope.started_at,
        latency_ms=row.latency_ms,
        session_id=envelope.session_id,
        error=envelope.error,
        label=envelope.label,
        metadata=metadata,
    )


def facts(call: Call) -> CallRow:
    """Return the plain facts of a call; what is missing or of an odd type is None."""
    usage = (call.response or {}).get("usage")
    usage = usage if isinstance(usage, dict) else {}
    messages = call.request.get("messages")
    return CallRow(
        id=call.id,
        started_at=_text(call.started_at),
        model=_text(call.request.get("model")),
        latency_ms=call.latency_ms,
        n_messages=len(messages) if isinstance(messages, list) else 0,
        prompt_tokens=_count(usage.get("prompt_tokens")),
        completion_tokens=_count(usage.get("completion_tokens")),
        status=_status(call),
        served_by=_served_by(call),
    )


def encode(value: Any) -> bytes:
    """Return a JSON value as bytes: MessagePack, or JSON text where MessagePack cannot hold it.

    The latter are integers beyond 64 bits and lone surrogates, which Python's JSON carries.
    """
    try:
        return _ENCODE(value)
    except (OverflowError, UnicodeEncodeError):
        return json.dumps([value], ensure_ascii=False).encode("utf-8", "surrogatepass")


def decode(data: bytes) -> Any:
    """Return what `encode` took."""
    # In MessagePack a first byte "[" is the number 91, whole in that one byte.
    if data[:1] == b"[" and len(data) > 1:
        return json.loads(data.decode("utf-8", "surrogatepass"))[0]
    return _DECODE(data)


def _take_list(request: JsonObject, name: str) -> list[Any] | None:
    """Return the list under ``name`` and leave None in its place, which keeps the key order.

    None where there is none, or one so long that its parts would take seconds to store.
    """
    value = request.get(name)
    if not isinstance(value, list) or len(value) > _MOST_APART:
        return None
    request[name] = None
    return value


def _with_answer(response: JsonObject | None, answer: JsonObject | None) -> JsonObject:
    assert response is not None, "only a response with an answer is taken apart"
    first, *others = response["choices"]
    return {**response, "choices": [{**first, "message": answer}, *others]}


def _frame(value: Any, values: list[Any], depth: int = _FRAME_DEPTH) -> Any:
    """Return a value with None in place of what is neither object nor list; append that."""
    if depth:
        # A leaf is taken here rather than by a call of its own, since most values are leaves.
        take, deeper = values.append, depth - 1
        if type(value) is dict:
            return {
                key: _frame(inner, values, deeper) if type(inner) in _NESTED else take(inner)
                for key, inner in value.items()
            }
        if type(value) is list:
            return [
                _frame(inner, values, deeper) if type(inner) in _NESTED else take(inner)
                for inner in value
            ]
    values.append(value)
    return None


def _filled(frame: Any, values: Iterator[Any]) -> Any:
    """Return the value that `_frame` took apart."""
    if type(frame) is dict:
        return {key: _filled(inner, values) for key, inner in frame.items()}
    if type(frame) is list:
        return [_filled(inner, values) for inner in frame]
    return next(values)


def _status(call: Call) -> str:
    if call.error is not None:
        return "error"
    return "unanswered" if call.response is None else "ok"


def _served_by(call: Call) -> str | None:
    gateway = call.metadata.get("gateway")
    return _text(gateway.get("served_by")) if isinstance(gateway, dict) else None


def is_plain(text: Any) -> bool:
    """Tell whether a text can stand in a plain column: short printable ASCII, such as a time."""
    return isinstance(text, str) and 0 < len(text) <= 200 and text.isascii() and text.isprintable()


def _text(value: Any) -> str | None:
    return value if is_plain(value) else None


def _count(value: Any) -> int | None:
    fits = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63
    return value if fits else None
