"""The three dialects in which a recorded call can be asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from slimdown.capture.dialects import DIALECTS as CAPTURED
from slimdown.replay import chat, messages, responses
from slimdown.types import JsonObject


class Dialect(msgspec.Struct, frozen=True):
    """Four functions: a request in chat form; a completion and the native request as the native
    answer, and as the events of its stream; an error of OpenAI's shape as a native one."""

    chat_request: Callable[[JsonObject], JsonObject]
    body: Callable[[JsonObject, JsonObject], JsonObject]
    events: Callable[[JsonObject, JsonObject], list[bytes]]
    error: Callable[[JsonObject], JsonObject]


class _Native(Protocol):
    """A module that renders one dialect."""

    def body(self, completion: JsonObject, request: JsonObject, /) -> JsonObject: ...

    def events(self, completion: JsonObject, request: JsonObject, /) -> list[bytes]: ...

    def error(self, recorded: JsonObject, /) -> JsonObject: ...


def _dialect(endpoint: str, native: _Native) -> Dialect:
    return Dialect(CAPTURED[endpoint].request, native.body, native.events, native.error)


DIALECTS = {
    "chat": _dialect("chat", chat),
    "responses": _dialect("responses", responses),
    "messages": _dialect("messages", messages),
}
"""By endpoint, as `slimdown.capture.wire.endpoint_of` names them."""
