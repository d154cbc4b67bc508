"""One task up the ladder: train the rungs, choose one on dev evidence, certify it or refuse.

Rungs are tried cheapest first, and the climb ends early where the cheaper one already promises
nearly all there is. Only then are calibration's labels read, for one rung alone: a split may be
tested once at full delta, so after a failed test no other rung is tested on it.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from slimdown.artefact import Artefact
from slimdown.canonical import content_id
from slimdown.certify import Decision, certify, curve, expected_coverage
from slimdown.evaluate.agreement import agreement_for
from slimdown.evaluate.confidence import AgreementModel, fit_agreement_model
from slimdown.report.model import RungReport
from slimdown.resolve import resolve
from slimdown.seal import Sealer
from slimdown.seams import Agreement, Progress, Specialist
from slimdown.train.run import dev_predictions, load_specialist, specialist_id, train
from slimdown.types import (
    Certificate,
    CurvePoint,
    Dataset,
    DevPrediction,
    Graded,
    Manifest,
    Prediction,
    Refusal,
    Task,
)
from slimdown.workspace.evidence import drawn

ENOUGH_COVERAGE = 0.9
"""A rung that promises this much on dev ends the climb: a dearer one could add little."""

_TIMED_CALLS = 50


class Ladder(msgspec.Struct, frozen=True, kw_only=True):
    """What a climb needs beside the dataset."""

    rungs: tuple[str, ...]
    risk: float
    delta: float
    folder: Path
    sealer: Sealer


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """What a specialist takes: CPU seconds of single answers, and of its training.

    Training's is the wall time on every core: an upper bound.
    """

    cpu_seconds: tuple[float, ...]
    training_cpu_seconds: float
    latency_ms: float


class Climb(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome for one task: each rung's report and timing, and the one that serves, if any."""

    rungs: tuple[RungReport, ...]
    served_by: str | None = None
    timings: dict[str, Timing] = {}


class _Case(msgspec.Struct, frozen=True):
    """A task on its way up the ladder."""

    task: Task
    models: tuple[str, ...]
    dataset: Dataset
    ladder: Ladder


class Contender(msgspec.Struct, frozen=True, kw_only=True):
    """A trained rung, judged by dev alone: calibration's labels are not read yet.

    ``predictions`` are for calibration's inputs, in order; ``promise`` is the coverage to expect.
    """

    manifest: Manifest
    specialist: Specialist
    model: AgreementModel
    dev: tuple[Graded, ...]
    predictions: tuple[Prediction, ...]
    n_bytes: int
    promise: float
    timing: Timing | None


def climb(
    task: Task, models: Sequence[str], dataset: Dataset, ladder: Ladder, progress: Progress
) -> Climb:
    """Try the ladder's rungs on a task's dataset; raises `TrainingFailed` where one fails.

    ``models`` are the upstream models whose answers the dataset holds.
    """
    case = _Case(task, tuple(models), dataset, ladder)
    reports: dict[str, RungReport] = {}
    contenders: list[Contender] = []
    for place, name in enumerate(ladder.rungs):
        why_not = resolve("rungs", name)().objection(dataset)
        if why_not:
            reports[name] = RungReport(rung=name, objection=why_not)
            continue
        told = _part(progress, place, len(ladder.rungs), name)
        contender = contend(name, task.id, dataset, ladder, told)
        contenders.append(contender)
        if contender.promise >= ENOUGH_COVERAGE:
            break
    # The most promising first; among equals the cheaper, which stands first in the ladder.
    contenders.sort(key=lambda c: -round(c.promise, 2))
    reports |= _tested(case, contenders)
    served_by = next((name for name, report in reports.items() if report.certificate), None)
    ordered = tuple(reports[name] for name in ladder.rungs if name in reports)
    timings = {c.manifest.rung: c.timing for c in contenders if c.timing}
    return Climb(rungs=ordered, served_by=served_by, timings=timings)


def contend(
    name: str, task_id: str, dataset: Dataset, ladder: Ladder, progress: Progress
) -> Contender:
    """Train one rung, or find it trained, and judge it by dev; calibration's labels stay unread."""
    # Training sees train and dev alone, so a newer calibration split needs no new training.
    seen = msgspec.structs.replace(dataset, calibration=(), dropped=())
    dataset_id = content_id(seen)
    artefact = Artefact(ladder.folder / specialist_id(name, task_id, dataset_id), ladder.sealer)
    manifest = train(
        name, seen, artefact, key=ladder.sealer.key, progress=progress, dataset_id=dataset_id
    )
    specialist = load_specialist(artefact)
    pairs = _judged(dataset, dev_predictions(artefact))
    model = fit_agreement_model(pairs)
    dev = tuple(Graded(model.score(prediction), agreed) for prediction, agreed in pairs)
    predictions = tuple(specialist.answer([e.input for e in dataset.calibration]))
    scores = [model.score(prediction) for prediction in predictions]
    return Contender(
        manifest=manifest,
        specialist=specialist,
        model=model,
        dev=dev,
        predictions=predictions,
        n_bytes=artefact.n_bytes,
        timing=_timed(specialist, dataset, manifest),
        promise=expected_coverage(dev, scores, risk=ladder.risk, delta=ladder.delta),
    )


def graded(dataset: Dataset, contender: Contender) -> list[Graded]:
    """Score and grade a contender's answers to calibration: this reads the labels."""
    agree, score = agreement_for(dataset.kind), contender.model.score
    return [
        Graded(score(prediction), _agreed(agree, prediction, example.output))
        for prediction, example in zip(contender.predictions, dataset.calibration, strict=True)
    ]


def _judged(dataset: Dataset, dev: Sequence[DevPrediction]) -> list[tuple[Prediction, bool]]:
    agree = agreement_for(dataset.kind)
    theirs = {example.id: example.output for example in (*dataset.train, *dataset.dev)}
    return [
        (p.prediction, _agreed(agree, p.prediction, theirs[p.example_id]))
        for p in dev
        if p.example_id in theirs
    ]


def _agreed(agree: Agreement, prediction: Prediction, theirs: Any) -> bool:
    return prediction.output is not None and agree(prediction.output, theirs)


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


def _timed(specialist: Specialist, dataset: Dataset, manifest: Manifest) -> Timing | None:
    """Time single answers to some calibration inputs; their labels are not looked at."""
    wall, cpu = [], []
    for example in dataset.calibration[:_TIMED_CALLS]:
        wall_began, cpu_began = time.perf_counter(), time.process_time()
        specialist.answer([example.input])
        wall.append((time.perf_counter() - wall_began) * 1000)
        cpu.append(time.process_time() - cpu_began)
    if not wall:
        return None
    return Timing(
        cpu_seconds=tuple(cpu),
        training_cpu_seconds=manifest.train_seconds * (os.cpu_count() or 1),
        latency_ms=round(statistics.median(wall), 3),
    )


def _part(progress: Progress, place: int, of: int, name: str) -> Progress:
    return lambda share, note: progress((place + share) / of, f"{name} {note}".strip())
