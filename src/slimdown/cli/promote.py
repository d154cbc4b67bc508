"""``slimdown promote`` and ``slimdown rollback``: move a task's specialist between stages."""

from __future__ import annotations

import getpass
from enum import StrEnum
from typing import Annotated

import typer

from slimdown.cli.options import JsonOption, WorkspaceOption, settings_from
from slimdown.cli.output import print_json, say
from slimdown.errors import UsageError
from slimdown.promote import stepped_down
from slimdown.types import Route, RouteTable

CANARY_SHARE = 0.1
"""The share of sessions that a canary serves unless another is given."""

TaskArgument = Annotated[
    str, typer.Argument(metavar="TASK", help="A task's name or id, or the start of one.")
]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; kept in the routes' history.")]


class StageName(StrEnum):
    """The stages that one may ask for."""

    SHADOW = "shadow"
    CANARY = "canary"
    LIVE = "live"


def promote(
    task: TaskArgument,
    stage: Annotated[
        StageName,
        typer.Option(
            help="shadow: asked unseen; canary: serves a share of sessions; live: serves all. "
            "Both latter need a certificate."
        ),
    ] = StageName.SHADOW,
    share: Annotated[
        str | None, typer.Option("--share", help="Sessions that a canary serves [10%].")
    ] = None,
    specialist: Annotated[
        str | None, typer.Option("--specialist", help="Its id [the best of the last run].")
    ] = None,
    reason: ReasonOption = "",
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a task's specialist be asked (shadow, unless told more); live within a second."""
    from slimdown.workspace import Workspace

    wanted = _share(share, stage)
    with Workspace.open(settings_from(workspace), role="short") as opened:
        before = opened.routes()
        after = opened.promote(
            task, stage.value, share=wanted, specialist=specialist, reason=reason, author=author()
        )
    _print_move(before, after, as_json=as_json)


def rollback(
    task: TaskArgument,
    reason: ReasonOption = "",
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a task the route that it had before, or none; live within a second."""
    from slimdown.workspace import Workspace

    with Workspace.open(settings_from(workspace), role="short") as opened:
        before = opened.routes()
        after = opened.rollback(task, reason=reason, author=author())
    _print_move(before, after, as_json=as_json)


def author() -> str:
    """Return the login name of whoever runs the command, "unknown" where it has none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"


def told(route: Route) -> str:
    """Return in words what a route does."""
    who = f"the specialist {route.specialist_id[:12]} ({route.rung})"
    if route.stage == "retired":
        return f"{route.task_name}: retired; the upstream answers all its calls."
    if route.stage == "shadow":
        return f"{route.task_name}: {who} shadows the upstream, which answers all its calls."
    of = f"{route.share:.1%} of sessions" if route.stage == "canary" else "all sessions"
    return (
        f"{route.task_name}: {who} is {route.stage} for {of}; answers that score less than "
        f"{route.threshold or 0:.4f} come from the upstream."
    )


def share_of(text: str) -> float:
    """Return the share that "10%" or "0.1" stands for; raises `UsageError` for what is none."""
    try:
        number = float(text.strip().removesuffix("%"))
    except ValueError as error:
        raise UsageError(
            f"{text!r} is no share; nothing was changed. Say --share 10% or --share 0.1."
        ) from error
    return number / 100 if text.strip().endswith("%") else number


def _share(text: str | None, stage: StageName) -> float:
    if text is None:
        return CANARY_SHARE if stage is StageName.CANARY else 1.0
    if stage is not StageName.CANARY:
        raise UsageError("--share is for a canary; nothing was changed. Add --stage canary.")
    return share_of(text)


def _print_move(before: RouteTable, after: RouteTable, *, as_json: bool) -> None:
    if as_json:
        print_json("slimdown.routes/1", after)
        return
    retired = stepped_down(before, after)
    for route in after.routes:
        if route not in before.routes and route not in retired:
            say(told(route))
    for route in retired:
        say(told(route))
    say(f"Route table {after.version}. Undo: `slimdown rollback TASK`; all: `slimdown routes`.")
