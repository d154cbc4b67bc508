"""Chat completions: the chunks of a stream put together as the completion they stand for.

Knows nothing of bytes. A chunk's unknown fields are kept: the last value that says anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from slimdown.capture.dialects.assembled import (
    Assembled,
    Payloads,
    decoded,
    index_in,
    object_in,
    objects_in,
    text_in,
)
from slimdown.sse import Event
from slimdown.types import JsonObject

_TEXTS = frozenset(("content", "refusal", "reasoning", "reasoning_content"))
"""Fields of a delta that go on where the one before stopped; the last two are other providers'."""

_INNER_TEXTS = ("data", "transcript", "arguments")
"""The like, inside an audio answer and the older ``function_call``."""

_PER_CHUNK = frozenset(("choices", "usage", "error", "obfuscation"))
_OWN_FIELDS = frozenset(("index", "delta", "message", "text", "finish_reason"))


class _ToolCall(msgspec.Struct):
    """A call of a tool as its pieces come. ``begun_again``: its id came with several of them."""

    id: str = ""
    name: str = ""
    arguments: list[str] = []
    rest: JsonObject = {}
    begun_again: bool = False

    def take(self, piece: JsonObject, identity: str) -> bool:
        """Add a piece; tell whether it may belong to this call."""
        function = object_in(piece, "function")
        name = text_in(function, "name")
        fits = not (self.name and name) or name == self.name
        self.begun_again |= bool(self.id and identity)
        self.id = self.id or identity
        self.name = self.name or name
        self.arguments.append(text_in(function, "arguments"))
        own = ("index", "id", "function")
        self.rest |= {k: v for k, v in piece.items() if k not in own and v is not None}
        return fits

    @property
    def is_nameless(self) -> bool:
        """Whether arguments came for a function that nobody named."""
        return not self.name and any(self.arguments)

    @property
    def is_doubled(self) -> bool:
        """Whether it came twice; some providers repeat the id with each piece, which is fine."""
        return self.begun_again and decoded("".join(self.arguments)) is None


class _Choice(msgspec.Struct):
    texts: dict[str, list[str]] = {}
    inner_texts: dict[tuple[str, str], list[str]] = {}
    tools: dict[int, _ToolCall] = {}
    newest_tool: int = -1
    message: JsonObject = {}
    logprobs: JsonObject = {}
    rest: JsonObject = {}
    finish_reason: Any = None


def same(value: JsonObject) -> JsonObject:
    """Return a request or an answer as it is: its dialect is the one that we keep."""
    return value


def assemble(events: Iterable[Event]) -> Assembled:
    """Return the chat completion that a stream of chunks stands for."""
    made = _Completion()
    payloads = Payloads(events)
    for chunk in payloads:
        made.take(chunk)
    return made.finished(payloads)


