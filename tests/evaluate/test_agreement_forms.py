from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from slimdown.evaluate.canonicalise import (
    canonical_argument,
    canonical_number,
    canonical_value,
    enum_paths,
    normalise_label,
    normalise_text,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@given(st.text())
def test_a_normal_label_is_its_own_form(text: str) -> None:
    assert normalise_label(normalise_label(text)) == normalise_label(text)


@given(st.text())
def test_normal_text_is_its_own_form(text: str) -> None:
    assert normalise_text(normalise_text(text)) == normalise_text(text)


@given(JSON)
def test_a_canonical_value_is_its_own_form(value: Any) -> None:
    once = canonical_value(value)

    assert repr(canonical_value(once)) == repr(once)


@given(st.text(min_size=1))
def test_only_an_empty_label_becomes_empty(text: str) -> None:
    assert bool(normalise_label(text)) == bool(text.strip())


@given(st.integers())
def test_an_integer_keeps_every_digit(value: int) -> None:
    assert canonical_number(value) == value


@given(st.integers(-(10**13), 10**13))
def test_an_amount_in_cents_keeps_its_cents(cents: int) -> None:
    assert canonical_number(cents / 100) != canonical_number((cents + 1) / 100)


@given(st.text())
def test_an_argument_s_text_is_exact(text: str) -> None:
    assert canonical_argument({"path": text}) == {"path": text}


def test_an_instant_beyond_the_calendar_stays_text() -> None:
    assert canonical_value("0001-01-01T00:00:00+14:00") == "0001-01-01T00:00:00+14:00"


def test_a_malformed_schema_names_no_enums() -> None:
    assert enum_paths({"properties": 7, "items": [1], "enum": "x"}) == frozenset()
