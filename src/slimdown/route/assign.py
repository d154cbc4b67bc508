"""Assigns requests to tasks: exact signature first, else the nearest centroid, else none.

Looks at the request alone, never at an answer, so that what is assigned when a specialist is
trained and certified is what will be assigned when it serves. An unknown request stays unknown.
"""

from __future__ import annotations

from collections.abc import Sequence

from slimdown.errors import UsageError
from slimdown.route.candidates import Candidates
from slimdown.seams import Embedder
from slimdown.signature import content_slice, distances
from slimdown.types import JsonObject, Task


class Assigner:
    """Assigns requests to a fixed set of tasks."""

    def __init__(self, tasks: Sequence[Task], embedder: Embedder | None) -> None:
        """Index ``tasks``; without the embedder they were found with, centroids match nothing.

        Raises `UsageError` if ``embedder`` is another one, as far as its length tells.
        """
        self._embedder = embedder
        _check_lengths(tasks, embedder)
        self._candidates = Candidates(tasks)

    def assign(self, requests: Sequence[JsonObject]) -> list[str | None]:
        """Return the id of each request's task, or None where it belongs to none."""
        assigned: list[str | None] = [None] * len(requests)
        by_content: dict[tuple[str, ...], tuple[tuple[Task, ...], list[int]]] = {}
        for index, request in enumerate(requests):
            tasks = self._candidates.of(request)
            if len(tasks) == 1 and not tasks[0].centroid:
                assigned[index] = tasks[0].id
            elif tasks:
                ids = tuple(task.id for task in tasks)
                by_content.setdefault(ids, (tasks, []))[1].append(index)
        for tasks, indices in by_content.values():
            found = self._nearest(tasks, [requests[i] for i in indices])
            for index, task_id in zip(indices, found, strict=True):
                assigned[index] = task_id
        return assigned

    def _nearest(
        self, candidates: Sequence[Task], requests: Sequence[JsonObject]
    ) -> list[str | None]:
        tasks = [task for task in candidates if task.centroid]
        if self._embedder is None or not tasks:
            return [None] * len(requests)
        # The gateway's process, which needs no vectors, does without numpy.
        import numpy as np

        template = tasks[0].template
        vectors = self._embedder.embed([content_slice(template, r) for r in requests])
        centroids = np.array([task.centroid for task in tasks], dtype=np.float32)
        far = distances(vectors, centroids)
        nearest = far.argmin(axis=1)
        within = far.min(axis=1) <= np.array([task.radius for task in tasks])[nearest]
        return [
            tasks[best].id if near else None for best, near in zip(nearest, within, strict=True)
        ]


def _check_lengths(tasks: Sequence[Task], embedder: Embedder | None) -> None:
    for task in tasks:
        if embedder is not None and task.centroid and len(task.centroid) != embedder.dims:
            raise UsageError(
                f"the task {task.name} was found with an embedder of {len(task.centroid)} numbers, "
                f"but {embedder.name} has {embedder.dims}. The tasks are kept. Choose the embedder "
                "they were found with, or find the tasks anew."
            )
