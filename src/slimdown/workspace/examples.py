"""From stored calls to a task's examples: the variable part of the prompt, and the answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from slimdown.answer import answer_of, output_of
from slimdown.curate import Kept, split
from slimdown.signature import specialist_input
from slimdown.store import Store
from slimdown.types import Call, Dataset, Example, Task
from slimdown.workspace.survey import Survey


def examples_of(task: Task, calls: Iterable[Call], kept: Mapping[str, Kept]) -> Iterator[Example]:
    """Yield an example for each of a task's calls that curation kept."""
    for call in calls:
        facts, answer = kept.get(call.id), answer_of(call)
        if facts is None or answer is None:
            continue
        yield Example(
            id=call.id,
            input=specialist_input(task, call.request),
            output=output_of(task.kind, answer),
            session=facts.session,
            group=facts.group,
            started_at=facts.started_at or "",
            label=call.label,
        )


def dataset_of(store: Store, found: Survey, task: Task) -> Dataset:
    """Return a task's dataset: the examples of its kept calls, split by time and session."""
    facts = {k.call_id: k for k in found.kept if found.members.get(k.call_id) == task.id}
    examples = list(examples_of(task, store.calls(ids=facts), facts))
    return split(examples, task_id=task.id, kind=task.kind)
