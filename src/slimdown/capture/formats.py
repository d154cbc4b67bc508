"""The log formats: how a record is recognised, and what reads it. The first that fits is taken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from slimdown.capture import batch, conversations, recorded, traces
from slimdown.capture.draft import Found
from slimdown.types import JsonObject

BATCH = "openai-batch"


class Format(msgspec.Struct, frozen=True):
    """A log format. ``drafts`` may raise `Unusable`; batches are joined elsewhere."""

    name: str
    recognises: Callable[[JsonObject], bool]
    drafts: Callable[[JsonObject], Found]


def _no_drafts(_: JsonObject) -> Found:
    raise AssertionError("halves of batch calls are joined by BatchJoin")


_FORMATS = (
    Format(BATCH, batch.is_half, _no_drafts),
    Format("langfuse", traces.is_langfuse, traces.langfuse_drafts),
    Format("litellm", traces.is_litellm, traces.litellm_drafts),
    Format("flywheel", recorded.is_flywheel, recorded.flywheel_drafts),
    Format("calls", recorded.is_call, recorded.call_drafts),
    Format("openai-stored", recorded.is_completion, recorded.completion_drafts),
    Format("sharegpt", conversations.is_sharegpt, conversations.sharegpt_drafts),
    Format(
        "prompt-completion",
        conversations.is_prompt_completion,
        conversations.prompt_completion_drafts,
    ),
    Format("conversation", conversations.is_trajectory, conversations.trajectory_drafts),
)

NAMES = tuple(form.name for form in _FORMATS)
"""The names of all formats."""

_CONVERSATION = _FORMATS[-1]


def format_of(record: Any, only: str = "auto") -> Format | None:
    """Return the format of a JSON value, or None; ``only`` names the one that it has to be."""
    if isinstance(record, list):
        fits = only in ("auto", _CONVERSATION.name) and conversations.is_trajectory(record)
        return _CONVERSATION if fits else None
    if not isinstance(record, dict):
        return None
    listed = _FORMATS if only == "auto" else (form for form in _FORMATS if form.name == only)
    return next((form for form in listed if form.recognises(record)), None)


_KINDS: dict[type, str] = {
    list: "a list",
    str: "a text",
    int: "a number",
    float: "a number",
    bool: "a truth value",
}


def describe(record: Any) -> str:
    """Say in a few words what a value is; of an object its first keys, never what they hold."""
    if isinstance(record, dict):
        keys = ", ".join(sorted(str(key)[:40] for key in record)[:12])
        return f"an object with the keys {keys}" if keys else "an empty object"
    return _KINDS.get(type(record), "null")
