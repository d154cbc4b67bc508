"""What a live run showed: shares, agreement, latency and the bill, from the agent's own answers.

Pure: the calls as they were recorded, the answers as the agent wrote them, and the report that the
specialists were certified by. It does not know how either run was made.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import msgspec

from slimdown.answer import answer_of, finish_reason, output_of
from slimdown.curate.refusal import refused
from slimdown.evaluate.agreement import agreement_for
from slimdown.ledger import Prices, cost_of
from slimdown.report.model import Report
from slimdown.route import Candidates
from slimdown.types import Call, JsonObject, Task

FINGERPRINT = "slimdown-"
"""A served answer's ``system_fingerprint`` is this and the start of its specialist's id."""

_WHOLE = ("stop", "tool_calls")


class AgentAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What the agent wrote down of one call; ``error`` where it got no answer."""

    id: str
    ms: float
    message: JsonObject | None = None
    finish_reason: str | None = None
    fingerprint: str | None = None
    error: str = ""


class Latency(msgspec.Struct, frozen=True):
    """Milliseconds, as the agent measured them, of ``n`` calls."""

    n: int
    p50_ms: float
    p95_ms: float


class LiveTask(msgspec.Struct, frozen=True, kw_only=True):
    """One task's calls: how many a specialist answered, and how many of those ``compared`` with
    a whole answer of the LLM agreed with it."""

    name: str
    n_calls: int
    n_served: int
    n_compared: int
    n_agreed: int


class LiveReport(msgspec.Struct, frozen=True, kw_only=True):
    """The agent's calls straight to the upstream, and again through the gateway.

    ``usd_before`` is what the calls cost upstream, ``usd_after`` the same without those that a
    specialist answered, and with the specialists' measured CPU time. ``reasons`` counts what the
    gateway decided, by its stable codes.
    """

    n_calls: int
    tasks: tuple[LiveTask, ...]
    direct: Latency
    through: Latency
    by_specialist: Latency
    n_failed_direct: int
    n_failed_through: int
    usd_before: float
    usd_after: float
    reasons: dict[str, int] = {}

    @property
    def served_share(self) -> float:
        """Share of all calls that a specialist answered."""
        return sum(task.n_served for task in self.tasks) / max(self.n_calls, 1)


def live_report(
    calls: Sequence[Call],
    direct: Collection[AgentAnswer],
    through: Collection[AgentAnswer],
    report: Report,
    prices: Prices,
) -> LiveReport:
    """Return the figures of a run; ``calls`` are those that the agent made anew, by their ids."""
    served = {a.id: a for a in through if _is_served(a, report)}
    of_task = tasks_of(calls, [each.task for each in report.tasks])
    costs = {call.id: _usd(call, prices) for call in calls}
    saving = {each.task.id: each.saving for each in report.tasks if each.certificate}
    drafts = (saving.get(task.id) for task in of_task.values())
    asked = sum(cost for call_id, cost in costs.items() if call_id not in served)
    return LiveReport(
        n_calls=len(calls),
        tasks=tuple(
            _live_task(each.task, [c for c in calls if of_task.get(c.id) == each.task], served)
            for each in report.tasks
        ),
        direct=latency(direct),
        through=latency(through),
        by_specialist=latency(served.values()),
        n_failed_direct=sum(bool(answer.error) for answer in direct),
        n_failed_through=sum(bool(answer.error) for answer in through),
        usd_before=sum(costs.values()),
        usd_after=asked + sum(each.specialist_usd_per_call for each in drafts if each),
    )


def routing_reasons(metrics: str) -> dict[str, int]:
    """Return how often each reason occurred, by the gateway's metrics; the commonest first."""
    found = re.findall(r'^slimdown_routing_total\{reason="([^"]*)"\} (\S+)$', metrics, re.MULTILINE)
    counts = {reason: int(float(count)) for reason, count in found}
    return dict(sorted(counts.items(), key=lambda item: -item[1]))


def tasks_of(calls: Iterable[Call], tasks: Sequence[Task]) -> dict[str, Task]:
    """Return the task of each call whose request fits exactly one of them, by the call's id."""
    candidates = Candidates(tasks)
    found = ((call.id, candidates.of(call.request)) for call in calls)
    return {call_id: fitting[0] for call_id, fitting in found if len(fitting) == 1}


def latency(answers: Iterable[AgentAnswer]) -> Latency:
    """Return the nearest-rank percentiles of the calls that were answered; NaN where none was."""
    times = sorted(answer.ms for answer in answers if not answer.error)
    return Latency(len(times), _percentile(times, 0.5), _percentile(times, 0.95))


def _percentile(ordered: Sequence[float], share: float) -> float:
    return ordered[math.ceil(share * len(ordered)) - 1] if ordered else math.nan


def _is_served(answer: AgentAnswer, report: Report) -> bool:
    marked, _, start = (answer.fingerprint or "").partition(FINGERPRINT)
    ids = (each.certificate.specialist_id for each in report.tasks if each.certificate)
    return not marked and bool(start) and any(each.startswith(start) for each in ids)


def _live_task(task: Task, calls: Sequence[Call], served: dict[str, AgentAnswer]) -> LiveTask:
    agree = agreement_for(task.kind)
    compared = [
        agree(
            _output(task, msgspec.structs.replace(call, response=_response(served[call.id]))), said
        )
        for call in calls
        if call.id in served and (said := _said(task, call)) is not None
    ]
    return LiveTask(
        name=task.name,
        n_calls=len(calls),
        n_served=sum(call.id in served for call in calls),
        n_compared=len(compared),
        n_agreed=sum(compared),
    )


def _said(task: Task, call: Call) -> Any:
    """Return what the LLM had said, None where it failed, was cut short or would not."""
    answer = answer_of(call)
    if call.error or finish_reason(call.response) not in _WHOLE or refused(call.response, answer):
        return None
    return _output(task, call)


def _output(task: Task, call: Call) -> Any:
    answer = answer_of(call)
    return None if answer is None else output_of(task.kind, answer)


def _response(answer: AgentAnswer) -> JsonObject:
    choice = {"index": 0, "message": answer.message, "finish_reason": answer.finish_reason}
    return {"object": "chat.completion", "choices": [choice]}


def _usd(call: Call, prices: Prices) -> float:
    cost = cost_of(call, prices)
    return 0.0 if cost is None else cost.usd