class _Completion:
    """A completion as its chunks come."""

    def __init__(self) -> None:
        self.top: JsonObject = {}
        self.choices: dict[int, _Choice] = {}
        self.usage: Any = None
        self.n_final_usages = 0
        self.failure: Any = None
        self.inconsistent = False

    def take(self, chunk: JsonObject) -> None:
        if chunk.get("error"):
            self.failure = self.failure or chunk["error"]
        for key, value in chunk.items():
            if value and key not in _PER_CHUNK:
                self.top[key] = value
        choices = objects_in(chunk, "choices")
        listed = chunk.get("choices")
        self.inconsistent |= listed is not None and listed != choices  # not a list of objects
        if chunk.get("usage") is not None:
            # Some providers tell the count so far with every choice: the last one holds then.
            self.usage = chunk["usage"]
            self.n_final_usages += not choices
        for choice in choices:
            self._take_choice(choice)

    def _take_choice(self, piece: JsonObject) -> None:
        index = index_in(piece)
        choice = self.choices.get(index)
        if choice is None:
            choice = self.choices[index] = _Choice()
        delta = _delta(piece)
        if choice.finish_reason and (delta.get("content") or delta.get("tool_calls")):
            self.inconsistent = True
        for key, value in delta.items():
            if key in _TEXTS and isinstance(value, str):
                choice.texts.setdefault(key, []).append(value)
            elif value is not None:
                self._take_field(choice, key, value)
        _take_rest(choice, piece)
        choice.finish_reason = piece.get("finish_reason") or choice.finish_reason

    def _take_field(self, choice: _Choice, key: str, value: Any) -> None:
        if key == "tool_calls" and isinstance(value, list):
            for piece in value:
                if isinstance(piece, dict):
                    self._take_tool_call(choice, piece)
        elif key == "content" and isinstance(value, list):
            _grow(choice.message, "content_parts", value)  # Mistral's, for what it thinks
        elif isinstance(value, dict):
            _take_object(choice, key, value)
        else:
            _grow(choice.message, key, value)

    def _take_tool_call(self, choice: _Choice, piece: JsonObject) -> None:
        index = index_in(piece, default=max(choice.newest_tool, 0))
        known = choice.tools.get(index)
        identity = text_in(piece, "id")
        if known is not None and identity and known.id and identity != known.id:
            # Two calls under one index: keep them apart. Without an index it is a provider's way.
            self.inconsistent |= "index" in piece
            index, known = choice.newest_tool + 1, None
        if known is None:
            known = choice.tools[index] = _ToolCall()
        fits = known.take(piece, identity)
        self.inconsistent |= index < choice.newest_tool or not fits
        choice.newest_tool = max(choice.newest_tool, index)

    def finished(self, payloads: Payloads) -> Assembled:
        answer = {**self.top, "object": "chat.completion"}
        choices = sorted(self.choices.items())
        answer["choices"] = [_choice(index, choice) for index, choice in choices]
        if self.usage is not None:
            answer["usage"] = self.usage
        calls = [call for _, choice in choices for call in choice.tools.values()]
        odd = any(call.is_doubled or call.is_nameless for call in calls)
        complete = bool(choices) and all(choice.finish_reason for _, choice in choices)
        return Assembled(
            answer=answer,
            whole=payloads.done or complete,
            failure=self.failure,
            inconsistent=self.inconsistent or odd,
            unreadable=payloads.unreadable,
            unsure_usage=self.n_final_usages > 1,
        )


def _choice(index: int, choice: _Choice) -> JsonObject:
    texts = {key: "".join(pieces) for key, pieces in choice.texts.items()}
    message: JsonObject = {"role": "assistant", "content": None} | choice.message | texts
    for (key, inner), pieces in choice.inner_texts.items():
        message[key] = {**object_in(message, key), inner: "".join(pieces)}
    if choice.tools:
        message["tool_calls"] = [_tool_call(call) for _, call in sorted(choice.tools.items())]
        message["content"] = message["content"] or None
    made: JsonObject = {"index": index, "message": message, **choice.rest}
    if choice.logprobs:
        made["logprobs"] = choice.logprobs
    return made | {"finish_reason": choice.finish_reason}


def _tool_call(call: _ToolCall) -> JsonObject:
    function = {"name": call.name, "arguments": "".join(call.arguments)}
    return {"id": call.id, "type": "function", "function": function, **call.rest}


def _delta(piece: JsonObject) -> JsonObject:
    """Return what a chunk adds to a choice; the older completions tell a text alone."""
    if "delta" in piece or "text" not in piece:
        return object_in(piece, "delta")
    return {"content": piece["text"]}


def _take_rest(choice: _Choice, piece: JsonObject) -> None:
    for key, value in piece.items():
        if value is None or key in _OWN_FIELDS:
            continue
        if key == "logprobs" and isinstance(value, dict):
            for inner, listed in value.items():
                _grow(choice.logprobs, inner, listed)
        else:
            choice.rest[key] = value


def _take_object(choice: _Choice, key: str, value: JsonObject) -> None:
    """Add an object's texts that come in pieces, and what else it says."""
    grown = choice.message.get(key)
    if not isinstance(grown, dict):
        grown = choice.message[key] = {}
    for inner, piece in value.items():
        if inner in _INNER_TEXTS and isinstance(piece, str):
            choice.inner_texts.setdefault((key, inner), []).append(piece)
        else:
            grown[inner] = piece


def _grow(grown: JsonObject, key: str, value: Any) -> None:
    """Add a piece to a field: a list goes on, all else is what it is now."""
    before = grown.get(key)
    if isinstance(value, list) and isinstance(before, list):
        before.extend(value)
    else:
        grown[key] = value
