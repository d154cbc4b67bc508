from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slimdown.demo.language import choose, fill, misspell, write_down

_WORDS = st.lists(st.text(alphabet="abcdefgh", min_size=1, max_size=9), min_size=1, max_size=8)


def test_a_choice_yields_one_of_its_branches() -> None:
    seen = {choose("(a|b) c", Random(seed)) for seed in range(40)}
    assert seen == {"a c", "b c"}


def test_choices_nest() -> None:
    seen = {choose("(x|(y|z)!)", Random(seed)) for seed in range(60)}
    assert seen == {"x", "y!", "z!"}


def test_a_fact_without_a_value_is_an_error() -> None:
    assert fill("order {order}", {"order": "SO-1"}) == "order SO-1"
    with pytest.raises(KeyError):
        fill("order {order}", {})


@given(_WORDS, st.integers(0, 9))
def test_misspelling_keeps_the_number_of_words_and_all_short_ones(
    words: list[str], seed: int
) -> None:
    written = misspell(" ".join(words), 1.0, Random(seed)).split(" ")
    assert len(written) == len(words)
    assert all(a == b for a, b in zip(words, written, strict=True) if len(a) < 5)


def test_facts_are_never_misspelt() -> None:
    assert misspell("{product} {order}", 1.0, Random(1)) == "{product} {order}"


@given(_WORDS, st.integers(0, 50))
def test_every_sentence_is_written_down(sentences: list[str], seed: int) -> None:
    text = write_down(sentences, Random(seed)).lower()
    assert all(sentence in text for sentence in sentences)
