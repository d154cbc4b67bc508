"""All tasks up the ladder, several at a time: training waits for no other task's training.

Trainings run in processes of their own, so threads suffice here; the store is touched by the
calling thread alone. What is found under its key is not made again.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import msgspec

from slimdown.canonical import content_id
from slimdown.curate import is_dated
from slimdown.seams import Progress
from slimdown.types import Dataset, Task
from slimdown.workspace.bench import Bench
from slimdown.workspace.contender import Ladder
from slimdown.workspace.examples import dataset_of
from slimdown.workspace.ladder import TRAINING_FAILED, Climb, climb
from slimdown.workspace.releases import keep_releases
from slimdown.workspace.summary import TaskOutcome
from slimdown.workspace.survey import Survey

CLIMB = "climb"
"""The stage under which the store keeps a task's climb."""

_FORM = "with releases"  # climbs of another form are made anew; their trainings are found

MOST_AT_ONCE = 4
"""Trainings at a time: each may take more than a gigabyte of memory."""


def climb_all(bench: Bench, found: Survey, progress: Progress) -> list[TaskOutcome]:
    """Return the outcome of each task, in order; an interrupt stops every training."""
    cores = len(os.sched_getaffinity(0))
    workers = min(MOST_AT_ONCE, cores)
    with _stoppable(workers) as (pool, stopping):
        told = _Shares(progress, found.tasks, stopping)
        begun = [_begin(bench, found, task, pool, cores // workers, told) for task in found.tasks]
        outcomes = [_finish(bench, *each) for each in begun]
    for outcome in outcomes:
        task_id = outcome.task.id
        keep_releases(bench.store, task_id, outcome.climb.releases, found.facts_of(task_id).asked)
    return outcomes


@contextmanager
def _stoppable(workers: int) -> Iterator[tuple[ThreadPoolExecutor, threading.Event]]:
    """Yield a pool and the event that ends its work, set where the block is left by an error."""
    stopping = threading.Event()
    pool = ThreadPoolExecutor(workers)
    try:
        yield pool, stopping
    except BaseException:  # an interrupt too must reach the trainings before it reaches the user
        stopping.set()
        pool.shutdown(cancel_futures=True)
        raise
    pool.shutdown()


_Begun = tuple[Task, Dataset, str, Climb | Future[Climb]]
"""A task, its dataset, the key of its climb, and the climb, found or under way."""


def _begin(
    bench: Bench,
    found: Survey,
    task: Task,
    pool: ThreadPoolExecutor,
    threads: int,
    told: _Shares,
) -> _Begun:
    settings = bench.settings
    dataset = dataset_of(bench.store, found, task)
    promise = (settings.risk, settings.delta)
    key = content_id([_FORM, dataset, task.template, settings.rungs, *promise])
    known = bench.store.result(CLIMB, key)
    if known is not None:
        return task, dataset, key, msgspec.convert(known, Climb)
    ladder = Ladder(
        rungs=settings.rungs,
        risk=settings.risk,
        delta=settings.delta,
        folder=bench.folder,
        sealer=bench.sealer,
        threads=threads,
    )
    models = found.facts_of(task.id).models
    future = pool.submit(climb, task, models, dataset, ladder, told.of(task))
    return task, dataset, key, future


def _finish(
    bench: Bench, task: Task, dataset: Dataset, key: str, climbing: Climb | Future[Climb]
) -> TaskOutcome:
    if isinstance(climbing, Climb):
        climbed = climbing
    else:
        climbed = climbing.result()
        # A training that failed is tried again by the next run.
        if not any(r.refusal and r.refusal.code == TRAINING_FAILED for r in climbed.rungs):
            bench.store.put_result(CLIMB, key, climbed)
    return TaskOutcome(
        task=task,
        n_train=len(dataset.train),
        n_dev=len(dataset.dev),
        n_calibration=len(dataset.calibration),
        dropped=dataset.dropped,
        is_dated=is_dated((*dataset.train, *dataset.dev, *dataset.calibration)),
        climb=climbed,
    )


class _Shares:
    """Adds the tasks' progress up; tells a task's thread when to stop."""

    def __init__(
        self, progress: Progress, tasks: Sequence[Task], stopping: threading.Event
    ) -> None:
        self._progress = progress
        self._shares = {task.id: 0.0 for task in tasks}
        self._stopping = stopping
        self._lock = threading.Lock()

    def of(self, task: Task) -> Callable[[float, str], None]:
        def told(share: float, note: str) -> None:
            if self._stopping.is_set():
                raise KeyboardInterrupt
            with self._lock:
                self._shares[task.id] = share
                done = sum(self._shares.values()) / len(self._shares)
                self._progress(done, f"{task.name}: {note}")

        return told
