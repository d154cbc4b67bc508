"""A recorded completion as Anthropic's messages give it, whole or as a stream.

Source: Messages and Streaming Messages of Anthropic's API reference. Says the first choice alone,
as the dialect has no others.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from slimdown.answer import answer_message, parse_json
from slimdown.capture.dialects.assembled import objects_in
from slimdown.replay.pieces import count, event, pieces, said
from slimdown.types import JsonObject

_STOPS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
}


def body(completion: JsonObject, _request: JsonObject) -> JsonObject:
    """Return the message that a completion's first choice is."""
    return {
        **_opened(completion),
        "content": _blocks(completion),
        "stop_reason": _stop_reason(completion),
        "usage": _usage(completion.get("usage")),
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
    usage = _usage(completion.get("usage"))
    started = {**_opened(completion), "content": [], "stop_reason": None}
    yield {"type": "message_start", "message": {**started, "usage": usage | {"output_tokens": 0}}}
    for index, block in enumerate(_blocks(completion)):
        empty, deltas = _streamed(block)
        yield {"type": "content_block_start", "index": index, "content_block": block | empty}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    ended = {"stop_reason": _stop_reason(completion), "stop_sequence": None}
    yield {"type": "message_delta", "delta": ended, "usage": usage}
    yield {"type": "message_stop"}


def _streamed(block: JsonObject) -> tuple[JsonObject, list[JsonObject]]:
    """Return what a block lacks as it starts, and the deltas that bring it."""
    match block:
        case {"type": "text", "text": str(text)}:
            return {"text": ""}, _deltas("text", text)
        case {"type": "tool_use", "input": dict(arguments)}:
            text = msgspec.json.encode(arguments).decode()
            parts = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces(text)]
            return {"input": {}}, parts
        case {"type": "thinking", "thinking": str(text)}:
            sealed = {"type": "signature_delta", "signature": block.get("signature") or ""}
            return {"thinking": "", "signature": ""}, [
                *_deltas("thinking", text),
                sealed,
            ]
        case _:
            return {}, []


def _deltas(name: str, text: str) -> list[JsonObject]:
    return [{"type": f"{name}_delta", name: piece} for piece in pieces(text)]


def _blocks(completion: JsonObject) -> list[JsonObject]:
    """Return the content blocks: what was thought, what was said, which tools are called."""
    message = answer_message(completion) or {}
    first = said(completion)
    text = first.text or first.refusal
    spoken = objects_in(message, "content") or ([{"type": "text", "text": text}] if text else [])
    return [*objects_in(message, "thinking_blocks"), *spoken, *map(_tool_use, first.tool_calls)]


def _tool_use(call: JsonObject) -> JsonObject:
    function = call["function"]
    arguments = function.get("arguments")
    parsed: Any = parse_json(arguments) if isinstance(arguments, str) else arguments
    return {
        "type": "tool_use",
        "id": call.get("id") or "",
        "name": function["name"],
        # The dialect has no word for arguments that are no object.
        "input": parsed if isinstance(parsed, dict) else {},
    }


def _opened(completion: JsonObject) -> JsonObject:
    return {
        "id": completion["id"],
        "type": "message",
        "role": "assistant",
        "model": completion["model"],
        "stop_sequence": None,
        "system_fingerprint": completion["system_fingerprint"],
    }


def _stop_reason(completion: JsonObject) -> str:
    reason = said(completion).finish_reason
    return _STOPS.get(reason, reason)


def _usage(usage: Any) -> JsonObject:
    """Return counts in Anthropic's words: there the tokens of the cache are apart from the rest."""
    read = count(usage, "prompt_tokens_details", "cached_tokens")
    written = count(usage, "prompt_tokens_details", "cache_creation_tokens")
    return {
        "input_tokens": max(count(usage, "prompt_tokens") - read - written, 0),
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": written,
        "output_tokens": count(usage, "completion_tokens"),
    }
