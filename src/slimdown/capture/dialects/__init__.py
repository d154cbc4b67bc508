"""The wire's dialects: how each one's requests, answers and streams become those of chat."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from slimdown.capture.dialects import chat, completions, messages, messages_stream, responses
from slimdown.capture.dialects.assembled import Assembled, failure_in
from slimdown.sse import Event
from slimdown.types import JsonObject


class Dialect(msgspec.Struct, frozen=True):
    """Native request to chat, native answer to chat, events to native answer, and what failed.

    ``failure`` returns what stands in an answer's place: the error, None where it is an answer.
    """

    request: Callable[[JsonObject], JsonObject]
    answer: Callable[[JsonObject], JsonObject]
    assemble: Callable[[Iterable[Event]], Assembled]
    failure: Callable[[JsonObject], Any] = failure_in


DIALECTS: dict[str, Dialect] = {
    "chat": Dialect(chat.same, chat.same, chat.assemble),
    "responses": Dialect(
        responses.chat_request, responses.chat_answer, responses.assemble, responses.failure_in
    ),
    "messages": Dialect(messages.chat_request, messages.chat_answer, messages_stream.assemble),
    "completions": Dialect(completions.chat_request, completions.chat_answer, chat.assemble),
}
"""By endpoint. What has no messages is not here."""
