"""A recorded completion as OpenAI's chat completions give it, whole or as a stream."""

from __future__ import annotations

from slimdown.backends.chat_stream import chunks
from slimdown.replay.pieces import pieces
from slimdown.types import JsonObject


def body(completion: JsonObject, _request: JsonObject) -> JsonObject:
    """Return the completion as it was recorded."""
    return completion


def events(completion: JsonObject, request: JsonObject) -> list[bytes]:
    """Return the events of its stream: role, pieces of a few words, finish, usage if asked for."""
    options = request.get("stream_options")
    wants_usage = isinstance(options, dict) and options.get("include_usage") is True
    return chunks(completion, include_usage=wants_usage, pieces=pieces)


def error(recorded: JsonObject) -> JsonObject:
    """Return an error as it was recorded."""
    return recorded
