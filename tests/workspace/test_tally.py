"""What calls amount to: sums by hand, samples that stay small, totals that lose nothing."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slimdown.ledger import Prices, load_prices
from slimdown.testing import sample_call
from slimdown.types import Call
from slimdown.workspace.tally import SAMPLE_SIZE, CallFacts, Tally, total_of

PRICES = load_prices({"gpt-4o-mini": {"input": 10, "output": 100}})
CALL_USD = 50 * 10e-6 + 5 * 100e-6
"""What one `sample_call` costs: 50 tokens in, 5 out."""


def tallied(calls: Sequence[tuple[Call, str]], prices: Prices = PRICES) -> Tally:
    tally = Tally(prices)
    for call, task_id in calls:
        tally.add(call, task_id)
    return tally


def of_model(model: str, text: str = "hello") -> Call:
    call = sample_call(text)
    assert call.response is not None
    return sample_call(
        text,
        request=call.request | {"model": model},
        response={**call.response, "model": model},
    )


def test_calls_are_added_up_by_task() -> None:
    calls = [(sample_call("a"), "t1"), (sample_call("b"), "t1"), (sample_call("c"), "")]

    facts = tallied(calls).facts()

    assert sorted(facts) == ["", "t1"]
    assert (facts["t1"].n_calls, facts["t1"].n_tokens) == (2, 110)
    assert facts["t1"].cost_usd == pytest.approx(2 * CALL_USD)
    assert facts["t1"].costs == pytest.approx((CALL_USD, CALL_USD))
    assert (facts[""].n_calls, facts[""].n_unpriced) == (1, 0)


def test_a_session_counts_once_and_no_session_not_at_all() -> None:
    sessions = ["s1", "s2", "s1", None, ""]

    tally = tallied([(sample_call("a", session_id=session), "t1") for session in sessions])

    assert tally.sessions == {"s1", "s2"}


def test_the_first_and_last_time_are_found_in_any_order() -> None:
    times = ["2026-02-01T00:00:00.000Z", None, "2026-01-01T00:00:00.000Z"]

    facts = tallied([(sample_call("a", started_at=at), "t1") for at in times]).facts()["t1"]

    assert facts.first_at == "2026-01-01T00:00:00.000Z"
    assert facts.last_at == "2026-02-01T00:00:00.000Z"


def test_calls_without_a_time_leave_none() -> None:
    facts = tallied([(sample_call("a"), "t1")]).facts()["t1"]

    assert (facts.first_at, facts.last_at) == ("", "")


def test_the_model_that_answered_most_often_stands_first() -> None:
    answered = [sample_call("a"), sample_call("b"), of_model("gpt-4o")]

    facts = tallied([(call, "t1") for call in answered]).facts()["t1"]

    assert facts.models == ("gpt-4o-mini", "gpt-4o")


def test_a_call_of_an_unknown_model_is_counted_and_not_priced() -> None:
    calls = [(sample_call("a"), "t1"), (of_model("in-house-7b"), "t1")]

    facts = tallied(calls).facts()["t1"]

    assert (facts.n_calls, facts.n_unpriced, len(facts.costs)) == (2, 1, 1)
    assert facts.cost_usd == pytest.approx(CALL_USD)


def test_guessed_tokens_are_told() -> None:
    told = sample_call("a")
    assert told.response is not None
    guessed = sample_call("b", response={**told.response, "usage": None})

    facts = tallied([(told, "t1"), (guessed, "t1")]).facts()["t1"]

    assert facts.n_estimated == 1


def test_costs_kept_are_a_bounded_sample_that_is_the_same_each_time() -> None:
    calls = [(sample_call("a"), "t1")] * (SAMPLE_SIZE - 5)
    dear = load_prices({"gpt-4o-mini": {"input": 20, "output": 200}})

    def sample() -> tuple[float, ...]:
        tally = tallied(calls)
        tally._prices = dear
        for _ in range(500):
            tally.add(sample_call("a"), "t1")
        return tally.facts()["t1"].costs

    first = sample()
    assert len(first) == SAMPLE_SIZE
    assert first == sample()
    n_dear = sum(cost > 1.5 * CALL_USD for cost in first)
    assert 300 < n_dear < 500


def test_the_total_of_nothing_is_nothing() -> None:
    assert total_of([]) == CallFacts()


def test_a_part_without_times_does_not_hide_the_others_times() -> None:
    parts = [CallFacts(n_calls=1), CallFacts(n_calls=2, first_at="2026-01", last_at="2026-02")]

    total = total_of(parts)

    assert (total.n_calls, total.first_at, total.last_at) == (3, "2026-01", "2026-02")


@given(st.lists(st.tuples(st.sampled_from("ab"), st.booleans()), max_size=12))
def test_parts_add_up_to_the_whole(drawn: list[tuple[str, bool]]) -> None:
    calls = [of_model("unknown") if unknown else sample_call("a") for _, unknown in drawn]

    parts = tallied([(call, task) for call, (task, _) in zip(calls, drawn, strict=True)]).facts()
    whole = tallied([(call, "all") for call in calls]).facts().get("all", CallFacts())

    total = total_of(parts.values())
    assert (total.n_calls, total.n_tokens) == (whole.n_calls, whole.n_tokens)
    assert (total.n_unpriced, total.n_estimated) == (whole.n_unpriced, whole.n_estimated)
    assert total.cost_usd == pytest.approx(whole.cost_usd)


def test_the_models_asked_for_are_told_apart_from_those_that_answered() -> None:
    dated = sample_call("a")
    assert dated.response is not None
    answered = sample_call("a", response={**dated.response, "model": "gpt-4o-mini-2024-07-18"})
    unnamed = sample_call("b", request={"messages": []})

    facts = tallied([(answered, "t"), (unnamed, "t")]).facts()["t"]

    assert facts.asked == ("gpt-4o-mini",)
    assert facts.models[0] == "gpt-4o-mini-2024-07-18"
