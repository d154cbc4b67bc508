"""The whole loop as one script: survey the log, then take each task up the ladder.

Every step is keyed on the content of its inputs; what is found under its key is not made again,
so a second run is quick and a killed one goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from slimdown.canonical import content_id
from slimdown.curate import CurationRules, is_dated, split
from slimdown.errors import MissingExtra
from slimdown.ledger import load_prices
from slimdown.report.model import Report
from slimdown.resolve import resolve
from slimdown.seal import Sealer
from slimdown.seams import Embedder, Progress
from slimdown.settings import Settings
from slimdown.store import Store
from slimdown.types import Dataset, Task
from slimdown.workspace.examples import examples_of
from slimdown.workspace.ladder import Climb, Ladder, climb
from slimdown.workspace.summary import TaskOutcome, summarise
from slimdown.workspace.survey import Survey, survey

T = TypeVar("T")

SURVEY, CLIMB, REPORT = "survey", "climb", "report"
LATEST = "latest"
"""Where the newest survey and report are, beside those kept under their key."""


class Bench(msgspec.Struct, frozen=True, kw_only=True):
    """Where a run works: the store, the folder for specialists, the key, the settings."""

    store: Store
    folder: Path
    sealer: Sealer
    settings: Settings


def run_pipeline(bench: Bench, progress: Progress) -> Report:
    """Survey the stored calls, certify or refuse a specialist per task, and report.

    Raises `TrainingFailed` where a rung's training does; what was finished before is kept.
    """
    embedder = choose_embedder(bench.settings.encoder)
    found = _kept(
        bench,
        SURVEY,
        _survey_key(bench, embedder),
        Survey,
        lambda: _survey(bench, embedder, progress),
    )
    bench.store.put_result(SURVEY, LATEST, found)
    outcomes = []
    for place, task in enumerate(found.tasks):
        told = _share_of(progress, place, len(found.tasks), task)
        outcomes.append(_outcome(bench, found, task, told))
    report = summarise(found, outcomes, bench.settings)
    bench.store.put_result(REPORT, LATEST, report)
    return report


def choose_embedder(name: str) -> Embedder:
    """Return the embedder of this name, or the hashing one where its weights are not installed."""
    try:
        embedder: Embedder = resolve("embedders", name)()
    except MissingExtra:
        embedder = resolve("embedders", "hashing")()
    return embedder


def _survey_key(bench: Bench, embedder: Embedder) -> str:
    settings = bench.settings
    return content_id(
        [
            bench.store.content_version(),
            embedder.name,
            settings.human_facing,
            settings.outcomes,
            settings.prices,
        ]
    )


def _survey(bench: Bench, embedder: Embedder, progress: Progress) -> Survey:
    settings = bench.settings
    before = bench.store.result(SURVEY, LATEST)
    previous = msgspec.convert(before, Survey).tasks if before else ()
    return survey(
        bench.store.calls,
        embedder=embedder,
        rules=CurationRules(outcomes=settings.outcomes, human_facing=settings.human_facing),
        prices=load_prices(settings.prices),
        previous=previous,
        progress=lambda share, note: progress(0.2 * share, note),
    )


def _outcome(bench: Bench, found: Survey, task: Task, progress: Progress) -> TaskOutcome:
    dataset = dataset_of(bench.store, found, task)
    settings = bench.settings
    key = content_id([dataset, task.template, settings.rungs, settings.risk, settings.delta])
    ladder = Ladder(
        rungs=settings.rungs,
        risk=settings.risk,
        delta=settings.delta,
        folder=bench.folder,
        sealer=bench.sealer,
    )
    models = found.facts[task.id].models if task.id in found.facts else ()
    climbed = _kept(
        bench, CLIMB, key, Climb, lambda: climb(task, models, dataset, ladder, progress)
    )
    return TaskOutcome(
        task=task,
        n_train=len(dataset.train),
        n_dev=len(dataset.dev),
        n_calibration=len(dataset.calibration),
        dropped=dataset.dropped,
        is_dated=is_dated((*dataset.train, *dataset.dev, *dataset.calibration)),
        climb=climbed,
    )


def dataset_of(store: Store, found: Survey, task: Task) -> Dataset:
    """Return a task's dataset: the examples of its kept calls, split by time and session."""
    kept = {k.call_id: k for k in found.kept if found.members.get(k.call_id) == task.id}
    examples = list(examples_of(task, store.calls(ids=kept), kept))
    return split(examples, task_id=task.id, kind=task.kind)


def _kept(bench: Bench, stage: str, key: str, kind: type[T], make: Callable[[], T]) -> T:
    found = bench.store.result(stage, key)
    if found is not None:
        return msgspec.convert(found, kind)
    made = make()
    bench.store.put_result(stage, key, made)
    return made


def _share_of(progress: Progress, place: int, of: int, task: Task) -> Progress:
    return lambda share, note: progress(0.2 + 0.8 * (place + share) / of, f"{task.name}: {note}")
