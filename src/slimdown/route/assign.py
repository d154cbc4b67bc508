"""Assigns requests to tasks: exact signature first, else the nearest centroid, else none.

Looks at the request alone, never at an answer, so that what is assigned when a specialist is
trained and certified is what will be assigned when it serves. An unknown request stays unknown.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from slimdown.errors import UsageError
from slimdown.seams import Embedder
from slimdown.signature import (
    constant_chars,
    content_slice,
    contract_id,
    distances,
    matches_messages,
    messages_of,
    tools_id,
)
from slimdown.types import JsonObject, Task, Template


class Assigner:
    """Assigns requests to a fixed set of tasks."""

    def __init__(self, tasks: Sequence[Task], embedder: Embedder | None) -> None:
        """Index ``tasks``; without the embedder they were found with, centroids match nothing.

        Raises `UsageError` if ``embedder`` is another one, as far as its length tells.
        """
        self._embedder = embedder
        _check_lengths(tasks, embedder)
        self._tasks: dict[Template, list[Task]] = {}
        for task in tasks:
            self._tasks.setdefault(task.template, []).append(task)
        self._templates: dict[tuple[str, str], list[Template]] = {}
        for template in sorted(self._tasks, key=lambda t: (-len(t.slots), -constant_chars(t))):
            base = (template.tools_id, template.contract_id)
            self._templates.setdefault(base, []).append(template)

    def assign(self, requests: Sequence[JsonObject]) -> list[str | None]:
        """Return the id of each request's task, or None where it belongs to none."""
        templates = [self._template(request) for request in requests]
        assigned: list[str | None] = [None] * len(requests)
        by_content: dict[Template, list[int]] = {}
        for index, template in enumerate(templates):
            if template is None:
                continue
            tasks = self._tasks[template]
            if len(tasks) == 1 and not tasks[0].centroid:
                assigned[index] = tasks[0].id
            else:
                by_content.setdefault(template, []).append(index)
        for template, indices in by_content.items():
            found = self._nearest(template, [requests[i] for i in indices])
            for index, task_id in zip(indices, found, strict=True):
                assigned[index] = task_id
        return assigned

    def _template(self, request: JsonObject) -> Template | None:
        """Return the most specific template that a request matches."""
        messages = messages_of(request)
        candidates = self._templates.get((tools_id(request), contract_id(request)), [])
        return next((t for t in candidates if matches_messages(t, messages)), None)

    def _nearest(self, template: Template, requests: list[JsonObject]) -> list[str | None]:
        tasks = [task for task in self._tasks[template] if task.centroid]
        if self._embedder is None or not tasks:
            return [None] * len(requests)
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
