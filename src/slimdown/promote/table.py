"""The next route table: a specialist promoted, or a task's route rolled back. Pure.

A table is never edited: each move returns the version that follows, with who made it and why.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from slimdown.canonical import content_id
from slimdown.errors import UsageError
from slimdown.promote.gate import Standing, require, stands_in
from slimdown.types import Release, Route, RouteTable, Stage, TaskSet


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """Who changes a route table, why, and when (ISO 8601, UTC)."""

    author: str
    reason: str
    at: str


def promoted(
    table: RouteTable,
    release: Release,
    *,
    stage: Stage,
    share: float,
    now: Standing,
    change: Change,
) -> RouteTable:
    """Return the table in which a specialist has its task's route, at ``stage``.

    ``share`` is that of sessions, 0 (not itself) to 1, and kept for a canary alone. The table
    goes on with the tasks it pins where the specialist's is among them, else it pins the newest;
    a route whose task is another one among those is retired. Raises `GateNotMet` where evidence
    is missing, `UsageError` for another share or stage.
    """
    if not 0 < share <= 1:
        raise UsageError(
            f"a share of {share:.4g} is not between 0 % (which would ask nobody) and 100 %; "
            "nothing was changed."
        )
    if stage == "retired":
        raise UsageError("a route is retired by `slimdown rollback TASK`; nothing was changed.")
    require(release, stage, now)
    tasks = now.before if now.before and stands_in(release.task, now.before) else now.tasks
    kept = [
        route if _goes_on(route, now.before, tasks) else _retired(route)
        for route in table.routes
        if route.task_id != release.task.id
    ]
    route = _route(release, stage, share if stage == "canary" else 1.0)
    return _next(table, (*kept, route), content_id(tasks), change)


def rolled_back(
    table: RouteTable, history: Sequence[RouteTable], task_id: str, change: Change
) -> RouteTable:
    """Return the table in which a task has the route it had before the present one.

    ``history`` are all tables so far, in any order. A route that was left by a roll back is not
    returned to; where there is none before, or only under other tasks than the table pins, the
    present one is retired. Raises `UsageError` where a task has no route to roll back.
    """
    present = next((r for r in table.routes if r.task_id == task_id), None)
    if present is None or present.stage == "retired":
        raise UsageError(
            "this task has no route to roll back: the upstream answers all its calls. Nothing "
            "was changed. `slimdown routes` lists those that have one."
        )
    earlier = [t for t in history if t.version <= table.version and t.tasks_id == table.tasks_id]
    before = _before(sorted(earlier, key=lambda t: t.version), task_id)
    routes = [
        (before or _retired(route)) if route.task_id == task_id else route for route in table.routes
    ]
    return _next(table, routes, table.tasks_id, change)


def stepped_down(before: RouteTable, after: RouteTable) -> tuple[Route, ...]:
    """Return the routes that served or shadowed before a change and are retired after it."""
    active = {r.task_id for r in before.routes if r.stage != "retired"}
    return tuple(r for r in after.routes if r.stage == "retired" and r.task_id in active)


def _before(tables: Sequence[RouteTable], task_id: str) -> Route | None:
    """Return the route that a task had before its last one, as if by undoing steps."""
    steps: list[Route | None] = [None]
    for table in tables:
        route = next((r for r in table.routes if r.task_id == task_id), None)
        if route is not None and route.stage == "retired":
            route = None
        if route in steps:
            del steps[steps.index(route) + 1 :]
        else:
            steps.append(route)
    return steps[-2] if len(steps) > 1 else None


def _goes_on(route: Route, before: TaskSet | None, tasks: TaskSet) -> bool:
    if before is None or tasks is before:
        return True
    task = next((t for t in before.tasks if t.id == route.task_id), None)
    return task is not None and stands_in(task, tasks)


def _route(release: Release, stage: Stage, share: float) -> Route:
    certificate = release.certificate
    return Route(
        task_id=release.task.id,
        task_name=release.task.name,
        specialist_id=release.specialist_id,
        rung=release.rung,
        stage=stage,
        share=share,
        threshold=certificate.threshold if certificate else None,
        risk=certificate.risk if certificate else None,
        delta=certificate.delta if certificate else None,
    )


def _retired(route: Route) -> Route:
    return msgspec.structs.replace(route, stage="retired", share=1.0)


def _next(table: RouteTable, routes: Sequence[Route], tasks_id: str, change: Change) -> RouteTable:
    return RouteTable(
        version=table.version + 1,
        tasks_id=tasks_id,
        routes=tuple(sorted(routes, key=lambda route: (route.task_name, route.task_id))),
        author=change.author,
        reason=change.reason,
        created_at=change.at,
    )
