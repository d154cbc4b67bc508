"""What a stream amounts to once its events are put together, in its dialect's own JSON.

Knows no dialect.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from slimdown.sse import Event
from slimdown.types import JsonObject

_DECODE = msgspec.json.Decoder().decode


class Assembled(msgspec.Struct, kw_only=True):
    """The answer as its dialect would have said it without streaming, as far as it came.

    ``whole`` tells that the stream ended as its dialect ends one, or that every answer in it had
    its finish reason. ``failure`` is an error object that came in the stream's place or midst.
    ``inconsistent``: pieces came interleaved, twice or out of order. ``unreadable``: an event was
    not a JSON object. ``unsure_usage``: the token counts were told twice, fell, or are not final.
    """

    answer: JsonObject
    whole: bool = False
    failure: Any = None
    inconsistent: bool = False
    unreadable: bool = False
    unsure_usage: bool = False


class Payloads:
    """The JSON objects of a stream's events, up to ``[DONE]``."""

    def __init__(self, events: Iterable[Event]) -> None:
        """Take the events in order; nothing is read yet."""
        self._events = events
        self.done = False
        self.unreadable = False

    def __iter__(self) -> Iterator[JsonObject]:
        """Yield each event's object; what is none is passed over."""
        for event in self._events:
            if event.data.strip() == "[DONE]":
                self.done = True
                return  # as clients do
            value = decoded(event.data)
            if isinstance(value, dict):
                yield value
            elif event.data.strip():
                self.unreadable = True


def decoded(text: str | bytes) -> Any:
    """Return a JSON value, or None for what is none, or is nested too deeply to be one."""
    try:
        return _DECODE(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


def failure_in(answer: JsonObject) -> Any:
    """Return the error that stands in an answer's place, None where it is an answer."""
    answers = any(answer.get(key) for key in ("choices", "content", "data"))
    return None if answers else answer.get("error")


def text_in(value: JsonObject, key: str) -> str:
    """Return the text under a key, "" where there is none."""
    found = value.get(key)
    return found if isinstance(found, str) else ""


def object_in(value: JsonObject, key: str) -> JsonObject:
    """Return the object under a key, an empty one where there is none."""
    found = value.get(key)
    return found if isinstance(found, dict) else {}


def objects_in(value: JsonObject, key: str) -> list[JsonObject]:
    """Return the objects of the list under a key."""
    found = value.get(key)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def index_in(value: JsonObject, key: str = "index", default: int = 0) -> int:
    """Return the position under a key, ``default`` where there is none that can be one."""
    found = value.get(key)
    if isinstance(found, int) and not isinstance(found, bool) and 0 <= found < 1 << 16:
        return found
    return default
