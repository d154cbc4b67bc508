"""What a report says to people: one sentence for the whole, one for each refusal, the money."""

from typing import Any

import pytest

from slimdown.cli.summary import headline, print_report, reasons, saving_line
from slimdown.report.model import Report, RungReport, SavingFigures, TaskReport
from slimdown.types import Certificate, Refusal, Slot, Task, Template

TASK = Task(id="t1", name="sort", description="", kind="label", template=Template((Slot("user"),)))
CERTIFICATE = Certificate(
    task_id="t1",
    specialist_id="s1",
    rung="linear",
    threshold=0.5,
    n=80,
    k=1,
    risk=0.02,
    delta=0.05,
    coverage=0.8,
    upper=0.0187,
    keyed_on={},
    created_at="2026-01-01T00:00:00+00:00",
)


def task(**given: Any) -> TaskReport:
    made: dict[str, Any] = {"task": TASK, "n_calls": 50, "n_tokens": 500}
    return TaskReport(**(made | given))


def certified(**given: Any) -> TaskReport:
    rungs = (RungReport(rung="linear", certificate=CERTIFICATE),)
    return task(rungs=rungs, served_by="linear", **given)


def report(*tasks: TaskReport, **given: Any) -> Report:
    made: dict[str, Any] = {
        "version": "0",
        "created_at": "2026-01-01T00:00:00+00:00",
        "risk": 0.02,
        "delta": 0.05,
        "n_calls": 200,
        "n_tokens": 2_000,
        "tasks": tasks,
    }
    return Report(**(made | given))


def saving(**given: Any) -> SavingFigures:
    made: dict[str, Any] = {
        "usd_per_call": 0.01,
        "usd_per_call_low": 0.005,
        "usd_per_call_high": 0.02,
        "share": 0.5,
        "share_low": 0.4,
        "share_high": 0.6,
        "upstream_usd_per_call": 0.02,
        "specialist_usd_per_call": 0.0,
        "training_usd": 0.0,
        "verdict": "worth it",
        "reason": "It pays.",
    }
    return SavingFigures(**(made | given))


def printed(found: Report, capsys: pytest.CaptureFixture[str]) -> str:
    print_report(found)
    return capsys.readouterr().out


def test_the_headline_holds_the_promise_with_both_dials() -> None:
    told = headline(report(certified(cost_usd=0.3), task(), cost_usd=1.0))

    assert told == (
        "1 of 2 tasks certified: 20.0% of 200 calls and 24.0% of their cost can move to "
        "specialists, at most 2.0% of whose answers differ from the LLM's, with 95% confidence "
        "per task."
    )


def test_without_prices_the_headline_is_silent_about_cost() -> None:
    assert "cost" not in headline(report(certified()))


def test_a_saving_without_a_pace_names_no_month() -> None:
    assert saving_line(saving()) == (
        "Expected saving: 50.0% of the bill (40.0% to 60.0%). It pays."
    )


def test_a_saving_is_told_with_its_interval_small_sums_with_more_digits() -> None:
    told = saving_line(
        saving(usd_per_month=1_234.5, usd_per_month_low=-0.25, usd_per_month_high=2_000.0)
    )

    assert "$1,234.50 a month ($-0.2500 to $2,000.00)" in told


def test_each_rung_says_why_it_does_not_serve() -> None:
    rungs = (
        RungReport(rung="linear", objection="13 examples are too few."),
        RungReport(rung="fields", refusal=Refusal(code="low_power", reason="Too unsure.")),
    )

    assert reasons(task(rungs=rungs)) == [
        "linear: 13 examples are too few.",
        "fields: Too unsure.",
    ]


def test_a_task_set_aside_gives_that_reason_alone() -> None:
    rungs = (RungReport(rung="linear", objection="there is no example."),)

    assert reasons(task(set_aside="A person reads it.", rungs=rungs)) == ["A person reads it."]


def test_a_task_that_no_rung_tried_says_so() -> None:
    assert reasons(task()) == ["no rung of the ladder was tried."]


def test_a_row_holds_the_shares_the_rung_and_the_bound(capsys: pytest.CaptureFixture[str]) -> None:
    told = printed(report(certified(cost_usd=0.3), cost_usd=1.0, n_left=150), capsys)

    row = next(line for line in told.splitlines() if line.startswith("sort"))
    assert row.split() == [
        *("sort", "label", "50", "25.0%", "25.0%", "30.0%"),
        *("certified", "linear", "80%", "1.87%"),
    ]
    rest = next(line for line in told.splitlines() if line.startswith("(no task)"))
    assert rest.split() == ["(no", "task)", "150", "75.0%"]


def test_what_is_not_known_is_a_dash(capsys: pytest.CaptureFixture[str]) -> None:
    told = printed(report(task()), capsys)

    row = next(line for line in told.splitlines() if line.startswith("sort"))
    assert row.split() == ["sort", "label", "50", "25.0%", "25.0%", "-", "not", "tried", *"---"]


def test_a_log_without_tasks_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    told = printed(report(), capsys)

    assert "no prompt comes back often enough" in told
    assert "0 of 0 tasks certified" in told


def test_where_all_is_certified_nothing_stays(capsys: pytest.CaptureFixture[str]) -> None:
    assert "What stays" not in printed(report(certified()), capsys)


def test_notes_and_names_reach_people_without_control_characters(
    capsys: pytest.CaptureFixture[str],
) -> None:
    named = Task(**{f: getattr(TASK, f) for f in TASK.__struct_fields__} | {"name": "a\x1b[2Jb"})

    told = printed(report(task(task=named), notes=("careful\x07",)), capsys)

    assert "a\ufffd[2Jb" in told
    assert "Note: careful\ufffd" in told
