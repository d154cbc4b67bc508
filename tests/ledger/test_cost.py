from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slimdown.ledger import Cost, cost_of, load_prices, usage_of
from slimdown.testing import sample_call
from slimdown.types import Call

_PRICES = load_prices(
    {
        "plain": {"input": 10, "output": 100},
        "rich": {"input": 10, "output": 100, "cached_input": 1, "reasoning": 50},
    }
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


def _call(usage: Any, model: str = "plain") -> Call:
    call = sample_call()
    return sample_call(response={**(call.response or {}), "model": model, "usage": usage})


def _cost(call: Call) -> Cost:
    cost = cost_of(call, _PRICES)
    assert cost is not None
    return cost


def test_input_and_output_have_their_own_prices() -> None:
    cost = _cost(_call({"prompt_tokens": 1000, "completion_tokens": 100}))
    assert cost.usd == pytest.approx(0.01 + 0.01)
    assert not cost.estimated


def test_cached_and_reasoning_tokens_have_their_own_prices() -> None:
    usage = {
        "prompt_tokens": 1000,
        "completion_tokens": 100,
        "prompt_tokens_details": {"cached_tokens": 400},
        "completion_tokens_details": {"reasoning_tokens": 60},
    }
    dear = 600 * 10 + 400 * 1 + 40 * 100 + 60 * 50
    assert _cost(_call(usage, "rich")).usd == pytest.approx(dear / 1e6)


def test_cached_tokens_without_a_price_count_in_full_and_as_estimated() -> None:
    details = {"prompt_tokens_details": {"cached_tokens": 400}}
    cost = _cost(_call({"prompt_tokens": 1000, "completion_tokens": 0, **details}))
    assert cost.usd == pytest.approx(0.01)
    assert cost.estimated


def test_an_unknown_model_costs_an_unknown_amount() -> None:
    assert cost_of(_call({}, "nobody"), load_prices({})) is not None, "the asked model is known"
    call = sample_call(request={"model": "nobody", "messages": []}, response={"model": "none"})
    assert cost_of(call) is None


def test_the_model_that_answered_counts_before_the_one_that_was_asked() -> None:
    assert _cost(_call({"prompt_tokens": 1, "completion_tokens": 1}, "rich")).model == "rich"


def test_missing_usage_is_estimated_from_length_and_says_so() -> None:
    call = sample_call("x" * 400, "y" * 40, system="s" * 400)
    call = sample_call(request=call.request, response={"choices": (call.response or {})["choices"]})
    usage = usage_of(call)
    assert usage.estimated
    assert 200 <= usage.input <= 210
    assert 10 <= usage.output <= 18


def test_a_call_that_failed_without_an_answer_costs_nothing() -> None:
    cost = cost_of(sample_call(response=None, error="500"))
    assert cost is not None
    assert (cost.usd, cost.estimated) == (0.0, True)


@given(_JSON)
def test_any_usage_yields_a_cost_that_is_not_negative(usage: Any) -> None:
    assert _cost(_call(usage)).usd >= 0


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(-5, 2 * 10**9))
def test_more_cached_tokens_than_input_are_not_believed(asked: int, said: int, cached: int) -> None:
    details = {"prompt_tokens_details": {"cached_tokens": cached}}
    usage = usage_of(_call({"prompt_tokens": asked, "completion_tokens": said, **details}))
    assert 0 <= usage.cached <= usage.input
