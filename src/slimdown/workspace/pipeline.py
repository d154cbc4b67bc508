"""The whole loop as one script: survey the log, then take each task up the ladder.

Every step is keyed on the content of its inputs; what is found under its key is not made again,
so a second run is quick and a killed one goes on where it stopped.
"""

from __future__ import annotations

import msgspec

from slimdown.canonical import content_id
from slimdown.curate import CurationRules
from slimdown.errors import MissingExtra
from slimdown.ledger import load_prices
from slimdown.report.model import Report
from slimdown.resolve import resolve
from slimdown.seams import Embedder, Progress
from slimdown.types import TaskSet
from slimdown.workspace.bench import Bench
from slimdown.workspace.climbing import climb_all
from slimdown.workspace.summary import summarise
from slimdown.workspace.survey import Survey, survey

SURVEY, REPORT, TASKS = "survey", "report", "tasks"
LATEST = "latest"
"""Where the newest survey and report are, beside those kept under their key; of `TASKS`, only
the newest one's key stands there."""

_FORM = "with models asked for"  # surveys of another form are made anew


def run_pipeline(bench: Bench, progress: Progress) -> Report:
    """Survey the stored calls, certify or refuse a specialist per task, and report.

    A training that fails refuses its task's rung, and is tried again by the next run. Raises
    `UnknownName` for a rung or embedder that is not known, before any work.
    """
    for name in bench.settings.rungs:
        resolve("rungs", name)
    embedder = choose_embedder(bench.settings.encoder)
    key = _survey_key(bench, embedder)
    known = bench.store.result(SURVEY, key)
    found = msgspec.convert(known, Survey) if known else _survey(bench, embedder, progress)
    bench.store.put_result(SURVEY, key, found)
    bench.store.put_result(SURVEY, LATEST, found)
    outcomes = climb_all(bench, found, lambda share, note: progress(0.1 + 0.9 * share, note))
    _keep_tasks(bench, TaskSet(embedder=embedder.name, tasks=found.tasks))
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
            _FORM,
            bench.store.content_version(),
            embedder.name,
            settings.human_facing,
            settings.outcomes,
            settings.prices,
        ]
    )


def _keep_tasks(bench: Bench, tasks: TaskSet) -> None:
    tasks_id = content_id(tasks)
    bench.store.put_results(TASKS, {tasks_id: tasks, LATEST: tasks_id})


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
        progress=lambda share, note: progress(0.1 * share, note),
    )
