"""Which session a request belongs to, from its headers, its body, or how its history opens.

Runs on the hot path: bounded work, whatever the request holds. Knows nothing of answers.
"""

from __future__ import annotations

import hashlib
from itertools import islice
from typing import Any

from slimdown.canonical import ID_HEX_DIGITS
from slimdown.exchange import Headers
from slimdown.types import JsonObject

MAX_SESSION_CHARS = 200
"""A longer name, or one with unprintable characters, is kept as its hash."""

_HEADERS = (b"x-slimdown-session", b"x-session-id", b"x-conversation-id")
_KEYS = ("session_id", "conversation_id")
_OPENING_CHARS = 64 * 1024
_OPENING_VALUES = 512


def session_of_request(headers: Headers, request: JsonObject) -> str:
    """Return the session of a request of any dialect, at most 200 printable characters.

    In order: the headers ``x-slimdown-session``, ``x-session-id``, ``x-conversation-id``; the
    metadata's ``session_id``, ``conversation_id``; the trace id of ``traceparent`` (W3C Trace
    Context); ``previous_response_id`` or ``conversation``; else a hash of the model and of the
    messages up to the first user's, which every later turn of a conversation sends again.
    """
    told = _told(dict(headers), request)
    return _bounded(told) if told else _opening_id(request)


def _told(headers: dict[bytes, bytes], request: JsonObject) -> str:
    for header in _HEADERS:
        if value := headers.get(header, b"").strip():
            return value.decode("utf-8", "replace")
    metadata = request.get("metadata")
    if isinstance(metadata, dict):
        for key in _KEYS:
            if name := _name(metadata.get(key)):
                return name
    fields = headers.get(b"traceparent", b"").split(b"-")
    if len(fields) >= 4 and fields[1].strip(b"0 "):
        return fields[1].decode("latin-1")
    if previous := _name(request.get("previous_response_id")):
        return previous
    kept = request.get("conversation")  # by the provider, which the caller only names
    return _name(kept.get("id") if isinstance(kept, dict) else kept)


def _name(value: Any) -> str:
    if isinstance(value, str):
        return value.strip()
    return str(value) if type(value) is int and -(1 << 63) <= value < 1 << 63 else ""


def _bounded(name: str) -> str:
    if len(name) <= MAX_SESSION_CHARS and name.isprintable():
        return name
    return f"hash-{_digest([name[:_OPENING_CHARS]])}"


def _opening_id(request: JsonObject) -> str:
    texts: list[str] = []
    left = _OPENING_CHARS
    for value in _opening(request):
        if left <= 0:
            break
        found = [value[:left]] if isinstance(value, str) else _texts_in(value, left)
        texts += found
        left -= sum(map(len, found)) + len(found)
    return f"opening-{_digest(texts)}"


def _digest(texts: list[str]) -> str:
    data = "\x1f".join(texts).encode("utf-8", "surrogatepass")
    return hashlib.sha256(data).hexdigest()[:ID_HEX_DIGITS]


def _opening(request: JsonObject) -> list[Any]:
    """Return the values that all turns of a conversation have in common."""
    values = [request.get("model"), request.get("instructions") or request.get("system")]
    history = request.get("messages") or request.get("input") or request.get("prompt")
    if not isinstance(history, list):
        return [*values, history]
    for message in history[:_OPENING_VALUES]:
        if not isinstance(message, dict):
            values.append(message)
            continue
        role = message.get("role")
        values += (role, message.get("content"))
        if role == "user":
            break
    return values


def _texts_in(value: Any, left: int) -> list[str]:
    """Return the texts inside a value in order: so many characters, and so many values, at most."""
    texts: list[str] = []
    waiting = [value]
    for _ in range(_OPENING_VALUES):
        if not waiting or left <= 0:
            break
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value[:_OPENING_VALUES][::-1]
        elif isinstance(value, dict):
            # A cache's mark wanders from turn to turn.
            inner = islice(value.items(), _OPENING_VALUES)
            waiting += [each for key, each in inner if key != "cache_control"][::-1]
        elif isinstance(value, str):
            texts.append(value[:left])
            left -= len(texts[-1]) + 1
    return texts
