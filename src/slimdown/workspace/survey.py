"""What is in the log: its tasks, which call belongs to which, what it cost, what is left out.

Tasks are found from prompts and answers; calls are then assigned by their request alone, as live
traffic will be, so a certificate holds for what will really be routed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice

import msgspec

from slimdown.cluster import find_tasks
from slimdown.curate import CurationRules, Kept, curate, input_text
from slimdown.ledger import Prices
from slimdown.route.assign import Assigner
from slimdown.seams import Embedder, Progress
from slimdown.signature import specialist_input
from slimdown.types import Call, Dropped, Task
from slimdown.workspace.tally import CallFacts, Tally, total_of

Source = Callable[[], Iterable[Call]]
"""Gives the log's calls from the start, each time it is called."""

_BATCH = 512


class Survey(msgspec.Struct, frozen=True, kw_only=True):
    """A log's tasks and calls: ``members`` maps a call to its task, ``left`` is in no task.

    ``facts`` are per task id, "" for calls of no task.
    """

    tasks: tuple[Task, ...]
    members: dict[str, str]
    left: tuple[Dropped, ...]
    kept: tuple[Kept, ...]
    dropped: tuple[Dropped, ...]
    contradictory: tuple[str, ...]
    facts: dict[str, CallFacts]
    n_sessions: int
    notes: tuple[str, ...] = ()

    @property
    def total(self) -> CallFacts:
        """The facts of all calls."""
        return total_of(self.facts.values())

    def facts_of(self, task_id: str) -> CallFacts:
        """Return the facts of a task's calls; a task without calls has empty ones."""
        return self.facts.get(task_id, CallFacts())


def survey(
    source: Source,
    *,
    embedder: Embedder | None,
    rules: CurationRules,
    prices: Prices,
    previous: Sequence[Task] = (),
    progress: Progress,
) -> Survey:
    """Find the tasks of a log, assign and cost its calls, and curate them; three passes."""
    progress(0.0, "finding tasks")
    clustering = find_tasks(source(), embedder=embedder, previous=previous)
    progress(0.5, "assigning calls")
    tally = Tally(prices)
    members = dict(_assigned(source(), Assigner(clustering.tasks, embedder), tally))
    progress(0.75, "curating")
    curated = curate(source(), rules, text_of=_text_of(clustering.tasks, members))
    progress(1.0, "")
    return Survey(
        tasks=clustering.tasks,
        members=members,
        left=clustering.left,
        kept=curated.kept,
        dropped=curated.dropped,
        contradictory=curated.contradictory,
        facts=tally.facts(),
        n_sessions=len(tally.sessions),
        notes=tuple(f"{n:,} calls lack {rule}" for rule, n in curated.unjudged.items()),
    )


def _assigned(calls: Iterable[Call], assigner: Assigner, tally: Tally) -> Iterator[tuple[str, str]]:
    remaining = iter(calls)
    while batch := list(islice(remaining, _BATCH)):
        for call, task_id in zip(batch, assigner.assign([c.request for c in batch]), strict=True):
            tally.add(call, task_id or "")
            if task_id:
                yield call.id, task_id


def _text_of(tasks: Sequence[Task], members: Mapping[str, str]) -> Callable[[Call], str]:
    by_id = {task.id: task for task in tasks}

    def text_of(call: Call) -> str:
        task_id = members.get(call.id)
        if task_id is None:
            return input_text(call)
        # Two tasks may be asked the same text; they are no duplicates of each other.
        return f"{task_id}\n{specialist_input(by_id[task_id], call.request)}"

    return text_of
