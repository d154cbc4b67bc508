"""A chat completion as the stream of chunks that a client assembles it from.

The shape is OpenAI's: the role, the content, each tool call's name and then its arguments, the
finish, the usage, ``[DONE]``. Knows nothing of when the chunks are sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from slimdown.types import JsonObject

DONE = b"data: [DONE]\n\n"

_CARRIED = ("id", "created", "model", "service_tier", "system_fingerprint")
_ENCODE = msgspec.json.Encoder().encode

Pieces = Callable[[str], Iterable[str]]
"""Cuts a text into the pieces that are sent one by one."""


def chunks(
    completion: JsonObject, *, include_usage: bool, pieces: Pieces = lambda text: (text,)
) -> list[bytes]:
    """Return server-sent events that assemble to ``completion``, the last one `DONE`.

    With ``include_usage`` the chunk before it has the usage and no choices, as
    ``stream_options.include_usage`` asks for; all others then have a usage of null.
    """
    head = {key: completion[key] for key in _CARRIED if key in completion}
    head |= {"object": "chat.completion.chunk"}
    tail = {"usage": None} if include_usage else {}
    found = [
        _event({**head, "choices": [part], **tail})
        for choice in completion.get("choices") or ()
        for part in _parts(choice, pieces)
    ]
    if include_usage:
        found.append(_event({**head, "choices": [], "usage": completion.get("usage")}))
    return [*found, DONE]


def _parts(choice: JsonObject, pieces: Pieces) -> Iterator[JsonObject]:
    index = choice.get("index", 0)
    for delta in _deltas(choice.get("message") or {}, pieces):
        yield {"index": index, "delta": delta, "logprobs": None, "finish_reason": None}
    finish = choice.get("finish_reason")
    yield {"index": index, "delta": {}, "logprobs": None, "finish_reason": finish}


def _deltas(message: JsonObject, pieces: Pieces) -> Iterator[JsonObject]:
    text = message.get("content")
    role = message.get("role", "assistant")
    yield {"role": role, "content": None if text is None else "", "refusal": None}
    for piece in pieces(text) if text else ():
        yield {"content": piece}
    if message.get("refusal"):
        yield {"refusal": message["refusal"]}
    for index, call in enumerate(message.get("tool_calls") or ()):
        for part in _call_deltas(call, pieces):
            yield {"tool_calls": [{"index": index, **part}]}
    if message.get("function_call"):
        for function in _function_deltas(message["function_call"], pieces):
            yield {"function_call": function}


def _call_deltas(call: JsonObject, pieces: Pieces) -> Iterator[JsonObject]:
    named, *arguments = _function_deltas(call["function"], pieces)
    yield {"id": call.get("id"), "type": call.get("type", "function"), "function": named}
    for part in arguments:
        yield {"function": part}


def _function_deltas(function: JsonObject, pieces: Pieces) -> Iterator[JsonObject]:
    yield {"name": function["name"], "arguments": ""}
    for piece in pieces(function.get("arguments") or ""):
        if piece:
            yield {"arguments": piece}


def _event(chunk: Any) -> bytes:
    return b"data: " + _ENCODE(chunk) + b"\n\n"
