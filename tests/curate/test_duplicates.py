import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slimdown.curate.duplicates import (
    LONG_WORDS,
    N_HASHES,
    SHINGLE_WORDS,
    group_ids,
    signature,
    similarity,
    words_of,
)

VOCABULARY = [f"w{i}" for i in range(2_000)]
TEXTS = st.lists(st.text(max_size=40), max_size=20)


def essay(seed: int, n_words: int = 200) -> list[str]:
    return random.Random(seed).choices(VOCABULARY, k=n_words)


def grouped(*texts: str) -> list[int]:
    ids = group_ids(texts)
    return [ids.index(group) for group in ids]


def test_case_blanks_and_punctuation_do_not_make_an_input_new() -> None:
    assert grouped("Where is my card?", "where is  my card", "WHERE IS MY CARD!") == [0, 0, 0]


def test_short_questions_that_differ_in_a_word_are_apart() -> None:
    assert grouped("how do I activate my card", "how do I deactivate my card") == [0, 1]


def test_long_texts_that_differ_in_a_word_are_together() -> None:
    words = essay(1)

    assert grouped(" ".join(words), " ".join([*words[:-1], "changed"])) == [0, 0]


def test_long_texts_about_other_things_are_apart() -> None:
    assert grouped(*(" ".join(essay(seed)) for seed in range(20))) == list(range(20))


def test_a_text_of_half_the_shingles_is_apart() -> None:
    words = essay(2)

    assert grouped(" ".join(words), " ".join(words[:100] + essay(3, 100))) == [0, 1]


def test_groups_are_transitive() -> None:
    words = essay(4, 300)
    drifting = [" ".join(words[i : i + 250]) for i in range(0, 50, 5)]

    assert set(grouped(*drifting)) == {0}


def test_texts_without_words_are_told_apart() -> None:
    assert grouped("?", "!", " ? ", "\U0001f600", "") == [0, 1, 0, 3, 4]


def test_scripts_without_blanks_have_a_word_per_character() -> None:
    assert words_of("\u6211\u8981\u9000\u6b3e ok") == ["\u6211", "\u8981", "\u9000", "\u6b3e", "ok"]


def test_nothing_has_no_groups() -> None:
    assert group_ids([]) == []


@pytest.mark.parametrize("n_changed", [10, 30, 100])
def test_signatures_estimate_the_overlap_of_shingles(n_changed: int) -> None:
    words = essay(5, 400)
    other = words[:-n_changed] + essay(6, n_changed)
    left, right = (
        {tuple(w[i : i + SHINGLE_WORDS]) for i in range(len(w) - SHINGLE_WORDS + 1)}
        for w in (words, other)
    )
    jaccard = len(left & right) / len(left | right)

    error = similarity(signature(words), signature(other)) - jaccard

    assert abs(error) < 4 * np.sqrt(jaccard * (1 - jaccard) / N_HASHES)


def test_a_very_long_text_is_hashed_in_blocks() -> None:
    words = essay(7, 30_000)

    assert similarity(signature(words), signature([*words, "end"])) > 0.9


@settings(max_examples=30)
@given(TEXTS, st.randoms(use_true_random=False))
def test_groups_do_not_depend_on_the_order(texts: list[str], rng: random.Random) -> None:
    long = [" ".join([text, *essay(9, LONG_WORDS)]) for text in texts]
    both = [*texts, *long]
    order = rng.sample(range(len(both)), len(both))

    shuffled = group_ids([both[i] for i in order])

    assert [group_ids(both)[i] for i in order] == shuffled


@given(TEXTS)
def test_equal_texts_are_always_together(texts: list[str]) -> None:
    ids = group_ids([*texts, *texts])

    assert ids[: len(texts)] == ids[len(texts) :]
