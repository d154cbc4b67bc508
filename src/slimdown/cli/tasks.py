"""``slimdown tasks``: the tasks found by the last run."""

from __future__ import annotations

from slimdown.cli.options import JsonOption, WorkspaceOption, settings_from
from slimdown.cli.output import print_json, print_table, say


def tasks(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """List the tasks that the last run found, with what each is."""
    from slimdown.workspace import Workspace

    with Workspace.open(settings_from(workspace), write=False) as opened:
        report = opened.report()
    if as_json:
        print_json("slimdown.tasks/1", {"tasks": [t.task for t in report.tasks]})
        return
    if not report.tasks:
        say("No tasks found: no prompt comes back often enough to be one.")
        return
    print_table(
        ["id", "task", "kind", "calls", "verdict", "what it is"],
        [
            [
                each.task.id[:12],
                each.task.name,
                each.task.kind,
                f"{each.n_calls:,}",
                each.verdict,
                each.task.description,
            ]
            for each in report.tasks
        ],
        right={"calls"},
    )
