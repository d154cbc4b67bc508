"""Which session a request belongs to, from its headers, its body, or how its history opens.

Runs on the hot path: bounded work, whatever the request holds. Knows nothing of answers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
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
    Context); ``previous_response_id``; else a hash of the model and of the messages up to the
    first user's, which every later turn of a conversation sends again.
    """
    told = next(_told(headers, request), None)
    return _opening_id(request) if told is None else _bounded(told)


def _told(headers: Headers, request: JsonObject) -> Iterator[str]:
    by_name = dict(headers)
    for name in _HEADERS:
        if value := by_name.get(name, b"").strip():
            yield value.decode("utf-8", "replace")
    metadata = request.get("metadata")
    if isinstance(metadata, dict):
        yield from filter(None, (_name(metadata.get(key)) for key in _KEYS))
    fields = by_name.get(b"traceparent", b"").split(b"-")
    if len(fields) >= 4 and fields[1].strip(b"0 "):
        yield fields[1].decode("latin-1")
    if previous := _name(request.get("previous_response_id")):
        yield previous


def _name(value: Any) -> str:
    if isinstance(value, str):
        return value.strip()
    return str(value) if type(value) is int and -(1 << 63) <= value < 1 << 63 else ""


def _bounded(name: str) -> str:
    if len(name) <= MAX_SESSION_CHARS and name.isprintable():
        return name
    return f"hash-{_digest([name[:_OPENING_CHARS]])}"


def _opening_id(request: JsonObject) -> str:
    return f"opening-{_digest(_bounded_texts(_opening(request)))}"


def _digest(texts: list[str]) -> str:
    joined = "\x1f".join(texts)
    data = joined.encode("utf-8", "surrogatepass")
    return hashlib.sha256(data).hexdigest()[:ID_HEX_DIGITS]


def _opening(request: JsonObject) -> Iterator[Any]:
    """Yield the values that all turns of a conversation have in common."""
    yield request.get("model")
    yield request.get("instructions") or request.get("system")
    history = request.get("messages") or request.get("input") or request.get("prompt")
    if not isinstance(history, list):
        yield history
        return
    for message in history[:_OPENING_VALUES]:
        if not isinstance(message, dict):
            yield message
            continue
        yield message.get("role")
        yield message.get("content")
        if message.get("role") == "user":
            return


def _bounded_texts(values: Iterator[Any]) -> list[str]:
    """Return the texts inside values in order: so many characters, and so many values, at most."""
    texts: list[str] = []
    left = _OPENING_CHARS
    waiting = list(values)[::-1]
    for _ in range(_OPENING_VALUES):
        if not waiting or left <= 0:
            break
        value = waiting.pop()
        if isinstance(value, str):
            texts.append(value[:left])
            left -= len(value)
        elif isinstance(value, list):
            waiting += value[:_OPENING_VALUES][::-1]
        elif isinstance(value, dict):
            waiting += [each for key, each in value.items() if key != "cache_control"][::-1]
        elif value is not None:
            texts.append(str(value)[:left])
            left -= 8
    return texts
