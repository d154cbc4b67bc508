"""The wire's dialects: how each one's requests, answers and streams become those of chat."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from slimdown.capture.dialects import chat, completions
from slimdown.capture.dialects.assembled import Assembled
from slimdown.sse import Event
from slimdown.types import JsonObject


class Dialect(msgspec.Struct, frozen=True):
    """Three functions: native request to chat, native answer to chat, events to native answer."""

    request: Callable[[JsonObject], JsonObject]
    answer: Callable[[JsonObject], JsonObject]
    assemble: Callable[[Iterable[Event]], Assembled]


DIALECTS: dict[str, Dialect] = {
    "chat": Dialect(chat.same, chat.same, chat.assemble),
    "completions": Dialect(completions.chat_request, completions.chat_answer, chat.assemble),
}
"""By endpoint. What has no messages is not here."""
