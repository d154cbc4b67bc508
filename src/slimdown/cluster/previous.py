"""Recognises tasks of an earlier fit among those of a later one, so that ids and names last."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from slimdown.signature import matches_messages, messages_of
from slimdown.types import Call, Slot, Task, Template

_SAMPLE = 50
_SAME_PROMPT, _SAME_CONTENT = 0.5, 0.7
"""Least share of calls that match the old template, and least cosine of the two centroids."""


def keep_identity(
    tasks: Sequence[Task], calls: Sequence[Sequence[Call]], previous: Sequence[Task]
) -> list[Task]:
    """Return ``tasks`` with id and name of the previous task that each one continues.

    ``calls`` are the calls of each task. The likest pair is joined first; no old task twice.
    """
    pairs = [
        (likeness, new, old)
        for new, task in enumerate(tasks)
        for old, before in enumerate(previous)
        if (likeness := _likeness(task, calls[new], before)) > 0
    ]
    kept: dict[int, int] = {}
    for _, new, old in sorted(pairs, key=lambda p: (-p[0], p[1], p[2])):
        if new not in kept and old not in kept.values():
            kept[new] = old
    return [
        _continued(task, previous[kept[new]]) if new in kept else task
        for new, task in enumerate(tasks)
    ]


def _continued(task: Task, before: Task) -> Task:
    return msgspec.structs.replace(task, id=before.id, name=before.name)


def _likeness(task: Task, calls: Sequence[Call], before: Task) -> float:
    """Return 0 for different operations, else how alike two tasks are (at most 2)."""
    content = _cosine(task.centroid, before.centroid)
    if content < _SAME_CONTENT:
        return 0.0
    prompt = 1.0 if task.template == before.template else _prompt_likeness(task, calls, before)
    return prompt + content if prompt >= _SAME_PROMPT else 0.0


def _prompt_likeness(task: Task, calls: Sequence[Call], before: Task) -> float:
    new, old = task.template, before.template
    if (new.tools_id, new.contract_id) != (old.tools_id, old.contract_id):
        return 0.0
    if _narrows(old, new):
        return 1.0
    sample = calls[:: -(-len(calls) // _SAMPLE)]
    return sum(matches_messages(old, messages_of(c.request)) for c in sample) / len(sample)


def _narrows(narrow: Template, wide: Template) -> bool:
    """Tell whether a template says all that ``wide`` does; a fit on more data widens templates."""
    if not wide.slots or len(narrow.slots) < len(wide.slots):
        return False
    return all(_slot_narrows(n, w) for n, w in zip(narrow.slots, wide.slots, strict=False))


def _slot_narrows(narrow: Slot, wide: Slot) -> bool:
    if narrow.role != wide.role or (wide.constant and narrow != wide):
        return False
    end = narrow.prefix if narrow.constant else narrow.suffix
    return narrow.prefix.startswith(wide.prefix) and end.endswith(wide.suffix)


def _cosine(first: Sequence[float], second: Sequence[float]) -> float:
    if not first or not second or len(first) != len(second):
        return 1.0  # content was not looked at, then or now: the prompts alone decide
    dot = sum(a * b for a, b in zip(first, second, strict=True))
    return dot / (math.hypot(*first) * math.hypot(*second))
