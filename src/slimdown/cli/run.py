"""``slimdown run``: all stages on the workspace, skipping what has not changed."""

from __future__ import annotations

from slimdown.cli.options import (
    DeltaOption,
    JsonOption,
    RiskOption,
    RungsOption,
    WorkspaceOption,
    settings_from,
)
from slimdown.cli.output import print_json, progress_bar, say
from slimdown.cli.summary import print_report


def run(
    risk: RiskOption = None,
    delta: DeltaOption = None,
    rungs: RungsOption = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find tasks, train the cheapest specialist that earns a certificate, report."""
    from slimdown.workspace import Workspace

    settings = settings_from(workspace, risk, delta, rungs)
    with Workspace.open(settings) as opened, progress_bar("run") as progress:
        report = opened.run(progress)
    if as_json:
        print_json("slimdown.report/1", report)
        return
    print_report(report)
    say("Next: `slimdown report --html report.html` draws it, with the evidence for each task.")
