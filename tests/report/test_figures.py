import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slimdown.report.figures import (
    code,
    count,
    duration,
    percent,
    sentence,
    size,
    spoken,
    usd,
    when,
)


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.873, "87%"),
        (0.0165, "1.7%"),
        (0.02, "2%"),
        (1.0, "100%"),
        (0.0, "0%"),
        (-0.05, "\N{MINUS SIGN}5%"),
    ],
)
def test_a_share_is_written_as_per_cent(share: float, text: str) -> None:
    assert percent(share) == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [(1234.5, "$1,234"), (12.345, "$12.35"), (0.06, "$0.06"), (0.000153, "$0.000153"), (0, "$0")],
)
def test_an_amount_is_written_with_the_digits_that_matter(amount: float, text: str) -> None:
    assert usd(amount) == text


def test_a_loss_keeps_its_sign() -> None:
    assert usd(-2.5) == "\N{MINUS SIGN}$2.50"
    assert count(-1200) == "\N{MINUS SIGN}1,200"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0019, "1.9 ms"), (4.2, "4.2 s"), (90, "1.5 min"), (7200, "2.0 h"), (0, "0 s")],
)
def test_a_duration_is_written_in_the_unit_that_suits_it(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_what_is_not_known_is_a_dash(value: float | None) -> None:
    assert {percent(value), count(value), usd(value), duration(value)} == {"\N{EN DASH}"}


def test_sizes_times_and_codes_are_written_in_words() -> None:
    assert size(1_840_000) == "1.8 MB"
    assert when("2026-11-20T10:15:00.000Z") == "2026-11-20 10:15 UTC"
    assert when("<b>yesterday") == "<b>yesterday"
    assert code("disagrees_too_often") == "disagrees too often"
    assert code("brand_new_code") == "brand new code"


def test_a_long_text_is_clipped_and_says_by_how_much() -> None:
    assert spoken("x" * 1010, 10) == "x" * 10 + "… (1,000 more characters)"


def test_an_object_is_written_as_json_with_sorted_keys() -> None:
    assert spoken({"b": None, "a": [1, "é"]}) == '{"a":[1,"é"],"b":null}'


def test_text_that_would_hide_or_turn_around_is_shown_by_name() -> None:
    shown = spoken("a\x00b\u202ec\ud800d\ufeff")
    assert "right-to-left override" in shown
    assert "u+0000" in shown
    shown.encode("utf-8")


@given(st.text(st.characters(codec=None), max_size=80))
def test_any_text_can_be_written_in_utf_8(text: str) -> None:
    spoken(text).encode("utf-8")


@given(st.floats())
def test_any_number_can_be_written(value: float) -> None:
    assert all((percent(value), count(value), usd(value), duration(value)))


def test_a_reason_is_written_as_a_sentence() -> None:
    assert sentence("a test would fail") == "A test would fail."
    assert sentence("It stopped!") == "It stopped!"
