"""OpenAI's Responses as chat completions: requests, answers, and streams of typed events.

Builds on `slimdown.capture.responses`, which reads the same from logs, and adds what only the wire
shows. Written from OpenAI's API reference (Responses, streaming events). Knows nothing of bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from slimdown.capture import responses as logged
from slimdown.capture.dialects.assembled import (
    Assembled,
    Payloads,
    index_in,
    object_in,
    objects_in,
    text_in,
)
from slimdown.sse import Event
from slimdown.types import JsonObject

_ENDS = {
    "response.completed": "completed",
    "response.incomplete": "incomplete",
    "response.failed": "failed",
    "response.cancelled": "cancelled",
}
_SAID = ("message", "function_call", "reasoning")
_SILENCE = {"role": "assistant", "content": None}
_OWN_ANSWER = ("service_tier", "status", "incomplete_details", "previous_response_id")


def chat_request(request: JsonObject) -> JsonObject:
    """Return a Responses request as a chat-completions request."""
    # A stored prompt may stand for the input; then nothing was said here.
    made = logged.chat_request({"input": [], **request})
    form = object_in(object_in(request, "text"), "format")
    if form.get("type") == "json_object":
        made["response_format"] = form
    choice = request.get("tool_choice")
    if isinstance(choice, dict) and choice.get("type") == "function" and "name" in choice:
        made["tool_choice"] = {"type": "function", "function": {"name": choice["name"]}}
    return made


def chat_answer(answer: JsonObject) -> JsonObject:
    """Return a Responses answer as a chat completion; without output it has no choices."""
    if not isinstance(answer.get("output"), list):
        return answer
    output = objects_in(answer, "output")
    said = [item for item in output if item.get("type", "message") in _SAID]
    rest = [item for item in output if item.get("type", "message") not in _SAID]
    native = {key: value for key, value in answer.items() if key != "choices"}
    made = logged.chat_response(native | {"output": said})
    if "choices" not in made:  # nothing was said, as where reasoning took all the tokens
        made = logged.chat_response(native | {"output": [_SILENCE]})
    made |= {key: answer[key] for key in _OWN_ANSWER if answer.get(key) is not None}
    if rest:
        made["output"] = rest  # such as the provider's own searches
    choice = made["choices"][0]
    _add_unsaid(choice["message"], said)
    if object_in(answer, "incomplete_details").get("reason") == "content_filter":
        choice["finish_reason"] = "content_filter"
    return made


def failure_in(answer: JsonObject) -> Any:
    """Return why an answer is none yet, or none at all; None where it is one."""
    if answer.get("error"):
        return answer["error"]
    status = answer.get("status")
    return {"type": status} if status in ("failed", "cancelled", "queued", "in_progress") else None


def assemble(events: Iterable[Event]) -> Assembled:
    """Return the response that a stream of events stands for."""
    made = _Response()
    payloads = Payloads(events)
    for event in payloads:
        made.take(event)
    return made.finished(payloads)


def _add_unsaid(message: JsonObject, output: list[JsonObject]) -> None:
    """Add to a message what is not said to the caller in words: a refusal, the reasoning."""
    parts = [p for item in output for p in objects_in(item, "content")]
    refusals = [text_in(part, "refusal") for part in parts if part.get("type") == "refusal"]
    if refusals:
        message["refusal"] = "".join(refusals)
        said = [part for part in parts if part.get("type") in ("output_text", "text")]
        message["content"] = "".join(text_in(part, "text") for part in said) or None
    items = [item for item in output if item.get("type") == "reasoning"]
    thought = [p for item in items for p in objects_in(item, "content")]
    thought = thought or [p for item in items for p in objects_in(item, "summary")]
    if thought:
        message["reasoning_content"] = "\n".join(text_in(part, "text") for part in thought)


class _Item(msgspec.Struct):
    """An output item as it comes: parts by content index, and text that has no parts."""

    value: JsonObject
    texts: dict[tuple[str, int], list[str]] = {}
    done: bool = False


_GROWS = {
    "response.output_text.delta": "text",
    "response.refusal.delta": "refusal",
    "response.reasoning_text.delta": "reasoning",
    "response.reasoning_summary_text.delta": "summary",
    "response.function_call_arguments.delta": "arguments",
}


class _Response:
    """A response as its events come."""

    def __init__(self) -> None:
        self.response: JsonObject = {}
        self.items: dict[int, _Item] = {}
        self.number = -1
        self.failure: Any = None
        self.ended = ""
        self.inconsistent = False

    def take(self, event: JsonObject) -> None:
        kind = text_in(event, "type")
        number = index_in(event, "sequence_number", default=self.number + 1)
        self.inconsistent |= number <= self.number or bool(self.ended)
        self.number = max(number, self.number)
        if kind == "error" or (not kind and event.get("error")):
            self.failure = self.failure or event.get("error") or event
        elif "response" in event:
            self.response = object_in(event, "response") or self.response
            self.ended = _ENDS.get(kind) or self.ended
        elif kind.startswith("response.output_item."):
            self._take_item(kind, event)
        elif kind in _GROWS:
            self._grow(_GROWS[kind], event)

    def _take_item(self, kind: str, event: JsonObject) -> None:
        index = index_in(event, "output_index", default=len(self.items))
        before = self.items.get(index)
        done = kind.endswith(".done")
        self.inconsistent |= (before is None) == done or (before is not None and before.done)
        self.items[index] = _Item(object_in(event, "item"), done=done)

    def _grow(self, name: str, event: JsonObject) -> None:
        index = index_in(event, "output_index")
        item = self.items.setdefault(index, _Item({"type": "message", "role": "assistant"}))
        self.inconsistent |= item.done
        place = index_in(event, "summary_index" if name == "summary" else "content_index")
        item.texts.setdefault((name, place), []).append(text_in(event, "delta"))

    def finished(self, payloads: Payloads) -> Assembled:
        answer = dict(self.response)
        if not answer.get("output"):
            items = [_finished(item) for _, item in sorted(self.items.items())]
            answer["output"] = items
        return Assembled(
            answer=answer,
            whole=bool(self.ended),
            failure=self.failure or failure_in(answer | {"status": self.ended}),
            inconsistent=self.inconsistent,
            unreadable=payloads.unreadable,
        )


def _finished(item: _Item) -> JsonObject:
    """Return an item with what came of its texts, where it was cut off before it was done."""
    if item.done or not item.texts:
        return item.value
    value = dict(item.value)
    parts: dict[str, list[JsonObject]] = {"content": [], "summary": []}
    for (name, _), pieces in sorted(item.texts.items()):
        text = "".join(pieces)
        if name == "arguments":
            value["arguments"] = text
        else:
            parts["summary" if name == "summary" else "content"].append(_part(name, text))
    return value | {key: listed for key, listed in parts.items() if listed}


def _part(name: str, text: str) -> JsonObject:
    if name == "refusal":
        return {"type": "refusal", "refusal": text}
    kinds = {"text": "output_text", "reasoning": "reasoning_text", "summary": "summary_text"}
    return {"type": kinds[name], "text": text}
