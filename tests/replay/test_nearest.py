"""The nearest text shares most words, within its group."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from slimdown.replay.nearest import NearestText

GROUP, OTHER = b"group", b"other"
WORD_LISTS = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=6)


def filled(*texts: str) -> NearestText:
    nearest = NearestText()
    for number, text in enumerate(texts):
        nearest.add(GROUP, text, number * 10)
    return nearest


def test_most_shared_words_win() -> None:
    nearest = filled("where is my parcel", "cancel my order", "open a new account")

    assert nearest.find(GROUP, "Cancel that order, please!") == 10


def test_a_short_text_is_nearer_than_a_long_one_that_has_its_words_too() -> None:
    nearest = filled("cancel my order and then tell me where the other parcel is", "cancel order")

    assert nearest.find(GROUP, "cancel order") == 10


def test_the_first_of_equals_is_found() -> None:
    nearest = filled("same words", "same words")

    assert nearest.find(GROUP, "same") == 0


def test_a_text_without_a_shared_word_still_finds_one_of_its_group() -> None:
    assert filled("one", "two").find(GROUP, "") == 0


def test_another_group_holds_nothing_for_it() -> None:
    assert filled("one").find(OTHER, "one") is None


@example([["a"], ["a", "b", "c", "d"]], ["a", "b"])
@given(st.lists(WORD_LISTS, min_size=1, max_size=8), WORD_LISTS)
def test_it_is_the_text_with_the_largest_dice_overlap(
    texts: list[list[str]], asked: list[str]
) -> None:
    nearest = filled(*(" ".join(words) for words in texts))

    found = nearest.find(GROUP, " ".join(asked))

    overlaps = [2 * len({*w} & {*asked}) / (len({*w}) + len({*asked})) for w in texts]
    assert found == 10 * overlaps.index(max(overlaps))
