"""A recorded completion as OpenAI's chat completions give it, whole or as a stream."""

from __future__ import annotations

from slimdown.answer import message_text
from slimdown.backends.chat_stream import chunks
from slimdown.capture.messages import as_text
from slimdown.replay.pieces import called, pieces
from slimdown.types import JsonObject


def body(completion: JsonObject, _request: JsonObject) -> JsonObject:
    """Return the completion as it was recorded."""
    return completion


def events(completion: JsonObject, request: JsonObject) -> list[bytes]:
    """Return the events of its stream: role, pieces of a few words, finish, usage if asked for."""
    options = request.get("stream_options")
    wants_usage = isinstance(options, dict) and options.get("include_usage") is True
    choices = [_choice(each) for each in completion["choices"] if isinstance(each, dict)]
    said = {**completion, "choices": choices}
    return chunks(said, include_usage=wants_usage, pieces=pieces)


def error(recorded: JsonObject) -> JsonObject:
    """Return an error as it was recorded."""
    return recorded


def _choice(choice: JsonObject) -> JsonObject:
    """Return a choice whose message a stream can say: content is text, arguments are JSON text."""
    message = choice.get("message")
    said = dict(message) if isinstance(message, dict) else {}
    if not isinstance(said.get("content"), str | None):
        said["content"] = message_text(said)
    said["tool_calls"] = [{**call, "function": _function(call)} for call in called(said)]
    return {**choice, "message": said}


def _function(call: JsonObject) -> JsonObject:
    function: JsonObject = call["function"]
    return {**function, "arguments": as_text(function.get("arguments") or "")}
