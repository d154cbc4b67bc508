"""Values read off spans: whatever is read was said."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slimdown.encoder.pieces import units_of
from slimdown.train.fields.readers import READERS, places, said


@pytest.mark.parametrize(
    ("reader", "words", "value"),
    [
        ("verbatim", "Cita Romántica", "Cita Romántica"),
        ("title", "new york", "New York"),
        ("capital", "MONDAY", "Monday"),
        ("joined_upper", "hat 187-b", "HAT187B"),
        ("snake", "Card Arrival", "card_arrival"),
        ("integer", "two", 2),
        ("integer", "1,500", 1500),
        ("integer", "2.5", None),
        ("integer", "007", None),
        ("integer", "$-5", None),
        ("integer", "-$5", -5),
        ("decimal", "$5", 5.0),
        ("decimal", "96.95 dollars", 96.95),
        ("decimal", "five or six", None),
        ("decimal", "9" * 40, None),
        ("digits", "seven", "7"),
        ("amount", "USD", None),
        ("amount", "12.5", "12.50"),
        ("date_month_first", "March 5, 2024", "2024-03-05"),
        ("date_month_first", "5th of mar 2024", "2024-03-05"),
        ("date_month_first", "03/05/2024", "2024-03-05"),
        ("date_day_first", "03/05/2024", "2024-05-03"),
        ("date_day_first", "2024-3-5", "2024-03-05"),
        ("date_day_first", "45/13/2024", None),
        ("date_day_first", "Foo 5, 2024", None),
        ("time", "7pm", "19:00"),
        ("time", "12 am", "00:00"),
        ("time", "18:30", "18:30"),
        ("time", "7", None),
        ("time", "25:10", None),
        ("time", "13 pm", None),
    ],
)
def test_a_reader_reads_what_it_should(reader: str, words: str, value: Any) -> None:
    assert READERS[reader](words) == value


@given(st.sampled_from(sorted(READERS)), st.text(max_size=20))
def test_no_text_breaks_a_reader(reader: str, words: str) -> None:
    READERS[reader](words)


@given(st.text(max_size=30), st.data())
def test_what_is_found_reads_as_the_value(text: str, data: st.DataObject) -> None:
    units = units_of(text)
    if not units:
        return
    start = data.draw(st.integers(0, len(units) - 1))
    end = data.draw(st.integers(start + 1, len(units)))
    value = said(text, units, (start, end))
    for reader, spans in places(text, units, value).items():
        assert all(READERS[reader](said(text, units, span)) == value for span in spans)


@given(st.lists(st.sampled_from(["add", "Blue", "note", "42", "to", "my", "list"]), min_size=1))
def test_a_run_of_words_is_found_where_it_stands(words: list[str]) -> None:
    text = " ".join(words)
    assert (0, len(words)) in places(text, units_of(text), text)["verbatim"]


def test_each_occurrence_is_found_and_none_overlap() -> None:
    text = "my list, my own list"
    assert places(text, units_of(text), "my")["verbatim"] == [(0, 1), (3, 4)]


def test_part_of_a_word_is_not_a_place() -> None:
    assert places("mystery", units_of("mystery"), "my") == {}


def test_the_widest_reading_of_a_number_wins() -> None:
    text = "I paid $1,500.00 for it"
    assert places(text, units_of(text), 1500.0)["decimal"] == [(2, 8)]


def test_marks_at_the_ends_belong_where_the_value_has_them() -> None:
    text = "Ask Dr. Who about #SO-12."
    units = units_of(text)
    assert said(text, units, places(text, units, "Dr.")["verbatim"][0]) == "Dr."
    assert said(text, units, places(text, units, "#SO-12")["verbatim"][0]) == "#SO-12"


def test_a_value_of_marks_alone_is_never_copied() -> None:
    assert places("what ?", units_of("what ?"), "?") == {}
    assert places("what ?", units_of("what ?"), "") == {}
