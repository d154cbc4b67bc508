"""Chat completions as an LLM would answer them, whole and in stream chunks."""

from __future__ import annotations

from collections.abc import Sequence

from slimdown.types import JsonObject

ToolCalls = Sequence[tuple[str, str]]
"""Tool calls as pairs of a function's name and its arguments, as JSON text."""

_USAGE = {"prompt_tokens": 50, "completion_tokens": 5, "total_tokens": 55}
_SAME = {"id": "chatcmpl-scripted", "created": 1_700_000_000, "model": "gpt-4o-mini"}


def completion(text: str | None = None, tool_calls: ToolCalls = ()) -> JsonObject:
    """Return a chat completion that says ``text`` or calls tools, with usage."""
    message: JsonObject = {"role": "assistant", "content": text}
    if tool_calls:
        message["tool_calls"] = [_tool_call(index, call) for index, call in enumerate(tool_calls)]
    choice = {"index": 0, "message": message, "finish_reason": _finish(tool_calls)}
    return {**_SAME, "object": "chat.completion", "choices": [choice], "usage": _USAGE}


def completion_chunks(
    text: str | None = None, tool_calls: ToolCalls = (), *, usage: bool = False
) -> list[JsonObject]:
    """Return the chunks of a streamed completion: role, words or tool deltas, finish, usage."""
    deltas: list[JsonObject] = [{"role": "assistant", "content": None if tool_calls else ""}]
    deltas += [{"content": word} for word in _words(text or "")]
    for index, call in enumerate(tool_calls):
        whole = {"index": index, **_tool_call(index, call)}
        opened = {**whole, "function": {"name": call[0], "arguments": ""}}
        deltas += [{"tool_calls": [opened]}]
        deltas += [
            {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}
            for piece in _words(call[1])
        ]
    chunks = [_chunk([{"index": 0, "delta": delta, "finish_reason": None}]) for delta in deltas]
    finish = {"index": 0, "delta": {}, "finish_reason": _finish(tool_calls)}
    chunks.append(_chunk([finish]))
    return [*chunks, {**_chunk([]), "usage": _USAGE}] if usage else chunks


def _chunk(choices: list[JsonObject]) -> JsonObject:
    return {**_SAME, "object": "chat.completion.chunk", "choices": choices}


def _tool_call(index: int, call: tuple[str, str]) -> JsonObject:
    function = {"name": call[0], "arguments": call[1]}
    return {"id": f"call_{index}", "type": "function", "function": function}


def _finish(tool_calls: ToolCalls) -> str:
    return "tool_calls" if tool_calls else "stop"


def _words(text: str) -> list[str]:
    """Return pieces that end after a blank and together make the text."""
    pieces = text.split(" ")
    parted = [f"{piece} " for piece in pieces[:-1]] + [pieces[-1]]
    return [piece for piece in parted if piece]
