"""A request's fixed parts: what capture, cluster and route agree to call the same prompt.

A template is matched by its constant text alone, so that a repeated prompt costs a few string
comparisons. Knows nothing of answers, and nothing of how templates are found (`cluster` does).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from slimdown.answer import message_text
from slimdown.canonical import bytes_id, canonical_json
from slimdown.types import JsonObject, Slot, Task, Template

CONTENT_CHARS = 320
"""Characters from each end of the variable text that stand for a request when it is embedded."""

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Vectors = npt.NDArray[np.float32]

_ENCODER = msgspec.json.Encoder()


def tools_id(request: JsonObject) -> str:
    """Return the content id of the tool list, or "" where a request has none."""
    tools = request.get("tools") or request.get("functions")
    return _value_id(_ENCODER.encode(tools)) if tools else ""


def contract_id(request: JsonObject) -> str:
    """Return the content id of the output contract (``response_format``), "" where none is set."""
    contract = request.get("response_format")
    if not contract or contract == {"type": "text"}:
        return ""
    return _value_id(_ENCODER.encode(contract))


def messages_of(request: JsonObject) -> list[JsonObject]:
    """Return the messages that are objects; a request of another shape has none."""
    messages = request.get("messages")
    if not isinstance(messages, list):
        return []
    return [message for message in messages if isinstance(message, dict)]


def matches(template: Template, request: JsonObject) -> bool:
    """Tell whether a request has the template's tools, contract and constant text."""
    if template.tools_id != tools_id(request) or template.contract_id != contract_id(request):
        return False
    return matches_messages(template, messages_of(request))


def matches_messages(template: Template, messages: list[JsonObject]) -> bool:
    """Tell whether messages begin with the template's slots, tools and contract aside."""
    if len(messages) < len(template.slots):
        return False
    pairs = zip(template.slots, messages, strict=False)
    return all(_fits(slot, message) for slot, message in pairs)


def constant_chars(template: Template) -> int:
    """Return how many characters of constant text a template has: how specific it is."""
    return sum(len(slot.prefix) + len(slot.suffix) for slot in template.slots)


def specialist_input(task: Task, request: JsonObject) -> str:
    """Return the variable parts of a request under its task's template, nothing cut short.

    Constant messages, prefixes and suffixes are left out. One variable message is returned as it
    is; several are joined, each after a line ``[role]``. Every part stays a verbatim substring of
    its message. A message that does not fit its slot is kept whole.
    """
    return variable_text(task.template, request)


def variable_text(template: Template, request: JsonObject) -> str:
    """Return what `specialist_input` does, for a template that belongs to no task yet."""
    parts = list(_variable_parts(template, messages_of(request)))
    if len(parts) == 1:
        return parts[0][1]
    return "\n".join(f"[{role}]\n{text}" for role, text in parts)


def content_slice(template: Template, request: JsonObject) -> str:
    """Return the head and the tail of the variable text: what stands for a request's content."""
    text = variable_text(template, request)
    if len(text) <= 2 * CONTENT_CHARS:
        return text
    return f"{text[:CONTENT_CHARS]}\n{text[-CONTENT_CHARS:]}"


def distances(vectors: Vectors, centroids: Vectors) -> Vectors:
    """Return squared Euclidean distances of unit vectors to mean vectors, shape (rows, means).

    The mean of a loose cluster is short, so that its distances stay comparable with those of a
    tight one; cosine to a mean scaled to unit length favours the tight one.
    """
    squares: Vectors = 1 - 2 * vectors @ centroids.T + (centroids**2).sum(axis=1)
    return squares


def spoken_text(message: JsonObject) -> str:
    """Return a message's text, and after it the tool calls that it makes, as JSON."""
    text = message_text(message)
    calls = message.get("tool_calls")
    if not isinstance(calls, list) or not calls:
        return text
    made = [call.get("function") for call in calls if isinstance(call, dict)]
    return "\n".join([*([text] if text else []), _ENCODER.encode(made).decode()])


def _variable_parts(template: Template, messages: list[JsonObject]) -> Iterator[tuple[str, str]]:
    slots = template.slots
    for position, message in enumerate(messages):
        text = spoken_text(message)
        slot = slots[position] if position < len(slots) else None
        if slot is not None and _fits(slot, message):
            text = text[len(slot.prefix) : len(text) - len(slot.suffix)]
        if text:
            yield str(message.get("role", "")), text


def _fits(slot: Slot, message: JsonObject) -> bool:
    if message.get("role") != slot.role:
        return False
    text = spoken_text(message)
    if slot.constant:
        return text == slot.prefix
    long_enough = len(text) >= len(slot.prefix) + len(slot.suffix)
    return long_enough and text.startswith(slot.prefix) and text.endswith(slot.suffix)


@lru_cache(maxsize=4096)
def _value_id(encoded: bytes) -> str:
    # Cached on the bytes as sent: a resent tool list costs one lookup, not a canonical encoding.
    return bytes_id(canonical_json(msgspec.json.decode(encoded)))
