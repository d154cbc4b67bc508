"""Calls as they were recorded, for a replay to answer; and a replay that serves them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from slimdown.replay import ReplayApp
from slimdown.testing import completion, serving
from slimdown.types import Call, JsonObject

WORDS = "Your parcel left Hamburg on Tuesday.\n\nIt arrives  tomorrow: 12 € were paid. \N{PACKAGE}"
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
TOOL: JsonObject = {
    "type": "function",
    "function": {"name": "weather", "description": "Tells the weather.", "parameters": SCHEMA},
}
CALLED = (
    ("weather", '{"city": "San Sebastián", "days": 3}'),
    ("weather", '{"city":"Rom","days":1}'),
)


def asked(text: str, **fields: Any) -> JsonObject:
    """Return a chat request that says ``text``."""
    return {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}], **fields}


def recorded_call(request: JsonObject, response: JsonObject | None, **fields: Any) -> Call:
    """Return a call with an id that its request gives it."""
    return Call(
        id=str(request["messages"][-1]["content"]), request=request, response=response, **fields
    )


def said(text: str, answer: str = WORDS, **fields: Any) -> Call:
    """Return a call that asked ``text`` and was answered in words."""
    return recorded_call(asked(text), completion(answer), **fields)


def failed(text: str, error: str, **fields: Any) -> Call:
    """Return a call that failed."""
    return recorded_call(asked(text), None, error=error, **fields)


@contextmanager
def replaying(*calls: Call, **settings: Any) -> Iterator[str]:
    """Serve a replay of the calls; yield its URL, without the path."""
    with serving(ReplayApp(calls, **settings)) as url:
        yield url
