"""Finds an agent's recurring operations in its calls: by signature, then by content and action.

Unsupervised (S3 of arXiv 2506.02153): neither `Call.metadata` nor `Call.label` is read. The same
calls give the same tasks and ids in whatever order they come; a refit that is shown the tasks
found before keeps their ids and names where the prompts are still the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from slimdown.answer import answer_of
from slimdown.canonical import content_id
from slimdown.cluster.mine import MIN_CALLS, masked
from slimdown.cluster.naming import describe, name_tasks, prompt_words
from slimdown.cluster.previous import keep_identity
from slimdown.cluster.shapes import actions_of, kind_of
from slimdown.cluster.split import Part, divide
from slimdown.cluster.templates import find_signatures
from slimdown.seams import Embedder
from slimdown.signature import content_slice
from slimdown.types import Call, Dropped, Task, Template

_NAMED_FROM = 50
"""Calls of a task whose content is read for its name."""


@dataclass(frozen=True, slots=True)
class Clustering:
    """The tasks found, which call belongs to which (by call id), and the calls left over."""

    tasks: tuple[Task, ...]
    members: dict[str, str]
    left: tuple[Dropped, ...]

    @property
    def coverage(self) -> float:
        """The share of calls that belong to a task; 0 where there were no calls."""
        n_calls = len(self.members) + len(self.left)
        return len(self.members) / n_calls if n_calls else 0.0


@dataclass(frozen=True, slots=True)
class _Found:
    template: Template
    part: Part
    calls: list[Call]


def find_tasks(
    calls: Iterable[Call], *, embedder: Embedder | None, previous: Sequence[Task] = ()
) -> Clustering:
    """Group calls into tasks, largest first; a call without an answer is left.

    Without an embedder, signatures alone decide, and a signature that mixes operations stays one
    task. ``previous`` are the tasks of the last fit.
    """
    ordered = sorted(calls, key=lambda call: call.id)
    usable = [call for call in ordered if call.error is None and answer_of(call) is not None]
    useless = {call.id for call in ordered} - {call.id for call in usable}
    left = [Dropped(call_id, "no answer") for call_id in sorted(useless)]
    found: list[_Found] = []
    for signature in find_signatures(usable):
        members = [usable[i] for i in signature.members]
        if len(members) < MIN_CALLS:
            left += [Dropped(c.id, "too few", _too_few(len(members))) for c in members]
            continue
        divided = divide(members, signature.template, embedder)
        found += [
            _Found(signature.template, part, [members[i] for i in part.members])
            for part in divided.parts
        ]
        left += [Dropped(members[i].id, "too diverse", divided.reason) for i in divided.left]
    return _clustering(found, left, previous)


def _clustering(found: list[_Found], left: list[Dropped], previous: Sequence[Task]) -> Clustering:
    found = sorted(found, key=lambda f: (-len(f.calls), f.calls[0].id))
    tasks = keep_identity(_tasks(found), [f.calls for f in found], previous)
    members = {c.id: task.id for task, f in zip(tasks, found, strict=True) for c in f.calls}
    return Clustering(tuple(tasks), members, tuple(left))


def _tasks(found: Sequence[_Found]) -> list[Task]:
    kinds = [kind_of([answer_of(call) for call in f.calls]) for f in found]
    prompts = [prompt_words(f.template, _sample(f)) for f in found]
    names = name_tasks(prompts, kinds)
    return [
        Task(
            id=_task_id(f),
            name=name,
            description=describe(f.template, kind, len(f.calls)),
            kind=kind,
            template=f.template,
            actions=actions_of(f.calls),
            centroid=f.part.centroid,
            radius=f.part.radius,
            n_calls=len(f.calls),
        )
        for f, kind, name in zip(found, kinds, names, strict=True)
    ]


def _task_id(found: _Found) -> str:
    slots = [(s.role, masked(s.prefix), masked(s.suffix), s.constant) for s in found.template.slots]
    middle = found.part.medoid
    return content_id([slots, found.template.tools_id, found.template.contract_id, middle])


def _sample(found: _Found) -> list[str]:
    step = max(1, len(found.calls) // _NAMED_FROM)
    return [content_slice(found.template, call.request) for call in found.calls[::step]]


def _too_few(n_calls: int) -> str:
    return f"{n_calls} calls share this prompt; {MIN_CALLS} make a task"
