"""Which task a request belongs to, by the tasks that the route table pins."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from slimdown.cluster.cached import CachedEmbedder
from slimdown.errors import MissingExtra
from slimdown.resolve import resolve
from slimdown.route import Assigner
from slimdown.seams import Embedder
from slimdown.types import JsonObject, RouteTable, TaskSet

_REMEMBERED = 2_000


class Routing(msgspec.Struct, frozen=True):
    """A route table and the tasks that requests are assigned among; ``problem`` is "" if well."""

    table: RouteTable
    assigner: Assigner
    problem: str = ""

    def assign(self, requests: Sequence[JsonObject]) -> list[str | None]:
        """Return each request's task id, None where it has none."""
        return self.assigner.assign(requests)


def routing_of(table: RouteTable, tasks: TaskSet, preferred: str) -> Routing:
    """Return the routing among ``tasks``; the embedder is loaded only where centroids need it.

    ``preferred`` is the short name of the embedder in the settings. Without the one that the
    tasks were found with, those that need it are assigned nothing, and ``problem`` says so.
    """
    if not any(task.centroid for task in tasks.tasks):
        return Routing(table, Assigner(tasks.tasks, None))
    embedder = _embedder(tasks.embedder, preferred)
    if embedder is None:
        problem = (
            f"the embedder {tasks.embedder}, with which the tasks were found, is not installed; "
            "requests that only their content tells apart go upstream. Install it, or `slimdown "
            "run` and promote anew."
        )
        return Routing(table, Assigner(tasks.tasks, None), problem)
    remembering = CachedEmbedder(embedder, most=_REMEMBERED)
    return Routing(table, Assigner(tasks.tasks, remembering))


def _embedder(wanted: str, preferred: str) -> Embedder | None:
    for name in (preferred, "hashing"):
        try:
            embedder: Embedder = resolve("embedders", name)()
        except MissingExtra:
            continue
        if embedder.name == wanted:
            return embedder
    return None
