"""A recorded completion as Anthropic's messages give it, whole or as a stream.

Source: the streaming page of Anthropic's API reference. Says the first choice alone, as the dialect
has no others.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from slimdown.answer import parse_json
from slimdown.replay.pieces import Said, count, event, pieces, said
from slimdown.types import JsonObject

_STOPS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
}
_CACHED = ("prompt_tokens_details", "cached_tokens")


def body(completion: JsonObject, _request: JsonObject) -> JsonObject:
    """Return the message that a completion's first choice is."""
    first = said(completion)
    return {
        **_opened(completion),
        "content": [block for block, _ in _blocks(first)],
        "stop_reason": _stop_reason(first),
        "usage": _usage(completion),
    }


def events(completion: JsonObject, _request: JsonObject) -> list[bytes]:
    """Return the events of its stream, from ``message_start`` to ``message_stop``."""
    return [event(value) for value in _values(completion)]


def error(recorded: JsonObject) -> JsonObject:
    """Return an error in Anthropic's shape."""
    told = recorded["error"]
    kind, message = told.get("type") or "api_error", told.get("message") or ""
    return {"type": "error", "error": {"type": kind, "message": message}}


def _values(completion: JsonObject) -> Iterator[JsonObject]:
    first, usage = said(completion), _usage(completion)
    started = {**_opened(completion), "content": [], "stop_reason": None}
    started["usage"] = {**usage, "output_tokens": 0}
    yield {"type": "message_start", "message": started}
    for index, (block, deltas) in enumerate(_blocks(first)):
        empty: JsonObject = {"text": ""} if block["type"] == "text" else {"input": {}}
        yield {"type": "content_block_start", "index": index, "content_block": block | empty}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    ended = {"stop_reason": _stop_reason(first), "stop_sequence": None}
    yield {"type": "message_delta", "delta": ended, "usage": usage}
    yield {"type": "message_stop"}


def _blocks(first: Said) -> list[tuple[JsonObject, list[JsonObject]]]:
    """Return the content blocks, each with the deltas that make it."""
    text = first.text or first.refusal
    found = []
    if text:
        deltas = [{"type": "text_delta", "text": piece} for piece in pieces(text)]
        found.append(({"type": "text", "text": text}, deltas))
    return [*found, *map(_tool_block, first.tool_calls)]


def _tool_block(call: JsonObject) -> tuple[JsonObject, list[JsonObject]]:
    function = call["function"]
    arguments = function.get("arguments") or "{}"
    parsed: Any = parse_json(arguments) if isinstance(arguments, str) else arguments
    if not isinstance(parsed, dict):  # the dialect has no word for arguments that are no object
        parsed, arguments = {}, "{}"
    text = arguments if isinstance(arguments, str) else msgspec.json.encode(parsed).decode()
    block = {"type": "tool_use", "id": call.get("id") or "", "name": function.get("name") or ""}
    deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces(text)]
    return {**block, "input": parsed}, deltas


def _opened(completion: JsonObject) -> JsonObject:
    return {
        "id": completion["id"],
        "type": "message",
        "role": "assistant",
        "model": completion["model"],
        "stop_sequence": None,
        "system_fingerprint": completion["system_fingerprint"],
    }


def _stop_reason(first: Said) -> str:
    return _STOPS.get(first.finish_reason, first.finish_reason)


def _usage(completion: JsonObject) -> JsonObject:
    usage = completion.get("usage")
    cached = count(usage, *_CACHED)
    return {
        "input_tokens": max(count(usage, "prompt_tokens") - cached, 0),
        "cache_read_input_tokens": cached,
        "cache_creation_input_tokens": 0,
        "output_tokens": count(usage, "completion_tokens"),
    }
