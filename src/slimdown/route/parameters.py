"""Which parameters of a chat-completions request a specialist may be trusted with.

A list of what is allowed: a parameter that nobody has thought of here goes to the upstream. Null
counts as absent, as OpenAI has it. What the values mean is for the upstream, or for `checks`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slimdown.types import JsonObject

UNKNOWN = "unknown"
"""Stands for any parameter that OpenAI's interface does not name: reasons are a bounded set."""

_ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
_MESSAGE_KEYS = frozenset({"role", "content", "name", "tool_calls", "tool_call_id"})
_STREAM_KEYS = frozenset({"include_usage", "include_obfuscation"})
_FORMATS = frozenset({"text", "json_object", "json_schema"})
_NAMED = frozenset(
    {"audio", "logit_bias", "logprobs", "modalities", "prediction", "prompt_cache_retention"}
    | {"stop", "top_logprobs", "web_search_options"}
)
"""What OpenAI's interface names beyond what we allow."""


def unsupported(request: JsonObject) -> str:
    """Return the first parameter that a specialist is not trusted with, `UNKNOWN` for one that
    we do not know, or "" where there is none."""
    for name, value in request.items():
        allows = _ALLOWED.get(name)
        if allows is None:
            if name not in _NAMED:
                return UNKNOWN
            if value is not None and value is not False:
                return name
        elif not (allows(value) if value is not None else name not in _NEEDED):
            return name
    return next((name for name in _NEEDED if name not in request), "")


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _positive(value: Any) -> bool:
    return _whole(value) and value > 0


def _one(value: Any) -> bool:
    return _whole(value) and value == 1


def _false(value: Any) -> bool:
    return value is False


def _object(value: Any) -> bool:
    return isinstance(value, dict)


def _between(low: float, high: float) -> Callable[[Any], bool]:
    def within(value: Any) -> bool:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and low <= value <= high

    return within


def _messages(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_message, value))


def _message(message: Any) -> bool:
    """Tell whether a specialist sees the whole of a message: text, and the tools it calls."""
    if not isinstance(message, dict) or not _role(message.get("role")):
        return False
    content = message.get("content")
    if not (_content(content) or (content is None and message["role"] == "assistant")):
        return False
    calls = message.get("tool_calls")
    if calls is not None and not (isinstance(calls, list) and all(map(_tool_call, calls))):
        return False
    # A refusal, audio or annotations say something only where they are not empty.
    return not any(value for key, value in message.items() if key not in _MESSAGE_KEYS)


def _content(content: Any) -> bool:
    if isinstance(content, str):
        return True
    return isinstance(content, list) and all(map(_text_part, content))


def _role(role: Any) -> bool:
    return _text(role) and role in _ROLES


def _text_part(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") == "text" and _text(part.get("text"))


def _tool_call(call: Any) -> bool:
    return isinstance(call, dict) and call.get("type", "function") == "function"


def _tools(value: Any) -> bool:
    return isinstance(value, list) and all(map(_tool, value))


def _tool(tool: Any) -> bool:
    return (
        isinstance(tool, dict) and tool.get("type") == "function" and _named(tool.get("function"))
    )


def _functions(value: Any) -> bool:
    return isinstance(value, list) and all(map(_named, value))


def _named(function: Any) -> bool:
    return isinstance(function, dict) and _text(function.get("name"))


def _tool_choice(value: Any) -> bool:
    if isinstance(value, str):
        return value in ("auto", "none", "required")
    return _tool(value)


def _function_call(value: Any) -> bool:
    return value in ("auto", "none") if isinstance(value, str) else _named(value)


def _format(value: Any) -> bool:
    kind = value.get("type") if isinstance(value, dict) else None
    return _text(kind) and kind in _FORMATS


def _stream_options(value: Any) -> bool:
    return isinstance(value, dict) and all(
        key in _STREAM_KEYS and _flag(option) for key, option in value.items()
    )


_NEEDED = ("model", "messages")
_ALLOWED: dict[str, Callable[[Any], bool]] = {
    "model": _text,
    "messages": _messages,
    "tools": _tools,
    "tool_choice": _tool_choice,
    "parallel_tool_calls": _flag,
    "functions": _functions,
    "function_call": _function_call,
    "response_format": _format,
    "temperature": _between(0, 2),
    "top_p": _between(0, 1),
    "presence_penalty": _between(-2, 2),
    "frequency_penalty": _between(-2, 2),
    "seed": _whole,
    "n": _one,
    "max_tokens": _positive,
    "max_completion_tokens": _positive,
    "stream": _flag,
    "stream_options": _stream_options,
    "user": _text,
    "metadata": _object,
    "safety_identifier": _text,
    "prompt_cache_key": _text,
    "service_tier": _text,
    "reasoning_effort": _text,
    "verbosity": _text,
    "store": _false,
}
