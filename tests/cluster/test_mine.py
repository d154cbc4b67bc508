from hypothesis import given
from hypothesis import strategies as st

from slimdown.cluster.mine import Seen, common_prefix, common_suffix, masked, mine

FIRST = ("Ada", "Bob", "Cem", "Dia", "Eve")
NAMES = [f"{first} {last}" for first in FIRST for last in ("Li", "Ray")]
CUSTOMERS = [f"You answer the letters of our customer {name} in a kind voice." for name in NAMES]
FIELDS = [
    "colour, size, sleeve length, collar and closing of the shirt as words",
    "flow rate, diameter, pressure class and thread of the valve in bars",
    "author, year, publisher, pages and language of the book as printed",
]


def seen(texts: list[str], n_calls: int = 20, n_openers: int = 20) -> list[Seen]:
    return [Seen(text, n_calls, n_openers) for text in texts]


def groups(texts: list[Seen], *, instructing: bool = True) -> list[list[int]]:
    return sorted(sorted(group) for group in mine(texts, instructing=instructing))


def test_customers_named_in_a_prompt_are_one_template() -> None:
    assert groups(seen(CUSTOMERS)) == [list(range(len(CUSTOMERS)))]


def test_variants_that_opened_few_conversations_are_values() -> None:
    texts = [f"Play a user of the airline in a test: {field}. Stop when done." for field in FIELDS]

    assert groups(seen(texts, n_calls=50, n_openers=1)) == [[0, 1, 2]]


def test_long_variants_of_many_conversations_are_operations() -> None:
    texts = [f"Extract as JSON from the title of a product these: {field}." for field in FIELDS]

    assert groups(seen(texts)) == [[0], [1], [2]]


def test_two_prompts_of_different_agents_part_at_once() -> None:
    mail = [f"Sort the mail of the day {d} into the five boxes we have." for d in range(20)]
    code = [f"Review the change {d} and say in one line what may break." for d in range(20)]

    assert groups(seen(mail + code, n_calls=1, n_openers=1)) == [
        list(range(20)),
        list(range(20, 40)),
    ]


def test_a_template_that_begins_with_what_varies_is_found_by_its_end() -> None:
    ends = [f"{name} has written to us; draft a short and kind reply to it." for name in NAMES]
    others = [f"{name}: one of a kind" for name in "vwxyz"]

    found = groups(seen(ends + others, n_calls=2, n_openers=2))

    assert list(range(len(ends))) in found


def test_dates_divide_nothing() -> None:
    texts = [
        f"Today is 2026-11-{day:02}. You sort the mail of a bank into boxes." for day in (1, 2)
    ]

    assert groups(seen(texts, n_calls=500, n_openers=500)) == [[0, 1]]


def test_templated_questions_inside_a_prompt_are_operations() -> None:
    stem = "Use the web interface of the library to answer the question below. Question: "
    asks = ["Which shelf holds the book", "Who has written the book", "Convert to its number"]
    texts = [f"{stem}{ask} {word}" for ask in asks for word in NAMES]

    found = groups(seen(texts, n_calls=3, n_openers=3), instructing=False)

    assert len(found) == 3


def test_what_people_happen_to_say_alike_is_no_template() -> None:
    said = [f"I would like to book a table for two in {name}" for name in NAMES]
    other = [f"{a} {b}" for a in NAMES for b in NAMES]

    found = groups(seen(said + other, n_calls=1, n_openers=1), instructing=False)

    assert found == [list(range(len(said) + len(other)))]


def test_a_text_that_ends_in_the_middle_of_others_hides_nothing() -> None:
    stem = "Hello. Your task is to answer the questions of a library about"
    texts = ["Hello", "Hello, you", *(f"{stem} {name}, please" for name in NAMES)]

    assert list(range(2, 12)) in groups(seen(texts))


def test_a_short_system_prompt_that_recurs_is_a_template() -> None:
    texts = [*seen(["Sort mail.", "Be kind."]), *seen(["Rare."], 1, 1)]

    assert groups(texts) == [[0], [1], [2]]
    assert groups(texts, instructing=False) == [[0, 1, 2]]


def test_a_transcript_resent_ever_longer_does_not_explode() -> None:
    turns = " ".join(
        f"turn {'x' * (i % 7 + 1)} said a good many words that day" for i in range(400)
    )
    words = turns.split()
    texts = [" ".join(words[:n]) for n in range(10, len(words), 9)]

    assert sum(map(len, groups(seen(texts), instructing=False))) == len(texts)


def test_a_prefix_ends_at_a_word() -> None:
    assert common_prefix(["order 12 now", "order 13 now"]) == "order "
    assert common_suffix(["a 12 now", "b 22 now"]) == " now"
    assert common_prefix(["same", "same"]) == "same"


def test_words_with_digits_are_masked_and_nothing_else() -> None:
    assert masked("ask ab12 on 2024-05-01, ok?\n7") == "ask 0 on 0 ok?\n0"


@given(st.lists(st.text(alphabet="ab 1\n", max_size=40), max_size=30, unique=True))
def test_every_text_is_in_exactly_one_group(texts: list[str]) -> None:
    for instructing in (True, False):
        found = [i for g in mine(seen(texts), instructing=instructing) for i in g]
        assert sorted(found) == list(range(len(texts)))


@given(st.lists(st.text(alphabet="ab \n", max_size=20), min_size=1, max_size=8))
def test_a_common_prefix_is_one(texts: list[str]) -> None:
    assert all(text.startswith(common_prefix(texts)) for text in texts)
    assert all(text.endswith(common_suffix(texts)) for text in texts)
