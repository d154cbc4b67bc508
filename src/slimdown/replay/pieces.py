"""What the three dialects' renderings share: a text in pieces, the first choice, its tool calls."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from slimdown.answer import answer_message, finish_reason, message_text
from slimdown.sse import encode
from slimdown.types import JsonObject

_PIECE = re.compile(r"(?:\S{1,40}\s*){1,3}|\s+")
"""Up to three words with the blanks after them, or leading blanks."""


class Said(msgspec.Struct, frozen=True):
    """The first choice of a completion: its text, refusal and tool calls, and why it ended."""

    text: str
    refusal: str
    tool_calls: list[JsonObject]
    finish_reason: str


def said(completion: JsonObject) -> Said:
    """Return what a completion's first choice says."""
    message = answer_message(completion) or {}
    refusal = message.get("refusal")
    return Said(
        text=message_text(message),
        refusal=refusal if isinstance(refusal, str) else "",
        tool_calls=called(message) or _called_the_old_way(message),
        finish_reason=finish_reason(completion) or "stop",
    )


def called(message: JsonObject) -> list[JsonObject]:
    """Return a message's calls of functions that have a name."""
    listed = message.get("tool_calls")
    calls = [call for call in listed if isinstance(call, dict)] if isinstance(listed, list) else []
    functions = ((call, call.get("function")) for call in calls)
    return [call for call, f in functions if isinstance(f, dict) and isinstance(f.get("name"), str)]


def _called_the_old_way(message: JsonObject) -> list[JsonObject]:
    function = message.get("function_call")
    return called({"tool_calls": [{"id": "call_0", "function": function}]})


def pieces(text: str) -> list[str]:
    """Return a text in pieces of a few words, which joined are the text again."""
    return _PIECE.findall(text)


def event(value: JsonObject) -> bytes:
    """Return a server-sent event that is named by its data's ``type``."""
    return encode(msgspec.json.encode(value), value["type"])


def count(usage: Any, *path: str) -> int:
    """Return a token count of a chat completion's usage, 0 where it is not told."""
    for name in path:
        usage = usage.get(name) if isinstance(usage, dict) else None
    return usage if isinstance(usage, int) and not isinstance(usage, bool) else 0
