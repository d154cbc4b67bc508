from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slimdown.errors import UsageError
from slimdown.ledger import Price, load_prices, price_notes


def test_every_bundled_price_is_dated_and_sourced() -> None:
    for model, price in load_prices().table.items():
        assert date(2024, 1, 1) < date.fromisoformat(price.as_of), model
        assert price.source != "your settings"


def test_output_costs_more_than_input_and_cached_input_less() -> None:
    for model, price in load_prices().table.items():
        assert price.output > price.input > 0, model
        assert price.cached_input is None or price.cached_input < price.input, model


def test_an_unknown_model_has_no_price() -> None:
    assert load_prices().of("gpt-4o-2099-01-01") is None
    assert load_prices().of("") is None
    assert load_prices().of(None) is None


def test_a_dated_model_keeps_its_own_price() -> None:
    old, new = load_prices().of("gpt-4o-2024-05-13"), load_prices().of("gpt-4o-2024-08-06")
    assert old and new
    assert (old.input, new.input) == (5.0, 2.5)


def test_a_provider_prefix_is_read_over_but_another_seller_is_not() -> None:
    assert load_prices().of("openai/gpt-4o") == load_prices().of("gpt-4o")
    assert load_prices().of("azure/gpt-4o") is None


def test_the_users_price_stands_above_the_bundled_one() -> None:
    prices = load_prices({"gpt-4o": {"input": 1, "output": 2}})
    assert prices.of("gpt-4o") == Price(input=1, output=2)
    assert prices.of("gpt-4o-mini") == load_prices().of("gpt-4o-mini")


@pytest.mark.parametrize(
    "told",
    [
        {"input": 1.0},
        {"input": 1.0, "output": 1.0, "ouput": 2.0},
        {"input": -1.0, "output": 1.0},
        {"input": float("nan"), "output": 1.0},
        {},
    ],
)
def test_a_bad_price_is_refused_with_the_models_name(told: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=r"prices\.my-model.*nothing was changed"):
        load_prices({"my-model": told})


@given(st.text())
def test_any_name_may_be_looked_up(name: str) -> None:
    price = load_prices().of(name)
    assert price is None or price.input > 0


def test_a_price_is_told_with_its_date_and_source() -> None:
    prices = load_prices({"mine": {"input": 1, "output": 2}})
    notes = price_notes(prices, ["mine", "gpt-4o", "unknown", "gpt-4o"])
    assert len(notes) == 2
    assert "2.5 (1.25 cached) USD per million input tokens" in notes[0]
    assert "as of 2026-05-27, from OpenAI" in notes[0]
    assert notes[1].endswith("from your settings.")
