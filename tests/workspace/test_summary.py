"""The report's figures, on a survey and outcomes made by hand."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slimdown.errors import UsageError
from slimdown.report.model import Count, Report, RungReport
from slimdown.settings import Settings
from slimdown.types import Certificate, Dropped, Refusal, Slot, Task, Template
from slimdown.workspace.contender import Timing
from slimdown.workspace.ladder import Climb
from slimdown.workspace.summary import TaskOutcome, summarise
from slimdown.workspace.survey import Survey
from slimdown.workspace.tally import CallFacts

TASK = Task(id="t1", name="sort", description="", kind="label", template=Template((Slot("user"),)))
REFUSED = Climb(rungs=(RungReport(rung="r", refusal=Refusal(code="low_power", reason="why")),))
FACTS = CallFacts(
    n_calls=10,
    cost_usd=0.1,
    n_tokens=500,
    first_at="2026-01-01T00:00:00.000Z",
    last_at="2026-01-03T00:00:00.000Z",
    costs=(0.01,) * 10,
    models=("gpt-4o-mini",),
)


def certified(n: int = 8, n_cpu: int = 5) -> Climb:
    """Return a climb whose rung serves ``n`` of ten calibration calls."""
    certificate = Certificate(
        task_id="t1",
        specialist_id="s1",
        rung="r",
        threshold=0.5,
        n=n,
        k=0,
        risk=0.02,
        delta=0.05,
        coverage=n / 10,
        upper=0.02,
        keyed_on={},
        created_at="2026-01-03T00:00:00+00:00",
    )
    timing = Timing(cpu_seconds=(0.01,) * n_cpu, training_cpu_seconds=3.6, latency_ms=10.0)
    rungs = (RungReport(rung="r", certificate=certificate),)
    return Climb(rungs=rungs, served_by="r", timings={"r": timing})


def surveyed(**given: Any) -> Survey:
    made: dict[str, Any] = {
        "tasks": (TASK,),
        "members": {f"c{i}": "t1" for i in range(10)},
        "left": (),
        "kept": (),
        "dropped": (),
        "contradictory": (),
        "facts": {"t1": FACTS},
        "n_sessions": 4,
    }
    return Survey(**(made | given))


def outcome(climb: Climb = REFUSED, **given: Any) -> TaskOutcome:
    made: dict[str, Any] = {
        "n_train": 6,
        "n_dev": 2,
        "n_calibration": 10,
        "dropped": (),
        "is_dated": True,
    }
    return TaskOutcome(task=TASK, climb=climb, **(made | given))


def summary(found: Survey, *outcomes: TaskOutcome, **settings: Any) -> Report:
    return summarise(found, outcomes, Settings(**settings))


def dropped(n: int, reason: str) -> tuple[Dropped, ...]:
    return tuple(Dropped(f"c{i}", reason) for i in range(n))


def test_the_whole_log_is_told_with_what_no_task_holds() -> None:
    rest = CallFacts(n_calls=5, cost_usd=0.3, n_tokens=100)

    report = summary(surveyed(facts={"t1": FACTS, "": rest}), outcome())

    assert (report.n_calls, report.n_left, report.n_tokens, report.n_sessions) == (15, 5, 600, 4)
    assert report.cost_usd == pytest.approx(0.4)
    assert report.first_call_at == "2026-01-01T00:00:00.000Z"
    assert report.last_call_at == "2026-01-03T00:00:00.000Z"


def test_the_dial_of_the_report_is_the_settings() -> None:
    report = summary(surveyed(), risk=0.1, delta=0.2)

    assert (report.risk, report.delta) == (0.1, 0.2)


def test_a_task_without_a_certificate_saves_nothing() -> None:
    report = summary(surveyed(), outcome())

    assert (report.tasks[0].verdict, report.tasks[0].saving, report.saving) == (
        "refused",
        None,
        None,
    )


def test_the_saving_is_the_served_share_less_watching_less_the_specialist() -> None:
    report = summary(surveyed(), outcome(certified()), usd_per_cpu_hour=0.36)

    saving = report.tasks[0].saving
    assert saving is not None
    assert saving.upstream_usd_per_call == pytest.approx(0.01)
    assert saving.specialist_usd_per_call == pytest.approx(0.01 * 0.36 / 3600)
    assert saving.usd_per_call == pytest.approx(0.8 * 0.98 * 0.01 - 1e-6)
    assert saving.training_usd == pytest.approx(3.6 * 0.36 / 3600)
    assert saving.usd_per_call_low < saving.usd_per_call < saving.usd_per_call_high


def test_the_whole_saving_is_spread_over_all_priced_calls() -> None:
    rest = CallFacts(n_calls=10, cost_usd=0.1)

    report = summary(surveyed(facts={"t1": FACTS, "": rest}), outcome(certified()))

    task, whole = report.tasks[0].saving, report.saving
    assert task is not None
    assert whole is not None
    assert whole.usd_per_call == pytest.approx(task.usd_per_call / 2)
    assert whole.share == pytest.approx(task.share / 2)


def test_money_a_month_needs_a_log_of_a_day() -> None:
    short = FACTS.__class__(n_calls=10, costs=(0.01,) * 10, cost_usd=0.1)

    paced = summary(surveyed(), outcome(certified())).tasks[0].saving
    unpaced = summary(surveyed(facts={"t1": short}), outcome(certified())).tasks[0].saving

    assert paced is not None
    assert unpaced is not None
    assert paced.usd_per_month == pytest.approx(paced.usd_per_call * 5 * 30.4375)
    assert unpaced.usd_per_month is None


def test_a_served_task_without_any_price_has_no_saving_but_is_served() -> None:
    unpriced = CallFacts(n_calls=10, n_unpriced=10, models=("in-house",))

    report = summary(surveyed(facts={"t1": unpriced}), outcome(certified()))

    assert (report.cost_usd, report.tasks[0].cost_usd) == (None, None)
    assert (report.tasks[0].verdict, report.tasks[0].saving) == ("certified", None)
    assert report.notes == (
        "10 calls have no known price: set it in slimdown.toml under [prices.MODEL] as USD per "
        "million tokens.",
    )


def test_a_saving_names_the_price_it_rests_on_and_the_tokens_that_are_guessed() -> None:
    facts = CallFacts(
        n_calls=1_500, n_estimated=1_200, costs=(0.01,), cost_usd=0.01, models=("mine",)
    )

    report = summary(
        surveyed(facts={"t1": facts}),
        outcome(certified()),
        prices={"mine": {"input": 1, "output": 2}},
    )

    saving = report.tasks[0].saving
    assert saving is not None
    assert saving.assumptions[0].startswith("mine: 1 USD per million input tokens, 2 per million")
    assert saving.assumptions[1].startswith("Tokens of 1,200 calls are estimated")


def test_a_task_that_a_person_reads_is_set_aside_with_its_numbers() -> None:
    report = summary(surveyed(dropped=dropped(10, "human_facing")), outcome(Climb(rungs=())))

    assert report.tasks[0].verdict == "set aside"
    assert report.tasks[0].set_aside == "10 of its 10 calls are answers for a person to read."


def test_a_task_of_failures_says_which_reason_was_the_most_frequent() -> None:
    aside = (*dropped(9, "failure"), Dropped("c9", "refusal"))

    report = summary(surveyed(dropped=aside), outcome(Climb(rungs=())))

    assert report.tasks[0].set_aside == ("curation set 10 of its 10 calls aside, most as failure.")


def test_a_task_that_lost_most_of_its_calls_is_still_tried() -> None:
    report = summary(surveyed(dropped=dropped(9, "failure")), outcome())

    assert (report.tasks[0].set_aside, report.tasks[0].verdict) == ("", "refused")


def test_reasons_are_counted_over_curation_and_splits_the_most_frequent_first() -> None:
    aside = (*dropped(2, "failure"), Dropped("elsewhere", "failure"))

    report = summary(surveyed(dropped=aside), outcome(dropped=dropped(3, "shared_session")))

    assert report.set_aside == (Count("failure", 3),)
    assert report.tasks[0].dropped == (Count("shared_session", 3), Count("failure", 2))


def test_contradictions_are_counted_for_their_own_task() -> None:
    report = summary(surveyed(contradictory=("c1", "c2", "elsewhere")), outcome())

    assert report.tasks[0].n_contradictions == 2


def test_undated_splits_are_noted_unless_nothing_was_held_out() -> None:
    undated = summary(surveyed(), outcome(is_dated=False))
    empty = summary(surveyed(), outcome(is_dated=False, n_calibration=0))

    assert "says nothing about drift" in undated.notes[0]
    assert empty.notes == ()


def test_the_surveys_own_notes_come_first() -> None:
    report = summary(surveyed(notes=("3 calls lack rating",)), outcome(is_dated=False))

    assert report.notes[0] == "3 calls lack rating"
    assert len(report.notes) == 2


def test_a_task_that_no_call_was_assigned_to_is_reported_empty() -> None:
    report = summary(surveyed(members={}, facts={"": FACTS}), outcome())

    assert (report.tasks[0].n_calls, report.tasks[0].cost_usd, report.n_left) == (0, None, 10)


def test_an_empty_log_makes_an_empty_report() -> None:
    report = summary(surveyed(tasks=(), members={}, facts={}))

    assert (report.n_calls, report.cost_usd, report.saving, report.tasks) == (0, None, None, ())
    assert (report.first_call_at, report.moved_share, report.moved_cost_share) == (None, 0.0, None)


def test_a_bad_price_in_the_settings_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="mine"):
        summary(surveyed(), outcome(certified()), prices={"mine": {"input": -1, "output": 1}})


@given(n=st.integers(0, 10))
def test_the_calls_that_move_are_the_certified_share(n: int) -> None:
    report = summary(surveyed(), outcome(certified(n)))

    assert report.moved_calls == pytest.approx(n)
    assert report.moved_share == pytest.approx(n / 10)
    assert report.saving is not None
    assert report.saving.share_low <= report.saving.share <= report.saving.share_high
