"""A specialist's output as the chat completion that an LLM would have sent. Pure."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from slimdown.types import JsonObject, OutputKind

CHARACTERS_PER_TOKEN = 4
"""Usage is estimated so: specialists have no tokens that an upstream's bill would know."""


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """A specialist's answer to one request, with all that tells whether to serve it.

    ``score`` is the agreement model's, comparable with a certificate's threshold; ``confidence``
    the specialist's own.
    """

    task_id: str
    specialist_id: str
    kind: OutputKind
    output: Any
    score: float
    confidence: float


def completion_of(given: Given, request: JsonObject, *, id: str, created: int) -> JsonObject:
    """Return the chat completion with a last member ``slimdown``: task, specialist, score.

    ``id`` is the completion's, ``created`` seconds since the epoch. ``usage`` is estimated.
    """
    message = message_of(given.kind, given.output, id=id)
    asked = n_characters([request.get("messages"), request.get("tools")])
    prompt, said = _tokens(asked), _tokens(n_characters(message) - len("assistant"))
    return {
        "id": id,
        "object": "chat.completion",
        "created": created,
        "model": given.specialist_id,
        "choices": [
            {
                "index": 0,
                "message": message,
                "logprobs": None,
                "finish_reason": "tool_calls" if "tool_calls" in message else "stop",
            }
        ],
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": said,
            "total_tokens": prompt + said,
        },
        "slimdown": {
            "task": given.task_id,
            "specialist": given.specialist_id,
            "score": given.score,
            "confidence": given.confidence,
        },
    }


def message_of(kind: OutputKind, output: Any, *, id: str) -> JsonObject:
    """Return the assistant's message that says ``output`` (as `Example` holds it).

    JSON is written as LLMs write it, blanks after colons and commas, keys in their order. Ids of
    tool calls are made of ``id``.
    """
    if kind == "tool" and isinstance(output, list):
        calls = [_tool_call(call, f"call_{id[-24:]}{n}") for n, call in enumerate(output)]
        return {"role": "assistant", "content": None, "tool_calls": calls}
    text = output if isinstance(output, str) else _json_text(output)
    return {"role": "assistant", "content": text}


def n_characters(value: Any) -> int:
    """Return the characters of all texts in a JSON value, keys aside."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(map(n_characters, value.values()))
    return sum(map(n_characters, value)) if isinstance(value, list) else 0


def _tool_call(call: JsonObject, id: str) -> JsonObject:
    arguments = call["arguments"]
    text = arguments if isinstance(arguments, str) else _json_text(arguments)
    return {"id": id, "type": "function", "function": {"name": call["name"], "arguments": text}}


def _json_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _tokens(characters: int) -> int:
    return -(-characters // CHARACTERS_PER_TOKEN)
