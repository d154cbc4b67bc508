"""Images, audio and files that stand in a body as base64: what is stored instead is their hash.

The caller and the upstream get what was sent; only the stored call is lighter. Knows no dialect: a
text counts that is a data URL, or whose key says that it is data and that looks like base64.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

import msgspec

from slimdown.types import JsonObject

MIN_DROPPED_CHARS = 4096
"""A shorter text is stored as it is."""

_MAX_DEPTH = 12
_MAX_TOLD = 100
_KEYS = frozenset(("data", "file_data", "b64_json", "result", "partial_image_b64"))
_PLACES = ("messages", "input", "system", "choices", "output", "content")
_DATA_URL = re.compile(r"data:[^,]{0,200};base64,", re.IGNORECASE)
_BASE64 = re.compile(r"[A-Za-z0-9+/_\-\r\n]{256}")
_ENCODE = msgspec.json.Encoder().encode


def lightened(value: JsonObject, n_bytes: int) -> tuple[JsonObject, list[JsonObject]]:
    """Return an object without its large parts, and what was dropped (the first hundred).

    ``n_bytes`` is the size of the body that it was decoded from. Each dropped text gives way to the
    JSON text ``{"sha256": ..., "n_bytes": ...}``, which counts and hashes the text as it was sent.
    The given object is never changed.
    """
    if n_bytes <= MIN_DROPPED_CHARS:
        return value, []
    dropped: list[JsonObject] = []
    for key in _PLACES:
        listed = value.get(key)
        if isinstance(listed, list):
            light = [item if _is_plain(item) else _light(key, item, 0, dropped) for item in listed]
            value = value | {key: light} if dropped else value
    return value, dropped[:_MAX_TOLD]


def _is_plain(item: Any) -> bool:
    """Tell quickly that an item is a message of words, as most are."""
    if not isinstance(item, dict) or not isinstance(item.get("content"), str):
        return False
    return "audio" not in item and "images" not in item and item["content"][:5] != "data:"


def _light(key: str, value: Any, depth: int, dropped: list[JsonObject]) -> Any:
    if isinstance(value, str):
        return _marker(value, dropped) if _is_large_part(key, value) else value
    if depth == _MAX_DEPTH:
        return value
    if isinstance(value, list):
        return [_light(key, inner, depth + 1, dropped) for inner in value]
    if isinstance(value, dict):
        return {name: _light(name, inner, depth + 1, dropped) for name, inner in value.items()}
    return value


def _is_large_part(key: str, text: str) -> bool:
    if len(text) <= MIN_DROPPED_CHARS:
        return False
    if _DATA_URL.match(text):
        return True
    return key in _KEYS and _BASE64.match(text) is not None


def _marker(text: str, dropped: list[JsonObject]) -> str:
    data = text.encode()
    part = {"sha256": hashlib.sha256(data).hexdigest(), "n_bytes": len(data)}
    dropped.append(part)
    return _ENCODE(part).decode()
