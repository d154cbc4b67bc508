"""``slimdown report``: the last run's verdicts, on the terminal or as one HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from slimdown.cli.options import JsonOption, WorkspaceOption, settings_from
from slimdown.cli.output import print_json, say
from slimdown.cli.summary import print_report
from slimdown.errors import UsageError
from slimdown.report.model import Report

HtmlOption = Annotated[
    Path | None,
    typer.Option("--html", help="Write one self-contained page here; it holds text of calls."),
]


def report(
    html: HtmlOption = None, workspace: WorkspaceOption = None, as_json: JsonOption = False
) -> None:
    """Show what the last run certified, what it refused and why, and what it would save."""
    from slimdown.workspace import Workspace

    with Workspace.open(settings_from(workspace), write=False) as opened:
        found = opened.report()
    if html:
        write_page(found, html)
    if as_json:
        print_json("slimdown.report/1", found)
    else:
        print_report(found)
        if html:
            say(f"The page is {html}. It holds text of calls in the clear: mind where it goes.")


def write_page(found: Report, path: Path) -> None:
    """Write the report page, for its owner's eyes; raises `UsageError` if it cannot be."""
    from slimdown.report.page import render

    try:
        path.touch()
        path.chmod(0o600)
        path.write_text(render(found), "utf-8")
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written ({error.strerror}); the report is kept in the workspace."
        ) from error
