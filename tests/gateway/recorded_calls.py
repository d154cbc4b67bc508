"""Recorded calls, and a gateway in front of a replay that answers from them.

Each test names a session of its own, by which it finds its rows: one gateway serves a whole module.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from gateways import Running, running_gateway

from slimdown.replay import ReplayApp
from slimdown.testing import completion, serving
from slimdown.types import Call, JsonObject

WORDS = "Your parcel left Hamburg on Tuesday.\n\nIt arrives  tomorrow: 12 € were paid. \N{PACKAGE}"
FORECAST = '{"city": "San Sebastián", "days": 3}'
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
CALLED = (("weather", FORECAST), ("weather", '{"city":"Rom","days":1}'))


class Replayed(msgspec.Struct, frozen=True):
    """A gateway and the URL of the replay behind it."""

    gateway: Running
    upstream: str

    @property
    def base_url(self) -> str:
        """What a client of OpenAI is given, to go through the gateway."""
        return self.gateway.base_url

    def rows(self, session: str) -> list[Call]:
        """Return what is recorded of a session."""
        return [call for call in self.gateway.calls() if call.session_id == session]


class Row(msgspec.Struct, frozen=True):
    """What a recorded call says of itself, for comparison."""

    endpoint: str
    stream: bool
    error: str | None
    said: Any
    total_tokens: int | None


def row_of(call: Call) -> Row:
    """Return what a test compares; ``said`` is the text, or the tools called with arguments."""
    facts = call.metadata["gateway"]
    response = call.response or {}
    message = (response.get("choices") or [{"message": {}}])[0]["message"]
    called = [call["function"] for call in message.get("tool_calls") or ()]
    usage = response.get("usage") or {}
    return Row(
        endpoint=facts["endpoint"],
        stream=facts["stream"],
        error=call.error,
        said=tuple((f["name"], f["arguments"]) for f in called) or message.get("content"),
        total_tokens=usage.get("total_tokens"),
    )


def asked(text: str, **fields: Any) -> JsonObject:
    """Return a chat request that says ``text``."""
    return {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}], **fields}


def recorded_call(request: JsonObject, response: JsonObject | None, **fields: Any) -> Call:
    """Return a call with the id of what it asked last."""
    return Call(
        id=str(request["messages"][-1]["content"]), request=request, response=response, **fields
    )


def said(text: str, answer: str = WORDS) -> Call:
    """Return a call that asked ``text`` and was answered in words."""
    return recorded_call(asked(text), completion(answer))


@contextmanager
def replaying(folder: Path, *calls: Call) -> Iterator[Replayed]:
    """Yield a gateway in front of a replay of these calls."""
    with serving(ReplayApp(calls)) as url, running_gateway(folder, f"{url}/v1") as gateway:
        yield Replayed(gateway, url)
