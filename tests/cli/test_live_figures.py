"""The figures of a live run, on a handful of calls whose outcome is known."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slimdown.cli.live_figures import (
    AgentAnswer,
    LiveReport,
    latency,
    live_report,
    routing_reasons,
)
from slimdown.ledger import load_prices
from slimdown.report.model import Report, RungReport, SavingFigures, TaskReport
from slimdown.testing import sample_call
from slimdown.types import Call, Certificate, Slot, Task, Template

SPECIALIST = "ab12" * 16
SYSTEM = "Name the intent of the message."
SERVED, UPSTREAM = f"slimdown-{SPECIALIST[:12]}", "slimdown-replay"
PRICES = load_prices({"gpt-4o-mini": {"input": 1_000.0, "output": 0.0}})
"""A call of 50 input tokens costs 5 cents."""


def certified() -> TaskReport:
    slots = (Slot("system", SYSTEM, constant=True), Slot("user"))
    task = Task(id="t", name="intent", description="", kind="label", template=Template(slots))
    certificate = Certificate(
        task_id="t",
        specialist_id=SPECIALIST,
        rung="linear",
        threshold=0.5,
        n=150,
        k=0,
        risk=0.02,
        delta=0.05,
        coverage=0.9,
        upper=0.02,
        keyed_on={},
        created_at="",
    )
    saving = SavingFigures(
        usd_per_call=0,
        usd_per_call_low=0,
        usd_per_call_high=0,
        share=0,
        share_low=0,
        share_high=0,
        upstream_usd_per_call=0.05,
        specialist_usd_per_call=0.001,
        training_usd=0,
        verdict="worth it",
        reason="",
    )
    rung = RungReport(rung="linear", certificate=certificate)
    return TaskReport(task=task, n_calls=9, rungs=(rung,), served_by="linear", saving=saving)


def figures(calls: list[Call], through: list[AgentAnswer]) -> LiveReport:
    report = Report(
        version="1", created_at="", risk=0.02, delta=0.05, n_calls=9, tasks=(certified(),)
    )
    direct = [said(call.id, "x", UPSTREAM, ms=100.0) for call in calls]
    return live_report(calls, direct, through, report, PRICES)


def said(call_id: str, words: str, fingerprint: str, ms: float = 10.0) -> AgentAnswer:
    message = {"role": "assistant", "content": words}
    return AgentAnswer(
        id=call_id, ms=ms, message=message, finish_reason="stop", fingerprint=fingerprint
    )


def recorded(call_id: str, words: str = "delivery", **more: Any) -> Call:
    return sample_call("where?", words, system=SYSTEM, id=call_id, **more)


def test_what_a_specialist_answered_is_counted_and_compared() -> None:
    calls = [recorded("1"), recorded("2"), recorded("3")]
    through = [
        said("1", "Delivery.", SERVED),
        said("2", "refund", SERVED),
        said("3", "delivery", UPSTREAM),
    ]

    found = figures(calls, through)

    (task,) = found.tasks
    assert (task.n_calls, task.n_served, task.n_compared, task.n_agreed) == (3, 2, 2, 1)
    assert found.served_share == pytest.approx(2 / 3)
    assert (found.direct.n, found.through.n, found.by_specialist.n) == (3, 3, 2)


def test_calls_that_the_llm_left_without_a_whole_answer_are_served_but_not_compared() -> None:
    cut = recorded("2")
    assert cut.response is not None
    cut.response["choices"][0]["finish_reason"] = "length"
    declined = recorded("3", "I'm sorry, but I can't help with that request.")
    calls = [recorded("1", error="500 the server had an error"), cut, declined]

    found = figures(calls, [said(n, "delivery", SERVED) for n in "123"])

    (task,) = found.tasks
    assert (task.n_served, task.n_compared) == (3, 0)


def test_the_bill_holds_what_the_upstream_answered_and_the_specialists_work() -> None:
    calls = [recorded("1"), recorded("2")]

    found = figures(calls, [said("1", "delivery", SERVED), said("2", "delivery", UPSTREAM)])

    assert found.usd_before == pytest.approx(0.10)
    assert found.usd_after == pytest.approx(0.05 + 2 * 0.001)


@pytest.mark.parametrize(
    "mark", [None, "", "fp_44709d6fcb", "slimdown-", "slimdown-replay", "ab12"]
)
def test_an_answer_without_a_specialists_mark_is_the_upstreams(mark: str | None) -> None:
    answer = AgentAnswer(id="1", ms=1, message={"content": "delivery"}, fingerprint=mark)

    assert figures([recorded("1")], [answer]).served_share == 0


def test_a_call_of_no_task_counts_all_the_same() -> None:
    stray = sample_call("where?", "delivery", system="Translate.", id="1")

    found = figures([stray], [said("1", "delivery", UPSTREAM)])

    assert (found.n_calls, found.tasks[0].n_calls) == (1, 0)
    assert found.usd_after == found.usd_before > 0


def test_failures_are_counted_and_have_no_latency() -> None:
    answers = [AgentAnswer(id="1", ms=5.0, error="RateLimitError")]

    found = figures([recorded("1")], answers)

    assert (found.n_failed_direct, found.n_failed_through, found.through.n) == (0, 1, 0)
    assert math.isnan(found.through.p50_ms)


def test_reasons_are_read_from_the_metrics_page_the_commonest_first() -> None:
    page = (
        "# TYPE slimdown_routing_total counter\n"
        'slimdown_routing_total{reason="low_score"} 2.0\n'
        'slimdown_routing_total{reason="unsupported:n"} 30.0\n'
        "slimdown_in_flight 1.0\n"
    )

    assert list(routing_reasons(page).items()) == [("unsupported:n", 30), ("low_score", 2)]


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_percentiles_are_times_that_occurred_in_order(times: list[float]) -> None:
    found = latency(AgentAnswer(id="x", ms=ms) for ms in times)

    assert found.n == len(times)
    assert found.p50_ms in times and found.p95_ms in times
    assert found.p50_ms <= found.p95_ms <= max(times)
