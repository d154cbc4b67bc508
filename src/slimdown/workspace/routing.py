"""Moves routes: reads releases and tasks, asks `promote` for the next table, puts it in force.

Each move is one short transaction, so it works while a gateway records and a run trains.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TypeVar

import msgspec

from slimdown.artefact import Artefact
from slimdown.canonical import content_id
from slimdown.errors import GateNotMet, UsageError
from slimdown.promote import Change, Standing, promoted, rolled_back
from slimdown.types import Release, Route, RouteTable, Stage, Task, TaskSet
from slimdown.workspace.bench import Bench
from slimdown.workspace.pipeline import LATEST, TASKS
from slimdown.workspace.releases import RANKED, RELEASE

_Named = TypeVar("_Named", Task, Route)


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """A promotion as somebody asks for it; ``specialist`` is an id or its start, None the best."""

    task: str
    stage: Stage
    share: float
    specialist: str | None
    reason: str
    author: str


class RouteLine(msgspec.Struct, frozen=True, kw_only=True):
    """A route in force, with the change that made it: its table's version, time, author, reason."""

    route: Route
    version: int
    since: str
    author: str
    reason: str


def promote(bench: Bench, wish: Wish) -> RouteTable:
    """Put the table in force in which a task's specialist has its route; return it."""
    table = bench.store.routes()
    tasks = _newest_tasks(bench)
    task = _named(tasks.tasks, wish.task, "slimdown tasks")
    release = _release(bench, task, wish.specialist)
    artefact = Artefact(bench.folder / release.specialist_id, bench.sealer)
    standing = Standing(
        tasks=tasks,
        before=_tasks(bench, table.tasks_id),
        risk=bench.settings.risk,
        delta=bench.settings.delta,
        files=content_id(artefact.verify().files),
    )
    after = promoted(
        table,
        release,
        stage=wish.stage,
        share=wish.share,
        now=standing,
        change=_change(wish.author, wish.reason),
    )
    bench.store.put_routes(after)
    return after


def roll_back(bench: Bench, task: str, *, reason: str, author: str) -> RouteTable:
    """Put the table in force in which a task has its route of before; return it."""
    table = bench.store.routes()
    task_id = _named(table.routes, task, "slimdown routes").task_id
    change = _change(author, reason)
    after = rolled_back(table, bench.store.route_history(), task_id, change)
    bench.store.put_routes(after)
    return after


def lines_of(history: Sequence[RouteTable]) -> tuple[RouteLine, ...]:
    """Return the routes of the newest of all tables, each with the change that it came by."""
    newest_first = sorted(history, key=lambda table: -table.version)
    routes = newest_first[0].routes if newest_first else ()
    return tuple(_line(route, newest_first) for route in routes)


def _line(route: Route, newest_first: Sequence[RouteTable]) -> RouteLine:
    made_by = newest_first[0]
    for table in newest_first:
        if route not in table.routes:
            break
        made_by = table
    return RouteLine(
        route=route,
        version=made_by.version,
        since=made_by.created_at,
        author=made_by.author,
        reason=made_by.reason,
    )


def _newest_tasks(bench: Bench) -> TaskSet:
    tasks = _tasks(bench, bench.store.result(TASKS, LATEST) or "")
    if tasks is None:
        raise GateNotMet(
            "no task has a trained specialist yet; nothing was changed. Run `slimdown run` first: "
            "it finds the tasks, and trains and tests a specialist for each."
        )
    return tasks


def _tasks(bench: Bench, tasks_id: str) -> TaskSet | None:
    kept = bench.store.result(TASKS, tasks_id) if tasks_id else None
    return None if kept is None else msgspec.convert(kept, TaskSet)


def _release(bench: Bench, task: Task, specialist: str | None) -> Release:
    ranked: list[str] = bench.store.result(RANKED, task.id) or []
    if not ranked:
        raise GateNotMet(
            f"no specialist is trained for {task.name}: no rung of the ladder fits it, or its "
            "training failed. Nothing was changed. `slimdown report` says why."
        )
    wanted = [each for each in ranked if each.startswith(specialist or "")]
    if not wanted or (specialist and len(wanted) > 1):
        raise UsageError(
            f"{specialist} names {len(wanted)} of the specialists of {task.name}; nothing was "
            f"changed. They are: {', '.join(ranked)}."
        )
    return msgspec.convert(bench.store.result(RELEASE, wanted[0]), Release)


def _named(things: Sequence[_Named], wanted: str, where: str) -> _Named:
    """Return the task or route of this name or id, or whose name or id alone begins so."""
    named = [(each, _names(each)) for each in things]
    found = [each for each, names in named if wanted in names]
    found = found or [each for each, names in named if any(n.startswith(wanted) for n in names)]
    if len(found) != 1 or not wanted:
        of = ", ".join(sorted(names[0] for _, names in named)) or "none"
        raise UsageError(
            f"{wanted!r} names {len(found)} tasks; nothing was changed. Those there are: {of} "
            f"(`{where}`)."
        )
    return found[0]


def _names(thing: Task | Route) -> tuple[str, str]:
    if isinstance(thing, Task):
        return thing.name, thing.id
    return thing.task_name, thing.task_id


def _change(author: str, reason: str) -> Change:
    at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return Change(author=author, reason=reason, at=at)
