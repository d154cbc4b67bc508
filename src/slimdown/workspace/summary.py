"""Fills the report: what each stage found, in the figures that a reader asks for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from slimdown import __version__
from slimdown.ledger import (
    Coverage,
    Saving,
    SpecialistUse,
    load_prices,
    price_notes,
    saving_of,
    total_saving,
)
from slimdown.report.model import Count, Report, SavingFigures, TaskReport
from slimdown.settings import Settings
from slimdown.types import Dropped, Task
from slimdown.workspace.ladder import Climb
from slimdown.workspace.survey import Survey
from slimdown.workspace.tally import CallFacts

_SECONDS_PER_DAY = 86_400


class TaskOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one task: the sizes of its splits, what they left out, and the climb."""

    task: Task
    n_train: int
    n_dev: int
    n_calibration: int
    dropped: tuple[Dropped, ...]
    is_dated: bool
    climb: Climb


def summarise(found: Survey, outcomes: Sequence[TaskOutcome], settings: Settings) -> Report:
    """Return the report on a surveyed log and the outcomes of its tasks."""
    total = found.total
    savings = {o.task.id: _saving(found, o, settings) for o in outcomes}
    parts = [(s, found.facts[task_id].n_calls) for task_id, s in savings.items() if s]
    whole = total_saving(
        parts,
        n_calls=total.n_calls - total.n_unpriced,
        upstream_usd=total.cost_usd,
        calls_per_day=_pace(total),
    )
    return Report(
        version=__version__,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        risk=settings.risk,
        delta=settings.delta,
        n_calls=total.n_calls,
        n_tokens=total.n_tokens,
        n_sessions=found.n_sessions,
        first_call_at=total.first_at or None,
        last_call_at=total.last_at or None,
        cost_usd=total.cost_usd if total.n_calls > total.n_unpriced else None,
        n_unpriced=total.n_unpriced,
        n_left=total.n_calls - len(found.members),
        set_aside=_counts(found.dropped),
        tasks=tuple(_task_report(found, o, savings[o.task.id]) for o in outcomes),
        saving=_figures(whole),
        notes=(*found.notes, *_notes(found, outcomes)),
    )


def _task_report(found: Survey, outcome: TaskOutcome, saving: Saving | None) -> TaskReport:
    task_id = outcome.task.id
    facts = found.facts.get(task_id, CallFacts())
    aside = [d for d in found.dropped if found.members.get(d.call_id) == task_id]
    contested = sum(found.members.get(call_id) == task_id for call_id in found.contradictory)
    return TaskReport(
        task=msgspec.structs.replace(outcome.task, n_calls=facts.n_calls),
        n_calls=facts.n_calls,
        n_tokens=facts.n_tokens,
        cost_usd=facts.cost_usd if facts.n_calls > facts.n_unpriced else None,
        set_aside=_why_aside(facts.n_calls, aside),
        n_train=outcome.n_train,
        n_dev=outcome.n_dev,
        n_calibration=outcome.n_calibration,
        dropped=_counts((*aside, *outcome.dropped)),
        n_contradictions=contested,
        rungs=outcome.climb.rungs,
        served_by=outcome.climb.served_by,
        saving=_figures(saving),
    )


def _why_aside(n_calls: int, aside: Sequence[Dropped]) -> str:
    """Return why a whole task was left untried: curation left next to nothing of it."""
    if not n_calls or len(aside) < 0.95 * n_calls:
        return ""
    reason, n = Counter(d.reason for d in aside).most_common(1)[0]
    if reason == "human_facing":
        return f"{n:,} of its {n_calls:,} calls are answers for a person to read."
    return f"curation set {len(aside):,} of its {n_calls:,} calls aside, most as {reason}."


def _saving(found: Survey, outcome: TaskOutcome, settings: Settings) -> Saving | None:
    facts, served_by = found.facts.get(outcome.task.id), outcome.climb.served_by
    if facts is None or served_by is None or not facts.costs:
        return None
    timing = outcome.climb.timings[served_by]
    report = next(r for r in outcome.climb.rungs if r.rung == served_by)
    n = report.certificate.n if report.certificate else 0
    return saving_of(
        facts.costs,
        Coverage(n, outcome.n_calibration),
        SpecialistUse(
            cpu_seconds=timing.cpu_seconds,
            training_cpu_seconds=timing.training_cpu_seconds,
            usd_per_cpu_hour=settings.usd_per_cpu_hour,
        ),
        calls_per_day=_pace(facts),
        assumptions=_priced(facts, settings),
    )


def _priced(facts: CallFacts, settings: Settings) -> tuple[str, ...]:
    """Return what the upstream's cost rests on: prices with their dates, and guessed tokens."""
    notes = price_notes(load_prices(settings.prices), facts.models)
    if not facts.n_estimated:
        return notes
    return (
        *notes,
        f"Tokens of {facts.n_estimated:,} calls are estimated at four characters each: "
        "the log does not tell them.",
    )


def _pace(facts: CallFacts) -> float | None:
    """Return calls per day over the time the log spans, None where that is under a day."""
    if not facts.first_at or not facts.last_at:
        return None
    span = datetime.fromisoformat(facts.last_at) - datetime.fromisoformat(facts.first_at)
    days = span.total_seconds() / _SECONDS_PER_DAY
    return facts.n_calls / days if days >= 1 else None


def _notes(found: Survey, outcomes: Sequence[TaskOutcome]) -> list[str]:
    notes = []
    if any(not o.is_dated and o.n_calibration for o in outcomes):
        notes.append(
            "Some calls carry no time, so their splits are by hash: such a certificate holds for "
            "traffic like the whole log's and says nothing about drift."
        )
    if found.total.n_unpriced:
        notes.append(
            f"{found.total.n_unpriced:,} calls have no known price: set it in slimdown.toml under "
            "[prices.MODEL] as USD per million tokens."
        )
    return notes


def _counts(dropped: Sequence[Dropped]) -> tuple[Count, ...]:
    counted = Counter(d.reason for d in dropped)
    return tuple(Count(reason, n) for reason, n in counted.most_common())


def _figures(saving: Saving | None) -> SavingFigures | None:
    if saving is None:
        return None
    return msgspec.convert(saving, SavingFigures, from_attributes=True)
