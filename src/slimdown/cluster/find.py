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
from slimdown.types import Answer, Call, Dropped, Task, Template

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
    answered: list[tuple[Call, Answer]]

    @property
    def calls(self) -> list[Call]:
        return [call for call, _ in self.answered]


def find_tasks(
    calls: Iterable[Call], *, embedder: Embedder | None, previous: Sequence[Task] = ()
) -> Clustering:
    """Group calls into tasks, largest first; a call without an answer is left.

    Without an embedder, signatures alone decide, and a signature that mixes operations stays one
    task. ``previous`` are the tasks of the last fit.
    """
    answered, left = _answered(calls)
    usable = [call for call, _ in answered]
    found: list[_Found] = []
    for signature in find_signatures(usable):
        members = [answered[i] for i in signature.members]
        if len(members) < MIN_CALLS:
            left += [Dropped(c.id, "too few", _too_few(len(members))) for c, _ in members]
            continue
        divided = divide(
            [call for call, _ in members], [a for _, a in members], signature.template, embedder
        )
        found += [
            _Found(signature.template, part, [members[i] for i in part.members])
            for part in divided.parts
        ]
        left += [Dropped(members[i][0].id, "too diverse", divided.reason) for i in divided.left]
    return _clustering(found, left, previous)


def _answered(calls: Iterable[Call]) -> tuple[list[tuple[Call, Answer]], list[Dropped]]:
    """Return calls with their answers, in order of id, and those that have none."""
    kept, left = [], []
    for call in sorted(calls, key=lambda call: call.id):
        answer = answer_of(call) if call.error is None else None
        if answer is None:
            left.append(Dropped(call.id, "no answer"))
        else:
            kept.append((call, answer))
    return kept, left


def _clustering(found: list[_Found], left: list[Dropped], previous: Sequence[Task]) -> Clustering:
    found = sorted(found, key=lambda f: (-len(f.calls), f.calls[0].id))
    tasks = keep_identity(_tasks(found), [f.calls for f in found], previous)
    members = {c.id: task.id for task, f in zip(tasks, found, strict=True) for c in f.calls}
    return Clustering(tuple(tasks), members, tuple(left))


def _tasks(found: Sequence[_Found]) -> list[Task]:
    kinds = [kind_of([answer for _, answer in f.answered]) for f in found]
    prompts = [prompt_words(f.template, _sample(f)) for f in found]
    names = name_tasks(prompts, kinds)
    return [
        Task(
            id=_task_id(f),
            name=name,
            description=describe(f.template, kind, len(f.calls)),
            kind=kind,
            template=f.template,
            actions=actions_of([answer for _, answer in f.answered]),
            centroid=f.part.centroid,
            radius=f.part.radius,
            n_calls=len(f.calls),
        )
        for f, kind, name in zip(found, kinds, names, strict=True)
    ]


def _task_id(found: _Found) -> str:
    slots = [(s.role, masked(s.prefix), masked(s.suffix), s.constant) for s in found.template.slots]
    template = found.template
    return content_id([slots, template.tools_id, template.contract_id, found.part.action])


def _sample(found: _Found) -> list[str]:
    step = max(1, len(found.calls) // _NAMED_FROM)
    return [content_slice(found.template, call.request) for call in found.calls[::step]]


def _too_few(n_calls: int) -> str:
    return f"{n_calls} calls share this prompt; {MIN_CALLS} make a task"
