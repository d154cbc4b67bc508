"""What calls are answered with, in outline: label, JSON, tool calls or free text.

Knows answers only. Whether an answer is right, or two answers agree, is not asked here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from slimdown.answer import answer_of
from slimdown.types import Answer, Call, OutputKind

_LABEL_WORDS, _LABEL_CHARS = 8, 80
_RECURS = 0.8
"""The share of answers whose text occurs more than once, for the answers to be labels."""

_SOME = 0.05
"""A task that calls tools in fewer of its answers than this is no tool task."""

_N_ACTIONS = 20


def kind_of(answers: Sequence[Answer | None]) -> OutputKind:
    """Return what a task's answers are; ``None`` stands for a call that has none."""
    given = [answer for answer in answers if answer is not None]
    if not given:
        return "text"
    if sum(a.kind == "tool" for a in given) >= _SOME * len(given):
        return "tool"
    if sum(a.kind == "json" for a in given) >= len(given) / 2:
        return "json"
    return "label" if are_labels([a.value for a in given if a.kind == "text"]) else "text"


def are_labels(texts: Sequence[str]) -> bool:
    """Tell whether texts are a closed set: short, on one line, and nearly all said before."""
    counts = Counter(texts)
    recurring = sum(n for text, n in counts.items() if n > 1 and is_short(text))
    return len(counts) > 1 and recurring >= _RECURS * len(texts)


def is_short(text: str) -> bool:
    """Tell whether a text could be the name of a label."""
    return len(text) <= _LABEL_CHARS and "\n" not in text and len(text.split()) <= _LABEL_WORDS


def actions_of(calls: Sequence[Call]) -> tuple[str, ...]:
    """Return what the calls were answered with, most frequent first, e.g. ``tool:get_user``."""
    counts = Counter(name for call in calls for name in action_names(answer_of(call)))
    return tuple(name for name, _ in sorted(counts.items(), key=lambda c: (-c[1], c[0])))[
        :_N_ACTIONS
    ]


def action_names(answer: Answer | None) -> tuple[str, ...]:
    """Return the actions of one answer: tools called, keys of an object, or ``text``."""
    if answer is None:
        return ()
    if answer.kind == "tool":
        return tuple(f"tool:{call['name']}" for call in answer.value)
    if answer.kind == "json":
        keys = answer.value if isinstance(answer.value, dict) else ["[]"]
        return tuple(f"json:{key}" for key in keys)
    return (f"label:{answer.value}",) if is_short(answer.value) else ("text",)
