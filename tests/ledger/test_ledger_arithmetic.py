"""Costs and savings worked out by hand, and the edges where a formula could break."""

import math
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slimdown.errors import UsageError
from slimdown.ledger import (
    Coverage,
    Saving,
    SpecialistUse,
    Usage,
    cost_of,
    load_prices,
    price_notes,
    saving_of,
    total_saving,
    usage_of,
)
from slimdown.ledger.saving import coverage_interval, mean_interval
from slimdown.testing import sample_call
from slimdown.types import Call

PRICES = load_prices(
    {
        "full": {"input": 2, "output": 8, "cached_input": 0.5, "reasoning": 4},
        "plain": {"input": 2, "output": 8},
        "free": {"input": 0, "output": 0},
    }
)
MILLION = 1_000_000


def call(model: str, *, cached: Any = None, reasoning: Any = None, **usage: Any) -> Call:
    told = {
        **usage,
        "prompt_tokens_details": {"cached_tokens": cached},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }
    response = {**(sample_call().response or {}), "model": model, "usage": told}
    return sample_call(response=response)


def usd(made: Call) -> float:
    cost = cost_of(made, PRICES)
    assert cost is not None
    return cost.usd


def use(**changed: Any) -> SpecialistUse:
    """Return a specialist of one CPU second an answer, at a dollar an answer."""
    told = {"cpu_seconds": (1.0,), "training_cpu_seconds": 100.0, "usd_per_cpu_hour": 3600.0}
    return SpecialistUse(**{**told, "shadow_share": 0.0, **changed})


@pytest.mark.parametrize(
    ("model", "cached", "reasoning", "dollars"),
    [
        ("full", None, None, 2 + 8),
        ("full", MILLION, None, 0.5 + 8),
        ("full", MILLION // 2, None, 1.25 + 8),
        ("full", None, MILLION, 2 + 4),
        ("full", MILLION, MILLION, 0.5 + 4),
        ("full", 9 * MILLION, 9 * MILLION, 0.5 + 4),
        ("full", -1, -1, 2 + 8),
        ("full", "many", True, 2 + 8),
        ("plain", MILLION, MILLION, 2 + 8),
        ("free", MILLION, MILLION, 0),
    ],
)
def test_a_million_tokens_of_each_kind_cost_their_price(
    model: str, cached: Any, reasoning: Any, dollars: float
) -> None:
    made = call(
        model, prompt_tokens=MILLION, completion_tokens=MILLION, cached=cached, reasoning=reasoning
    )

    assert usd(made) == pytest.approx(dollars)


def test_only_a_cached_price_that_was_guessed_makes_a_cost_an_estimate() -> None:
    told = {"prompt_tokens": 10, "completion_tokens": 10}

    sure = [cost_of(call(m, cached=c, **told), PRICES) for m, c in (("full", 5), ("plain", 0))]
    unsure = cost_of(call("plain", cached=5, reasoning=5, **told), PRICES)

    assert [cost.estimated for cost in sure if cost] == [False, False]
    assert unsure is not None and unsure.estimated


def test_a_free_model_costs_nothing_and_is_not_unknown() -> None:
    cost = cost_of(call("free", prompt_tokens=7, completion_tokens=3), PRICES)

    assert cost is not None
    assert (cost.usd, cost.model, cost.estimated) == (0.0, "free", False)
    assert cost.usage == Usage(input=7, output=3)


def test_a_model_whose_answer_names_no_priced_one_is_charged_as_it_was_asked() -> None:
    cost = cost_of(call("gateway-alias", prompt_tokens=MILLION, completion_tokens=0), PRICES)

    assert cost is not None
    assert cost.model == "gpt-4o-mini"
    assert cost.as_of == "2026-05-27"


@pytest.mark.parametrize("model", [None, 7, ["gpt-4o"], "", "GPT-4O", "gpt-4o ", "nobody"])
def test_a_model_that_no_price_is_known_of_costs_an_unknown_amount(model: Any) -> None:
    made = sample_call(request={"model": model, "messages": []}, response={"model": model})

    assert cost_of(made, PRICES) is None


@pytest.mark.parametrize("count", [-1, 1.5, "12", None, True, 10**400, 2**53 + 1])
def test_a_count_of_tokens_that_cannot_be_is_estimated_instead(count: Any) -> None:
    usage = usage_of(call("full", prompt_tokens=count, completion_tokens=1))

    assert usage.estimated
    assert 0 < usage.input < 100
    assert usd(call("full", prompt_tokens=count, completion_tokens=1)) < 0.01


def test_tokens_told_as_none_are_none_at_all() -> None:
    usage = usage_of(call("full", prompt_tokens=0, completion_tokens=0, cached=5, reasoning=5))

    assert usage == Usage(input=0, output=0)


def test_an_estimate_counts_tools_and_messages_but_no_settings() -> None:
    request = {"messages": [{"content": "m" * 40}], "tools": [{"name": "t" * 20}], "user": "u" * 99}

    usage = usage_of(sample_call(request=request, response={"choices": [{"text": "c" * 8}]}))

    assert usage == Usage(input=15, output=2, estimated=True)


def test_the_user_s_own_price_of_zero_is_told_as_such() -> None:
    assert price_notes(PRICES, ["free"]) == (
        "free: 0 USD per million input tokens, 0 per million output tokens, from your settings.",
    )


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"input": 1.0}, "prices.x: missing output; nothing was changed."),
        ({"output": 1.0}, "prices.x: missing input; nothing was changed."),
        ({"input": 1.0, "output": math.inf}, "prices.x: not a price: output; nothing was changed."),
        ({"input": 1.0, "output": 1.0, "batch": 0.5}, "prices.x: unknown batch; nothing was"),
    ],
)
def test_a_bad_price_says_which_entry_and_what_to_give(told: dict[str, float], words: str) -> None:
    with pytest.raises(UsageError) as raised:
        load_prices({"x": told})

    assert str(raised.value).startswith(words)
    assert "Give input and output" in str(raised.value)


