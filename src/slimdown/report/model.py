"""What a report says, as one frozen value: made of ground types and plain numbers only.

The workspace fills it, `page` draws it, ``--json`` prints it. It does not know how a figure was
come by: whoever fills it vouches for that. Texts in it are as the log had them: hostile until
escaped.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from slimdown.types import Certificate, CurvePoint, Refusal, Task

Verdict = Literal["certified", "refused", "set aside", "not tried"]
"""What became of a task; ``not tried`` means that no rung was trained for it."""


class Count(msgspec.Struct, frozen=True):
    """So many calls for one reason; ``reason`` is the stage's stable code."""

    reason: str
    n_calls: int
    detail: str = ""


class LabelRow(msgspec.Struct, frozen=True):
    """One label on calibration: ``n`` upstream answers of it; shares 0..1, None if undefined."""

    label: str
    n: int
    precision: float | None
    recall: float | None


class FieldRow(msgspec.Struct, frozen=True):
    """One output field on calibration: in ``n`` answers of either side, equal in this share."""

    path: str
    n: int
    agreement: float


class Confusion(msgspec.Struct, frozen=True):
    """``n`` calibration calls that upstream answered ``theirs`` and the specialist ``ours``."""

    theirs: str
    ours: str
    n: int


class WorstExample(msgspec.Struct, frozen=True):
    """A confident disagreement; outputs as in `Example`, ``score`` as the threshold reads it."""

    call_id: str
    input: str
    ours: Any
    theirs: Any
    score: float


class SavingFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Money in USD, each with the ends of its 95 % interval, and all that it assumes.

    Field names are those of the ledger's `Saving`, so that
    ``msgspec.convert(saving, SavingFigures, from_attributes=True)`` carries one over.
    ``payback_days`` is None where training is never paid back or the traffic's pace is unknown.
    """

    usd_per_call: float
    usd_per_call_low: float
    usd_per_call_high: float
    share: float
    share_low: float
    share_high: float
    upstream_usd_per_call: float
    specialist_usd_per_call: float
    training_usd: float
    usd_per_month: float | None = None
    usd_per_month_low: float | None = None
    usd_per_month_high: float | None = None
    break_even_calls: float | None = None
    payback_days: float | None = None
    verdict: Literal["worth it", "not worth it", "uncertain"]
    reason: str
    assumptions: tuple[str, ...] = ()


class RungReport(msgspec.Struct, frozen=True, kw_only=True):
    """One rung tried on one task: a certificate, or a refusal, or an objection to trying at all.

    ``agreement`` is the share of all ``n_calibration`` answers equal to the upstream's, served or
    not; ``observed`` disagreement at the certified point is the certificate's ``k / n``.
    """

    rung: str
    certificate: Certificate | None = None
    refusal: Refusal | None = None
    objection: str = ""
    n_calibration: int = 0
    agreement: float | None = None
    truth_agreement: float | None = None
    train_seconds: float | None = None
    latency_ms: float | None = None
    n_bytes: int | None = None
    curve: tuple[CurvePoint, ...] = ()
    labels: tuple[LabelRow, ...] = ()
    fields: tuple[FieldRow, ...] = ()
    confusions: tuple[Confusion, ...] = ()
    worst: tuple[WorstExample, ...] = ()


class TaskReport(msgspec.Struct, frozen=True, kw_only=True):
    """One task: its calls, what curation left of them, each rung tried, and the money.

    ``served_by`` names the rung chosen among the certified ones, None where there is none.
    ``set_aside`` is a sentence where the whole task was left to the upstream untried (a human
    reads its answers, say). ``n_contradictions`` counts inputs that upstream answered in two ways.
    """

    task: Task
    n_calls: int
    n_tokens: int = 0
    cost_usd: float | None = None
    set_aside: str = ""
    n_train: int = 0
    n_dev: int = 0
    n_calibration: int = 0
    dropped: tuple[Count, ...] = ()
    n_contradictions: int = 0
    rungs: tuple[RungReport, ...] = ()
    served_by: str | None = None
    saving: SavingFigures | None = None

    @property
    def served(self) -> RungReport | None:
        """The chosen rung's report, where a rung is certified and chosen."""
        return next((r for r in self.rungs if r.certificate and r.rung == self.served_by), None)

    @property
    def certificate(self) -> Certificate | None:
        """The chosen rung's certificate."""
        return self.served.certificate if self.served else None

    @property
    def verdict(self) -> Verdict:
        """What became of the task."""
        if self.certificate:
            return "certified"
        if self.set_aside:
            return "set aside"
        return "refused" if any(r.refusal or r.objection for r in self.rungs) else "not tried"

    @property
    def coverage(self) -> float:
        """Share of the task's calls that its specialist may serve: 0 without a certificate."""
        return self.certificate.coverage if self.certificate else 0.0

    @property
    def moved_calls(self) -> float:
        """Expected calls, of those in the log, that its specialist would have served."""
        return self.n_calls * self.coverage


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The whole report on one workspace.

    ``n_calls`` are all stored calls and ``n_tokens`` their tokens, told or estimated;
    ``rejected`` counts what the import could not read, and ``set_aside`` what curation left out of
    all tasks. ``risk`` and ``delta`` are the dial's. Times are ISO 8601 in UTC. ``cost_usd`` is
    what the log's calls cost upstream, None where no price is known; ``n_unpriced`` calls are not
    in it.
    """

    schema: Literal["slimdown.report/1"] = "slimdown.report/1"
    name: str = ""
    version: str
    created_at: str
    risk: float
    delta: float
    n_calls: int
    n_tokens: int = 0
    n_sessions: int = 0
    first_call_at: str | None = None
    last_call_at: str | None = None
    cost_usd: float | None = None
    n_unpriced: int = 0
    n_left: int = 0
    rejected: tuple[Count, ...] = ()
    set_aside: tuple[Count, ...] = ()
    tasks: tuple[TaskReport, ...] = ()
    saving: SavingFigures | None = None
    notes: tuple[str, ...] = ()

    @property
    def moved_calls(self) -> float:
        """Expected calls, of those in the log, that certified specialists would have served."""
        return sum(task.moved_calls for task in self.tasks)

    @property
    def moved_share(self) -> float:
        """The same as a share of all stored calls; 0 for an empty workspace."""
        return self.moved_calls / self.n_calls if self.n_calls else 0.0

    @property
    def moved_cost_share(self) -> float | None:
        """Share of the upstream cost that those calls carry; None where no cost is known."""
        if not self.cost_usd:
            return None
        return sum((t.cost_usd or 0.0) * t.coverage for t in self.tasks) / self.cost_usd

    def share_of_calls(self, task: TaskReport) -> float | None:
        """Share of all stored calls that are the task's; None for an empty workspace."""
        return task.n_calls / self.n_calls if self.n_calls else None

    def share_of_tokens(self, task: TaskReport) -> float | None:
        """Share of all tokens that are the task's; None where none are known."""
        return task.n_tokens / self.n_tokens if self.n_tokens else None

    def share_of_cost(self, task: TaskReport) -> float | None:
        """Share of the known upstream cost that is the task's; None where none is known."""
        if not self.cost_usd or task.cost_usd is None:
            return None
        return task.cost_usd / self.cost_usd
