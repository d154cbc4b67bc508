"""One task up the ladder: train the rungs, choose one on dev evidence, certify it or refuse.

Rungs are tried cheapest first, and the climb ends early where the cheaper one already promises
nearly all there is. Only then are calibration's labels read, for one rung alone: a split may be
tested once at full delta, so after a failed test no other rung is tested on it.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from slimdown.canonical import content_id
from slimdown.certify import Decision, certify, curve, expected_coverage
from slimdown.errors import TrainingFailed
from slimdown.report.model import RungReport
from slimdown.resolve import resolve
from slimdown.seams import Progress
from slimdown.types import (
    Certificate,
    CurvePoint,
    Dataset,
    Graded,
    Refusal,
    Release,
    Task,
)
from slimdown.workspace.contender import Contender, Ladder, Timing, contend, graded
from slimdown.workspace.evidence import drawn
from slimdown.workspace.releases import release_of

ENOUGH_COVERAGE = 0.9
"""A rung that promises this much on dev ends the climb: a dearer one could add little."""

TRAINING_FAILED = "training_failed"
"""The code of a refusal that a further run may lift."""

_MOST_GAIN = 3


class Climb(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome for one task: each rung's report and timing, and the one that serves, if any.

    ``releases`` are the trained specialists, certified or not, the one that serves or promised
    most first.
    """

    rungs: tuple[RungReport, ...]
    served_by: str | None = None
    timings: dict[str, Timing] = {}
    releases: tuple[Release, ...] = ()


class _Case(msgspec.Struct, frozen=True):
    """A task on its way up the ladder."""

    task: Task
    models: tuple[str, ...]
    dataset: Dataset
    ladder: Ladder


def climb(
    task: Task, models: Sequence[str], dataset: Dataset, ladder: Ladder, progress: Progress
) -> Climb:
    """Try the ladder's rungs on a task's dataset; a training that fails is a refusal.

    ``models`` are the upstream models whose answers the dataset holds.
    """
    case = _Case(task, tuple(models), dataset, ladder)
    reports: dict[str, RungReport] = {}
    contenders: list[Contender] = []
    for place, name in enumerate(ladder.rungs):
        told = _part(progress, place, len(ladder.rungs), name)
        found = _try(case, name, contenders, told)
        if isinstance(found, RungReport):
            reports[name] = found
            continue
        contenders.append(found)
        if found.promise >= ENOUGH_COVERAGE:
            break
    ranked = _ranked(contenders, ladder)
    reports |= _tested(case, ranked)
    return Climb(
        rungs=tuple(reports[name] for name in ladder.rungs if name in reports),
        served_by=next((name for name, report in reports.items() if report.certificate), None),
        timings={c.manifest.rung: c.timing for c in contenders if c.timing},
        releases=_releases(case, ranked, reports),
    )


def _try(
    case: _Case, name: str, before: Sequence[Contender], progress: Progress
) -> Contender | RungReport:
    """Train one rung, or say why it is not worth it or could not be."""
    why_not = resolve("rungs", name)().objection(case.dataset) or _hopeless(case, before)
    if why_not:
        return RungReport(rung=name, objection=why_not)
    try:
        return contend(name, case.task.id, case.dataset, case.ladder, progress)
    except TrainingFailed as error:
        return RungReport(rung=name, refusal=Refusal(code=TRAINING_FAILED, reason=str(error)))


def _hopeless(case: _Case, before: Sequence[Contender]) -> str | None:
    """Return why a dearer rung is not tried: where a closed set defeats a cheaper one so far that
    nothing could be certified even at a third of its disagreement."""
    if case.dataset.kind != "label" or not before:
        return None
    cheaper, risk = before[0], min(_MOST_GAIN * case.ladder.risk, 0.5)
    if expected_coverage(cheaper.dev, cheaper.scores, risk=risk, delta=case.ladder.delta) > 0:
        return None
    return (
        f"the rung {cheaper.manifest.rung} disagrees so often that even a third of it would earn "
        "no certificate, so no dearer rung is trained."
    )


def _ranked(contenders: Sequence[Contender], ladder: Ladder) -> list[Contender]:
    """Order contenders by what they promise on the dev examples that all of them answered.

    Among equals the one that agrees more often stands first, then the cheaper.
    """
    shared = set.intersection(*(set(c.dev_ids) for c in contenders)) if contenders else set()

    def promise(contender: Contender) -> tuple[float, float]:
        pairs = zip(contender.dev_ids, contender.dev, strict=True)
        dev = [answer for example_id, answer in pairs if example_id in shared]
        coverage = expected_coverage(dev, contender.scores, risk=ladder.risk, delta=ladder.delta)
        agreement = statistics.fmean(answer.agreed for answer in dev) if dev else 0.0
        return -round(coverage, 1), -round(agreement, 2)

    return sorted(contenders, key=promise)


def _tested(case: _Case, contenders: Sequence[Contender]) -> dict[str, RungReport]:
    """Test contenders in turn until a calibration label was read; say why the rest was not."""
    reports: dict[str, RungReport] = {}
    used_up = ""
    for contender in contenders:
        rung, answers = contender.manifest.rung, graded(case.dataset, contender)
        if used_up:
            decision: Decision = Refusal(code="not_tested", reason=_NOT_TESTED.format(used_up))
        else:
            ladder = case.ladder
            decision = certify(contender.dev, answers, risk=ladder.risk, delta=ladder.delta)
            untouched = isinstance(decision, Refusal) and decision.code != "failed_test"
            used_up = "" if untouched else rung
        reports[rung] = _report(case, contender, answers, decision)
    return reports


_NOT_TESTED = (
    "another rung, {0}, promised more on dev and was taken to the test; a calibration split is "
    "tested once."
)


def _report(
    case: _Case, contender: Contender, answers: Sequence[Graded], decision: Decision
) -> RungReport:
    manifest, timing = contender.manifest, contender.timing
    refusal = decision if isinstance(decision, Refusal) else None
    return RungReport(
        rung=manifest.rung,
        certificate=None
        if isinstance(decision, Refusal)
        else _certificate(case, contender, decision),
        refusal=refusal,
        n_calibration=len(case.dataset.calibration),
        train_seconds=manifest.train_seconds,
        latency_ms=timing.latency_ms if timing else None,
        n_bytes=contender.n_bytes,
        curve=tuple(curve(answers, case.ladder.delta)),
        **drawn(case.dataset, contender.predictions, answers),
    )


def _certificate(case: _Case, contender: Contender, point: CurvePoint) -> Certificate:
    manifest = contender.manifest
    return Certificate(
        task_id=case.task.id,
        specialist_id=manifest.id,
        rung=manifest.rung,
        threshold=point.threshold,
        n=point.n,
        k=point.k,
        risk=case.ladder.risk,
        delta=case.ladder.delta,
        coverage=point.coverage,
        upper=point.upper,
        keyed_on={
            "task": case.task.id,
            "template": content_id(case.task.template),
            "upstream": ", ".join(case.models),
            "specialist": content_id(manifest.files),
            "dataset": manifest.dataset_id,
            "calibration": content_id([example.id for example in case.dataset.calibration]),
        },
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _releases(
    case: _Case, ranked: Sequence[Contender], reports: Mapping[str, RungReport]
) -> tuple[Release, ...]:
    found = [
        release_of(case.task, case.dataset, contender, reports[contender.manifest.rung])
        for contender in ranked
    ]
    return tuple(sorted(found, key=lambda release: release.certificate is None))


def _part(progress: Progress, place: int, of: int, name: str) -> Progress:
    return lambda share, note: progress((place + share) / of, f"{name} {note}".strip())
