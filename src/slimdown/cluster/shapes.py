"""What calls are answered with, in outline: label, JSON, tool calls or free text.

Knows answers only. Whether an answer is right, or two answers agree, is not asked here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from slimdown.types import Answer, JsonObject, OutputKind

_LABEL_WORDS, _LABEL_CHARS = 8, 80
_RECURS = 0.8
"""The share of answers whose text occurs more than once, for the answers to be labels."""

_SOME = 0.05
"""A task that calls tools in fewer of its answers than this is no tool task."""

_LABEL_COUNT, _SHORT_TEXT = 3, 300

_N_ACTIONS = 20


def kind_of(given: Sequence[Answer]) -> OutputKind:
    """Return what a task's answers are."""
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


def outlines(answers: Sequence[Answer]) -> list[str]:
    """Return the kind of action that each answer is, coarse enough to be one operation's.

    A tool by its name, an object by the family of its keys, a recurring short text as a label,
    other text by its length.
    """
    counts = Counter(a.value for a in answers if a.kind == "text")
    family = _key_families([a.value for a in answers if isinstance(a.value, dict)])
    # An empty object is an extraction that found nothing, not an operation of its own.
    common = Counter(family.values()).most_common(1)
    family[""] = common[0][0] if common else ""
    return [_outline(answer, counts, family) for answer in answers]


def _outline(answer: Answer, counts: Counter[str], family: dict[str, str]) -> str:
    if answer.kind == "tool":
        return f"tool {answer.value[0]['name']}"
    if answer.kind == "json":
        is_object = isinstance(answer.value, dict)
        return f"json {family[next(iter(answer.value), '')]}" if is_object else "json list"
    if is_short(answer.value) and counts[answer.value] >= _LABEL_COUNT:
        return "label"
    return "short text" if len(answer.value) <= _SHORT_TEXT else "long text"


def _key_families(objects: Sequence[JsonObject]) -> dict[str, str]:
    """Map each key to the first, in order of the alphabet, of the keys it is ever linked with."""
    family: dict[str, str] = {}

    def head(key: str) -> str:
        while family.setdefault(key, key) != key:
            key = family[key]
        return key

    for keys in sorted({tuple(sorted(o)) for o in objects if o}):
        for key in keys:
            first, second = sorted((head(keys[0]), head(key)))
            family[second] = first
    return {key: head(key) for key in family}


def is_short(text: str) -> bool:
    """Tell whether a text could be the name of a label."""
    return len(text) <= _LABEL_CHARS and "\n" not in text and len(text.split()) <= _LABEL_WORDS


def actions_of(answers: Sequence[Answer]) -> tuple[str, ...]:
    """Return what was answered, most frequent first, e.g. ``tool:get_user``."""
    counts = Counter(name for answer in answers for name in action_names(answer))
    return tuple(name for name, _ in sorted(counts.items(), key=lambda c: (-c[1], c[0])))[
        :_N_ACTIONS
    ]


def action_names(answer: Answer) -> tuple[str, ...]:
    """Return the actions of one answer: tools called, keys of an object, or ``text``."""
    if answer.kind == "tool":
        return tuple(f"tool:{call['name']}" for call in answer.value)
    if answer.kind == "json":
        keys = answer.value if isinstance(answer.value, dict) else ["[]"]
        return tuple(f"json:{key}" for key in keys)
    return (f"label:{answer.value}",) if is_short(answer.value) else ("text",)
