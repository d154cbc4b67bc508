"""``slimdown routes``: who answers which task, since when, and by whose word."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from slimdown.cli.options import JsonOption, WorkspaceOption, settings_from
from slimdown.cli.output import print_json, print_table, say
from slimdown.types import Route, RouteTable

if TYPE_CHECKING:
    from slimdown.workspace import RouteLine

_NONE_YET = (
    "No routes: the upstream answers every call. `slimdown tasks` lists the tasks; "
    "`slimdown promote TASK` lets a task's specialist shadow the upstream."
)


def routes(
    history: Annotated[
        bool, typer.Option("--history", help="Every table so far, the newest first.")
    ] = False,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the routes in force, or every change to them."""
    from slimdown.workspace import Workspace

    with Workspace.open(settings_from(workspace), write=False) as opened:
        lines, tables = opened.route_lines(), opened.route_history()
    if as_json:
        whole = {"history": tables} if history else {"routes": lines}
        print_json("slimdown.routes/1", whole)
    elif not tables:
        say(_NONE_YET)
    elif history:
        _print_history(tables)
    else:
        _print_routes(lines)


def _print_routes(lines: tuple[RouteLine, ...]) -> None:
    columns = ["task", "stage", "share", "rung", "specialist", "threshold", "differ <=", "since"]
    columns += ["author", "reason"]
    rows = [
        [*_cells(line.route), line.since[:19], line.author, line.reason or "-"] for line in lines
    ]
    print_table(columns, rows, right={"share", "threshold", "differ <="})


def _cells(route: Route) -> list[str]:
    serves = route.stage in ("canary", "live")
    return [
        route.task_name,
        route.stage,
        f"{route.share:.1%}" if serves else "-",
        route.rung,
        route.specialist_id[:12],
        _number(route.threshold, ".4f"),
        _number(route.risk, ".2%"),
    ]


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _print_history(tables: list[RouteTable]) -> None:
    columns = ["version", "at", "author", "reason", "change"]
    pairs = zip(tables, [*tables[1:], RouteTable()], strict=True)
    rows = [
        [
            str(table.version),
            table.created_at[:19],
            table.author,
            table.reason or "-",
            "; ".join(_changes(table, before)) or "-",
        ]
        for table, before in pairs
    ]
    print_table(columns, rows, right={"version"})


def _changes(table: RouteTable, before: RouteTable) -> list[str]:
    return [
        f"{route.task_name} {route.stage}"
        + (f" {route.share:.1%}" if route.stage == "canary" else "")
        for route in table.routes
        if route not in before.routes
    ]
