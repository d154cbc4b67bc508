"""Texts as units and pieces: nothing is lost, so whatever is found can be copied verbatim."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slimdown.encoder.pieces import CASES, Tokenizer, case_of, units_of
from slimdown.testing import tiny_encoder


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    folder = Path(tiny_encoder(tmp_path_factory.mktemp("pieces")))
    return Tokenizer((folder / "tokenizer.json").read_text("utf-8"), window=64)


@given(st.text())
def test_units_hold_all_but_blanks_and_stand_in_order(text: str) -> None:
    units = units_of(text)
    assert "".join(text[u.start : u.end] for u in units) == "".join(text.split())
    assert all(a.end <= b.start for a, b in pairwise(units))


def test_letters_digits_and_marks_part() -> None:
    text = "Order HAT-187b, 5pm_ok"
    spelled = [text[u.start : u.end] for u in units_of(text)]
    assert spelled == ["Order", "HAT", "-", "187", "b", ",", "5", "pm", "_", "ok"]


@given(st.text(min_size=1))
def test_every_unit_has_a_class_of_case(text: str) -> None:
    assert all(0 <= case_of(text[u.start : u.end]) < CASES for u in units_of(text))


@pytest.mark.parametrize(
    ("word", "case"), [("card", 0), ("Card", 1), ("A", 1), ("USB", 2), ("iPhone", 3), ("17", 4)]
)
def test_classes_of_case(word: str, case: int) -> None:
    assert case_of(word) == case


def test_each_piece_knows_its_unit_and_that_units_case(tokenizer: Tokenizer) -> None:
    (pieces,) = tokenizer.of_units(["My IBAN 12"])
    assert pieces.unit_of == (-1, 0, 0, 1, 1, 1, 1, 2, 2, -1)
    assert pieces.types == (0, 1, 1, 2, 2, 2, 2, 4, 4, 0)


def test_units_and_texts_agree_on_plain_words(tokenizer: Tokenizer) -> None:
    text = "where is my parcel ?"
    assert tokenizer.of_units([text])[0].ids == tokenizer.of_texts([text])[0].ids


def test_shortened_pieces_keep_the_closing_mark(tokenizer: Tokenizer) -> None:
    (pieces,) = tokenizer.of_texts(["abcdefgh"])
    short = pieces.shortened(4)
    assert short.ids == (*pieces.ids[:3], pieces.ids[-1])
    assert pieces.shortened(100) is pieces
