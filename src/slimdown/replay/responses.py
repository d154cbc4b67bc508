"""A recorded completion as OpenAI's Responses give it, whole or as a stream of typed events.

Source: the streaming events of OpenAI's API reference. Says the first choice alone, as the dialect
has no others; no reasoning items, whose content a chat completion does not hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from slimdown.capture.messages import as_text
from slimdown.replay.pieces import Said, count, event, pieces, said
from slimdown.types import JsonObject

_ECHOED: JsonObject = {
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "reasoning": {"effort": None, "summary": None},
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1.0,
    "truncation": "disabled",
}
"""What an answer repeats of its request, and what it says where the request said nothing."""

_CUT = {"length": "max_output_tokens", "content_filter": "content_filter"}


def body(completion: JsonObject, request: JsonObject) -> JsonObject:
    """Return the response that a completion's first choice is."""
    first = said(completion)
    cut = _CUT.get(first.finish_reason)
    return {
        **_opened(completion, request),
        "status": "incomplete" if cut else "completed",
        "incomplete_details": {"reason": cut} if cut else None,
        "output": _items(completion["id"], first),
        "usage": _usage(completion.get("usage")),
    }


def events(completion: JsonObject, request: JsonObject) -> list[bytes]:
    """Return the events of its stream, from ``response.created`` to ``response.completed``."""
    numbered = enumerate(_values(completion, request))
    return [event({**value, "sequence_number": number}) for number, value in numbered]


def error(recorded: JsonObject) -> JsonObject:
    """Return an error as it was recorded: Responses have the shape of chat completions."""
    return recorded


def _values(completion: JsonObject, request: JsonObject) -> Iterator[JsonObject]:
    whole = body(completion, request)
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    begun["incomplete_details"] = None
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    for index, item in enumerate(whole["output"]):
        where = {"output_index": index, "item_id": item["id"]}
        empty: JsonObject = {"content": []} if item["type"] == "message" else {"arguments": ""}
        started = {**item, "status": "in_progress", **empty}
        yield {"type": "response.output_item.added", "output_index": index, "item": started}
        yield from _content(item, where) if item["type"] == "message" else _arguments(item, where)
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    yield {"type": f"response.{whole['status']}", "response": whole}


def _content(item: JsonObject, where: JsonObject) -> Iterator[JsonObject]:
    for index, part in enumerate(item["content"]):
        at = {**where, "content_index": index}
        key = "text" if part["type"] == "output_text" else "refusal"
        extra: JsonObject = {"logprobs": []} if key == "text" else {}
        yield {"type": "response.content_part.added", **at, "part": {**part, key: ""}}
        for piece in pieces(part[key]):
            yield {"type": f"response.{part['type']}.delta", **at, "delta": piece, **extra}
        yield {"type": f"response.{part['type']}.done", **at, key: part[key], **extra}
        yield {"type": "response.content_part.done", **at, "part": part}


def _arguments(item: JsonObject, where: JsonObject) -> Iterator[JsonObject]:
    kind = "response.function_call_arguments"
    for piece in pieces(item["arguments"]):
        yield {"type": f"{kind}.delta", **where, "delta": piece}
    told = {"name": item["name"], "arguments": item["arguments"]}
    yield {"type": f"{kind}.done", **where, **told}


def _items(response_id: str, first: Said) -> list[JsonObject]:
    parts: list[JsonObject] = []
    if first.text:
        parts.append({"type": "output_text", "text": first.text, "annotations": [], "logprobs": []})
    if first.refusal:
        parts.append({"type": "refusal", "refusal": first.refusal})
    done: JsonObject = {"status": "completed"}
    message = {"id": f"msg_{response_id}", "type": "message", "role": "assistant", "content": parts}
    calls = [
        {"id": f"fc_{response_id}_{index}", **_function_call(call), **done}
        for index, call in enumerate(first.tool_calls)
    ]
    return [*([{**message, **done}] if parts else []), *calls]


def _function_call(call: JsonObject) -> JsonObject:
    function = call["function"]
    told = {"name": function["name"], "arguments": as_text(function.get("arguments") or "")}
    return {"type": "function_call", "call_id": call.get("id") or "", **told}


def _opened(completion: JsonObject, request: JsonObject) -> JsonObject:
    echoed = {name: request.get(name, default) for name, default in _ECHOED.items()}
    return {
        "id": completion["id"],
        "object": "response",
        "created_at": completion["created"],
        "model": completion["model"],
        "error": None,
        "system_fingerprint": completion["system_fingerprint"],
        **echoed,
    }


def _usage(usage: Any) -> JsonObject:
    asked, answered = count(usage, "prompt_tokens"), count(usage, "completion_tokens")
    cached = count(usage, "prompt_tokens_details", "cached_tokens")
    thought = count(usage, "completion_tokens_details", "reasoning_tokens")
    return {
        "input_tokens": asked,
        "input_tokens_details": {"cached_tokens": cached},
        "output_tokens": answered,
        "output_tokens_details": {"reasoning_tokens": thought},
        "total_tokens": asked + answered,
    }