def test_a_saving_is_worked_out_as_by_hand() -> None:
    """Half of the calls at 10 dollars are spared, a fifth of them asked anyway; drafts cost 1."""
    saving = saving_of(
        (10.0, 10.0), Coverage(5, 10), use(shadow_share=0.2, overhead_usd=0.5), calls_per_day=10.0
    )

    assert saving.usd_per_call == pytest.approx(0.5 * 0.8 * 10 - 1 - 0.5)
    assert saving.share == pytest.approx(0.25)
    assert saving.upstream_usd_per_call == 10.0
    assert saving.specialist_usd_per_call == pytest.approx(1.5)
    assert saving.training_usd == pytest.approx(100.0)
    assert saving.usd_per_month == pytest.approx(2.5 * 10 * 30.4375)
    assert saving.break_even_calls == pytest.approx(40.0)
    assert saving.payback_days == pytest.approx(4.0)


def test_ends_put_the_worst_of_coverage_and_cost_together() -> None:
    """Constant costs leave the interval to coverage alone."""
    saving = saving_of((10.0,) * 3, Coverage(9, 10), use())

    _, low, high = coverage_interval(Coverage(9, 10))
    assert saving.usd_per_call_low == pytest.approx(low * 10 - 1)
    assert saving.usd_per_call_high == pytest.approx(high * 10 - 1)


@pytest.mark.parametrize(("served", "low", "high"), [(0, 0.0, 0.3804), (10, 0.6196, 1.0)])
def test_all_or_none_served_of_ten_leave_one_end_open(served: int, low: float, high: float) -> None:
    """The open end is 1 - (0.05 / 6) ** (1 / 10)."""
    assert coverage_interval(Coverage(served, 10)) == pytest.approx(
        (served / 10, low, high), abs=1e-4
    )


def test_an_upstream_that_costs_nothing_can_only_lose() -> None:
    saving = saving_of((0.0, 0.0), Coverage(10, 10), use(), calls_per_day=5.0)

    assert (saving.usd_per_call, saving.break_even_calls, saving.payback_days) == (-1.0, None, None)
    assert saving.verdict == "not worth it"
    assert math.isfinite(saving.share)


def test_a_specialist_that_costs_nothing_saves_what_it_serves() -> None:
    saving = saving_of((4.0,), Coverage(10, 10), use(usd_per_cpu_hour=0.0), calls_per_day=1.0)

    assert (saving.usd_per_call, saving.share, saving.training_usd) == (4.0, 1.0, 0.0)
    assert (saving.break_even_calls, saving.payback_days) == (0.0, 0.0)
    assert saving.verdict == "worth it"


@pytest.mark.parametrize("shadow", [0.0, 0.5, 1.0])
def test_calls_that_the_upstream_answers_too_are_not_saved(shadow: float) -> None:
    free = use(usd_per_cpu_hour=0.0, shadow_share=shadow)

    assert saving_of((4.0,), Coverage(10, 10), free).usd_per_call == 4.0 * (1 - shadow)


def test_a_saving_without_a_measured_answer_says_what_to_run() -> None:
    with pytest.raises(UsageError, match="run the evaluation first"):
        saving_of((1.0,), Coverage(1, 2), use(cpu_seconds=()))


def test_a_total_weighs_tasks_by_their_calls_and_their_cost() -> None:
    """Task one: 60 calls at 10 dollars, save 4 each. Task two: 20 at 1 dollar, lose 1 each."""
    cheap, dear = use(usd_per_cpu_hour=0.0), use()
    one = saving_of((10.0,), Coverage(4, 10), cheap)
    two = saving_of((1.0,), Coverage(0, 10), dear)

    total = total_saving([(one, 60), (two, 20)], n_calls=100, upstream_usd=1000.0)

    assert total is not None
    assert total.usd_per_call == pytest.approx((60 * 4 - 20) / 100)
    assert total.share == pytest.approx((60 * 4 - 20) / 1000)
    assert total.upstream_usd_per_call == 10.0
    assert total.specialist_usd_per_call == pytest.approx(0.2)
    assert total.training_usd == pytest.approx(100.0)


@settings(max_examples=10, deadline=None)
@given(st.floats(0.01, 100), st.integers(1, 40), st.floats(0.001, 1000))
def test_a_saving_s_share_does_not_depend_on_the_currency(
    cost: float, served: int, rate: float
) -> None:
    def saving(scale: float) -> Saving:
        usage = use(usd_per_cpu_hour=36.0 * scale, overhead_usd=0.001 * scale)
        return saving_of((cost * scale, 2 * cost * scale), Coverage(served, 40), usage)

    one, other = saving(1.0), saving(rate)

    assert other.share == pytest.approx(one.share)
    assert other.usd_per_call == pytest.approx(one.usd_per_call * rate)
    assert other.usd_per_call_low == pytest.approx(one.usd_per_call_low * rate)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=20), st.integers(0, 9))
def test_an_interval_of_a_mean_lies_within_the_sample(values: list[float], seed: int) -> None:
    mean, low, high = mean_interval(values, seed)

    slack = 1e-9 * max(values)
    assert min(values) - slack <= low <= high <= max(values) + slack
    assert min(values) - slack <= mean <= max(values) + slack


def test_a_saving_survives_json() -> None:
    saving = saving_of((0.1, 0.3), Coverage(7, 9), use(), assumptions=("as told",))

    assert msgspec.json.decode(msgspec.json.encode(saving), type=Saving) == saving
    assert saving.assumptions[0] == "as told"
