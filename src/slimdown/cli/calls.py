"""``slimdown calls``: list the stored calls, without their text."""

from __future__ import annotations

from typing import Annotated

import typer

from slimdown.cli.options import JsonOption, WorkspaceOption, settings_from
from slimdown.cli.output import print_json, print_table, say


def calls(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many to list.")] = 20,
    offset: Annotated[int, typer.Option("--offset", min=0, help="How many to pass over.")] = 0,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the stored calls, oldest first; `slimdown show ID` prints one whole."""
    from slimdown.workspace import Workspace

    with Workspace.open(settings_from(workspace), write=False) as opened:
        rows, n_calls = opened.rows(limit=limit, offset=offset), opened.n_calls
    if as_json:
        print_json("slimdown.calls/1", {"n_calls": n_calls, "calls": rows})
        return
    if not rows:
        say("No calls here. Add a log you have: `slimdown import PATH`.")
        return
    print_table(
        ["id", "started", "model", "messages", "tokens in", "out", "ms", "status"],
        [
            [
                row.id[:12],
                (row.started_at or "-")[:19],
                row.model or "-",
                str(row.n_messages),
                _number(row.prompt_tokens),
                _number(row.completion_tokens),
                _number(row.latency_ms),
                row.status,
            ]
            for row in rows
        ],
        right={"messages", "tokens in", "out", "ms"},
    )
    say(f"{offset + 1}-{offset + len(rows)} of {n_calls:,} calls.")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"
