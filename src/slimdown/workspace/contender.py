"""One rung trained for one task, and judged by dev: what the ladder compares.

Calibration's labels stay unread until `graded` is asked for.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from slimdown.artefact import Artefact
from slimdown.canonical import content_id
from slimdown.certify import expected_coverage
from slimdown.evaluate.agreement import agreement_for
from slimdown.evaluate.confidence import AgreementModel, fit_agreement_model
from slimdown.seal import Sealer
from slimdown.seams import Agreement, Progress, Specialist
from slimdown.train.run import dev_predictions, load_specialist, specialist_id, train
from slimdown.types import Dataset, DevPrediction, Graded, Manifest, Prediction

_TIMED_CALLS = 50


class Ladder(msgspec.Struct, frozen=True, kw_only=True):
    """What a climb needs beside the dataset; ``threads`` is how many a training may use."""

    rungs: tuple[str, ...]
    risk: float
    delta: float
    folder: Path
    sealer: Sealer
    threads: int | None = None


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """What a specialist takes: CPU seconds of single answers, and of its training.

    Training's is the wall time on every core: an upper bound.
    """

    cpu_seconds: tuple[float, ...]
    training_cpu_seconds: float
    latency_ms: float


class Contender(msgspec.Struct, frozen=True, kw_only=True):
    """A trained rung, judged by dev alone: calibration's labels are not read yet.

    ``predictions`` are for calibration's inputs, in order; ``promise`` is the coverage to expect.
    """

    manifest: Manifest
    specialist: Specialist
    model: AgreementModel
    dev: tuple[Graded, ...]
    dev_ids: tuple[str, ...]
    predictions: tuple[Prediction, ...]
    scores: tuple[float, ...]
    n_bytes: int
    promise: float
    timing: Timing | None


def contend(
    name: str, task_id: str, dataset: Dataset, ladder: Ladder, progress: Progress
) -> Contender:
    """Train one rung, or find it trained, and judge it by dev; calibration's labels stay unread."""
    # Training sees train and dev alone, so a newer calibration split needs no new training.
    seen = msgspec.structs.replace(dataset, calibration=(), dropped=())
    dataset_id = content_id(seen)
    artefact = Artefact(ladder.folder / specialist_id(name, task_id, dataset_id), ladder.sealer)
    manifest = train(
        name,
        seen,
        artefact,
        key=ladder.sealer.key,
        progress=progress,
        dataset_id=dataset_id,
        threads=ladder.threads,
    )
    specialist = load_specialist(artefact)
    held_out = dev_predictions(artefact)
    pairs = _judged(dataset, held_out)
    model = fit_agreement_model(pairs)
    dev = tuple(Graded(model.score(prediction), agreed) for prediction, agreed in pairs)
    predictions = tuple(specialist.answer([e.input for e in dataset.calibration]))
    scores = tuple(model.score(prediction) for prediction in predictions)
    return Contender(
        manifest=manifest,
        specialist=specialist,
        model=model,
        dev=dev,
        dev_ids=tuple(p.example_id for p in held_out),
        predictions=predictions,
        scores=scores,
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
    return [(p.prediction, _agreed(agree, p.prediction, theirs[p.example_id])) for p in dev]


def _agreed(agree: Agreement, prediction: Prediction, theirs: Any) -> bool:
    return prediction.output is not None and agree(prediction.output, theirs)


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
