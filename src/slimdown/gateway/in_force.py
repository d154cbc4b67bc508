"""The routes in force, with all that deciding by them takes, read from the store as one value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from slimdown.errors import SealBroken
from slimdown.route import Candidates
from slimdown.store import Store
from slimdown.types import Release, Route, RouteTable, TaskSet

_NO_TASKS = TaskSet(embedder="", tasks=())


class InForce:
    """A route table, the tasks that it names and its releases by specialist id; never changed."""

    def __init__(
        self,
        table: RouteTable = RouteTable(),  # noqa: B008 - frozen
        tasks: TaskSet = _NO_TASKS,
        releases: dict[str, Release] | None = None,
    ) -> None:
        """Index them."""
        self.table = table
        self.tasks = tasks
        self.releases = releases or {}
        self.candidates = Candidates(tasks.tasks)
        self.routes: dict[str, Route] = {route.task_id: route for route in table.routes}

    @property
    def is_active(self) -> bool:
        """Whether any route may ask a specialist."""
        return bool(self.releases)

    def __eq__(self, other: object) -> bool:
        """Tell whether the same is in force."""
        if not isinstance(other, InForce):
            return NotImplemented
        mine, theirs = (self.table, self.tasks), (other.table, other.tasks)
        return mine == theirs and self.releases == other.releases

    __hash__ = None  # type: ignore[assignment]


def read(store: Store, table: RouteTable) -> tuple[InForce, str]:
    """Return what is in force under a table, and what is wrong with it, "" for nothing.

    A route whose specialist or task the store does not hold asks nobody: its calls go upstream.
    """
    active = [route for route in table.routes if route.stage != "retired"]
    if not active:
        return InForce(table), ""
    tasks = _held(store, "tasks", table.tasks_id, TaskSet) or _NO_TASKS
    releases, broken = _releases(store, active, tasks)
    problem = _BROKEN.format(", ".join(sorted(broken))) if broken else ""
    return InForce(table, tasks, releases), problem


def _releases(
    store: Store, routes: Sequence[Route], tasks: TaskSet
) -> tuple[dict[str, Release], list[str]]:
    """Return the releases that may be asked, and the names of the tasks without."""
    templates = {task.id: task.template for task in tasks.tasks}
    found: dict[str, Release] = {}
    broken: list[str] = []
    for route in routes:
        release = _held(store, "release", route.specialist_id, Release)
        # Cut out under another template, a specialist's input would not be what it was made for.
        if release is not None and templates.get(route.task_id) == release.task.template:
            found[route.specialist_id] = release
        else:
            broken.append(route.task_name)
    return found, broken


_BROKEN = (
    "the route table names specialists or tasks that the store does not hold, for: {}. Their calls "
    "go to the upstream. Run `slimdown run`, then promote them anew, or roll them back."
)


def _held(store: Store, stage: str, key: str, kind: type[Any]) -> Any:
    """Return a result, or None where there is none or it is damaged: others must not suffer."""
    try:
        value = store.result(stage, key)
        return None if value is None else msgspec.convert(value, kind)
    except (SealBroken, msgspec.ValidationError):
        return None
