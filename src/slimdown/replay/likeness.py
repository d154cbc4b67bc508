"""When two requests ask the same: keys that leave out what only says how to send the answer.

Requests are in chat form, whatever dialect they came in. Knows nothing of answers.
"""

from __future__ import annotations

import hashlib
from typing import Any

from slimdown.answer import message_text
from slimdown.canonical import canonical_json
from slimdown.signature import messages_of
from slimdown.types import JsonObject

TRANSPORT = frozenset(
    (
        "extra_body",
        "extra_headers",
        "metadata",
        "model",
        "prompt_cache_key",
        "prompt_cache_retention",
        "safety_identifier",
        "seed",
        "service_tier",
        "store",
        "stream",
        "stream_options",
        "timeout",
        "user",
    )
)
"""Fields that do not change what is asked; the model is compared apart."""

_RENAMED = {"max_tokens": "max_completion_tokens"}
_ROLES = {"developer": "system"}
_KEY_BYTES = 16


def request_key(request: JsonObject) -> bytes:
    """Return 16 bytes that two requests share if they ask the same, the model aside.

    What is null or empty counts as absent, a sole text part as its text, a developer message as a
    system message, ``max_tokens`` as ``max_completion_tokens``.
    """
    form = {
        _RENAMED.get(name, name): value
        for name, value in request.items()
        if name not in TRANSPORT and not _is_absent(value)
    }
    if isinstance(form.get("messages"), list):
        form["messages"] = [_message(message) for message in form["messages"]]
    return _digest(form)


def kin_key(request: JsonObject) -> bytes:
    """Return 16 bytes that requests share which have tools, output contract and system texts in
    common: only among those may another call's answer stand in."""
    tools = request.get("tools") or request.get("functions") or None
    return _digest([tools, request.get("response_format"), _system_texts(request)])


def said_text(request: JsonObject) -> str:
    """Return the last user message's text, with all that was said after it (results of tools)."""
    messages = messages_of(request)
    asked = [place for place, message in enumerate(messages) if message.get("role") == "user"]
    return "\n".join(message_text(message) for message in messages[asked[-1] if asked else 0 :])


def _system_texts(request: JsonObject) -> list[str]:
    spoken = ((_role(message), message_text(message)) for message in messages_of(request))
    return [text for role, text in spoken if role == "system"]


def _message(message: Any) -> Any:
    if not isinstance(message, dict):
        return message
    form = {name: value for name, value in message.items() if not _is_absent(value)}
    if "role" in form:
        form["role"] = _role(message)
    if isinstance(form.get("content"), list):
        form["content"] = _content(form["content"])
    return form


def _role(message: JsonObject) -> Any:
    role = message.get("role")
    return _ROLES.get(role, role) if isinstance(role, str) else role


def _content(parts: list[Any]) -> Any:
    bare = [_part(part) for part in parts]
    sole = bare[0] if len(bare) == 1 and isinstance(bare[0], dict) else {}
    return sole["text"] if sole.keys() == {"type", "text"} and sole["type"] == "text" else bare


def _part(part: Any) -> Any:
    if not isinstance(part, dict):
        return part
    return {name: value for name, value in part.items() if name != "cache_control"}


def _is_absent(value: Any) -> bool:
    return value is None or value in ([], {}, "")


def _digest(form: Any) -> bytes:
    return hashlib.sha256(canonical_json(form)).digest()[:_KEY_BYTES]
