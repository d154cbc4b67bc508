"""``slimdown scan``: what a log's calls could save, without keeping anything."""

from __future__ import annotations

from slimdown.cli.options import (
    DeltaOption,
    FormatOption,
    JsonOption,
    PathsArgument,
    RiskOption,
    RungsOption,
    settings_from,
)
from slimdown.cli.output import print_json, progress_bar, say
from slimdown.cli.summary import print_report


def scan(
    paths: PathsArgument,
    log_format: FormatOption = "auto",
    risk: RiskOption = None,
    delta: DeltaOption = None,
    rungs: RungsOption = "linear",
    as_json: JsonOption = False,
) -> None:
    """Say what could move off the LLM, what it would save, and what stays and why.

    Nothing is kept: the calls are worked on in a sealed folder that is deleted at the end. Only
    the quickest rung is tried unless --rungs says more, so `slimdown run` may find more to move.
    """
    from slimdown.workspace import temporary_workspace

    settings = settings_from(None, risk, delta, rungs)
    with temporary_workspace(settings) as workspace:
        with progress_bar("import") as progress:
            done = workspace.import_logs(paths, log_format=log_format, progress=progress)
        with progress_bar("scan") as progress:
            report = workspace.run(progress)
    if as_json:
        print_json("slimdown.report/1", report)
        return
    print_report(report)
    if done.n_rejected:
        say(f"{done.n_rejected:,} lines could not be read, the first of them:")
        for row in done.first_rejects[:3]:
            say(f"  {row.source}, line {row.line}: {row.reason}")
    open_tasks = [t for t in report.tasks if t.verdict == "refused" and t.task.kind != "text"]
    if open_tasks and "fields" not in settings.rungs:
        n_calls = sum(task.n_calls for task in open_tasks)
        say(
            f"{len(open_tasks)} refused tasks ({n_calls / report.n_calls:.1%} of the calls) may "
            "still suit the rung `fields`, which a scan does not train: `slimdown run` does."
        )
    say("Nothing was kept. To go on: `slimdown import PATH...`, then `slimdown run`.")
