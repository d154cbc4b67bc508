"""Prints a report for people: the verdict on each task, the saving, and what stays and why."""

from __future__ import annotations

from slimdown.cli.output import print_table, say
from slimdown.report.model import Report, SavingFigures, TaskReport


def print_report(report: Report) -> None:
    """Print the task table, then a line per refusal, then the money."""
    if not report.tasks:
        say("No tasks found: no prompt comes back often enough to be one.")
    else:
        print_tasks(report)
        say()
        print_reasons(report)
    say()
    say(headline(report))
    if report.saving:
        say(saving_line(report.saving))
    for note in report.notes:
        say(f"Note: {note}")


def print_tasks(report: Report) -> None:
    """Print a row per task, the largest first."""
    columns = ["task", "kind", "calls", "of calls", "of tokens", "of cost", "verdict", "rung"]
    columns += ["served", "differ <="]
    rows = [_row(task, report) for task in report.tasks]
    if report.n_left:
        rows.append(["(no task)", "", f"{report.n_left:,}", _share(report.n_left / report.n_calls)])
    print_table(columns, rows, right={*columns} - {"task", "kind", "verdict", "rung"})


def print_reasons(report: Report) -> None:
    """Say for each task without a certificate why it stays with the LLM."""
    staying = [task for task in report.tasks if task.verdict != "certified"]
    if staying:
        say("What stays with the LLM, and why:")
    for task in staying:
        say(f"  {task.task.name}")
        for reason in reasons(task):
            say(f"    {reason}")


def reasons(task: TaskReport) -> list[str]:
    """Return why a task has no certificate, a sentence or two per rung."""
    if task.set_aside:
        return [task.set_aside]
    told = [
        (rung.rung, rung.refusal.reason if rung.refusal else rung.objection) for rung in task.rungs
    ]
    return [f"{name}: {why}" for name, why in told if why] or ["no rung of the ladder was tried."]


def headline(report: Report) -> str:
    """Return the whole in one sentence."""
    n = sum(task.verdict == "certified" for task in report.tasks)
    cost = report.moved_cost_share
    of_cost = f" and {cost:.1%} of their cost" if cost is not None else ""
    return (
        f"{n} of {len(report.tasks)} tasks certified: {report.moved_share:.1%} of "
        f"{report.n_calls:,} calls{of_cost} can move to specialists, at most {report.risk:.1%} of "
        f"whose answers differ from the LLM's, with {1 - report.delta:.0%} confidence per task."
    )


def saving_line(saving: SavingFigures) -> str:
    """Return the saving with its interval."""
    per = f"{saving.share:.1%} of the bill ({saving.share_low:.1%} to {saving.share_high:.1%})"
    month = ""
    if saving.usd_per_month is not None:
        low, high = saving.usd_per_month_low or 0.0, saving.usd_per_month_high or 0.0
        month = f", {_usd(saving.usd_per_month)} a month ({_usd(low)} to {_usd(high)})"
    return f"Expected saving: {per}{month}. {saving.reason}"


def _row(task: TaskReport, report: Report) -> list[str]:
    certificate = task.certificate
    return [
        task.task.name,
        task.task.kind,
        f"{task.n_calls:,}",
        _share(report.share_of_calls(task)),
        _share(report.share_of_tokens(task)),
        _share(report.share_of_cost(task)),
        task.verdict,
        certificate.rung if certificate else "-",
        f"{certificate.coverage:.0%}" if certificate else "-",
        f"{certificate.upper:.2%}" if certificate else "-",
    ]


def _share(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _usd(amount: float) -> str:
    return f"${amount:,.2f}" if abs(amount) >= 1 else f"${amount:,.4f}"
