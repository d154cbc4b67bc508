"""``slimdown import``: add recorded calls; ``slimdown rejects``: the lines it refused."""

from __future__ import annotations

from typing import Annotated

import typer

from slimdown.cli.options import (
    FormatOption,
    JsonOption,
    PathsArgument,
    WorkspaceOption,
    settings_from,
)
from slimdown.cli.output import print_json, progress_bar, say


def import_(
    paths: PathsArgument,
    log_format: FormatOption = "auto",
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add the calls of logs that you already have; the same log twice adds nothing."""
    from slimdown.workspace import Workspace

    settings = settings_from(workspace)
    with Workspace.open(settings) as opened, progress_bar("import") as progress:
        done = opened.import_logs(paths, log_format=log_format, progress=progress)
    if as_json:
        print_json("slimdown.import/1", done)
        return
    say(f"{done.n_new:,} new calls, {done.n_known:,} known already, {done.n_rejected:,} rejected.")
    for row in done.first_rejects[:5]:
        say(f"  {row.source}, line {row.line}: {row.reason}")
    if done.n_rejected:
        say("Rejected lines are kept, sealed: `slimdown rejects` lists them.")
    if done.n_new:
        say("Next: `slimdown run` finds the tasks and trains a specialist for each.")


def rejects(
    raw: Annotated[bool, typer.Option("--raw", help="Print what was kept of each line.")] = False,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the log lines that could not be imported, with the reason."""
    from slimdown.workspace import Workspace

    with Workspace.open(settings_from(workspace), write=False) as opened:
        rows = [
            {"source": row.source, "line": row.line, "reason": row.reason, "n_bytes": row.n_bytes}
            | ({"raw": kept.decode("utf-8", "replace")} if raw else {})
            for row, kept in opened.rejects()
        ]
    if as_json:
        print_json("slimdown.rejects/1", rows)
        return
    if not rows:
        say("No line was rejected.")
    for row in rows:
        say(f"{row['source']}, line {row['line']}: {row['reason']}")
        if raw:
            say(f"    {row['raw']}")
