"""Streams of Anthropic's messages: events of content blocks put together as the message they are.

Written from Anthropic's API reference (Streaming Messages). Knows no words of chat.
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
    text_in,
)
from slimdown.sse import Event
from slimdown.types import JsonObject


def assemble(events: Iterable[Event]) -> Assembled:
    """Return the Anthropic message that a stream of events stands for."""
    made = _Message()
    payloads = Payloads(events)
    for event in payloads:
        made.take(event)
    return made.finished(payloads)


class _Block(msgspec.Struct):
    value: JsonObject
    texts: dict[str, list[str]] = {}
    open: bool = True


_DELTAS = {
    "text_delta": "text",
    "input_json_delta": "partial_json",
    "thinking_delta": "thinking",
    "signature_delta": "signature",
}


class _Message:
    """An Anthropic message as its events come."""

    def __init__(self) -> None:
        self.message: JsonObject = {}
        self.blocks: list[_Block] = []
        self.usage: JsonObject = {}
        self.failure: Any = None
        self.stopped = False
        self.inconsistent = False
        self.falling = False

    def take(self, event: JsonObject) -> None:
        kind = event.get("type")
        if kind == "error" or (kind is None and event.get("error")):
            self.failure = self.failure or event.get("error") or {"type": "error"}
        elif kind == "message_start":
            self.inconsistent |= bool(self.message)
            self.message = dict(object_in(event, "message"))
            self._take_usage(self.message.get("usage"))
        elif kind == "message_delta":
            self.message |= {k: v for k, v in object_in(event, "delta").items() if v is not None}
            self._take_usage(event.get("usage"))
        elif kind == "message_stop":
            self.stopped = True
        elif isinstance(kind, str) and kind.startswith("content_block_"):
            self._take_block(kind, event)

    def _take_usage(self, usage: Any) -> None:
        if not isinstance(usage, dict):
            return
        told = {key: value for key, value in usage.items() if value is not None}
        before, now = self.usage.get("output_tokens"), told.get("output_tokens")
        self.falling |= isinstance(before, int) and isinstance(now, int) and now < before
        self.usage |= told

    def _take_block(self, kind: str, event: JsonObject) -> None:
        index = index_in(event, default=-1)
        if kind == "content_block_start":
            # One after the other: where all are in turn, only the newest may still be open.
            in_turn = index == len(self.blocks) and not (self.blocks and self.blocks[-1].open)
            self.inconsistent |= not in_turn or self.stopped
            self.blocks.append(_Block(dict(object_in(event, "content_block"))))
            return
        if not 0 <= index < len(self.blocks):
            self.blocks.append(_Block({"type": "text"}, open=False))
        block = self.blocks[min(index, len(self.blocks) - 1)]
        self.inconsistent |= not block.open
        if kind == "content_block_stop":
            block.open = False
        else:
            _take_delta(block, object_in(event, "delta"))

    def finished(self, payloads: Payloads) -> Assembled:
        answer = self.message | {"content": [_finished(block) for block in self.blocks]}
        if self.usage:
            answer["usage"] = self.usage
        return Assembled(
            answer=answer,
            whole=self.stopped or (bool(answer.get("stop_reason")) and self.failure is None),
            failure=self.failure,
            inconsistent=self.inconsistent,
            unreadable=payloads.unreadable,
            # What the first event tells of the output is where it begins, not where it ends.
            unsure_usage=self.falling or not answer.get("stop_reason"),
        )


def _take_delta(block: _Block, delta: JsonObject) -> None:
    key = _DELTAS.get(text_in(delta, "type"))
    if key is not None:
        block.texts.setdefault(key, []).append(text_in(delta, key))
    elif isinstance(delta.get("citation"), dict):
        listed = block.value.get("citations")
        if isinstance(listed, list):
            listed.append(delta["citation"])
        else:
            block.value["citations"] = [delta["citation"]]


def _finished(block: _Block) -> JsonObject:
    value = dict(block.value)
    for key, pieces in block.texts.items():
        text = "".join(pieces)
        if key == "partial_json":
            # A call that was cut short keeps what came of its arguments, as text.
            parsed = decoded(text) if text.strip() else {}
            value["input"] = text if parsed is None else parsed
        else:
            value[key] = text_in(value, key) + text
    return value
