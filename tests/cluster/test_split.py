from collections.abc import Sequence
from string import ascii_lowercase

import msgspec

from slimdown.answer import answer_of
from slimdown.cluster.hashing import HashingEmbedder
from slimdown.cluster.split import Divided, divide
from slimdown.seams import Embedder
from slimdown.testing import sample_call
from slimdown.types import Call, Slot, Template

FIXED = Template((Slot("system", "You help.", constant=True),))
OPEN = Template(())
PLACES = ["Rome", "Oslo", "Lima", "Bonn", "Kyiv", "Cork", "Graz", "Nice", "Bern", "York"]


def cards(n: int = 60) -> list[Call]:
    intents = ("card lost", "card late", "card declined")
    return [
        sample_call(
            f"my {intents[i % 3]} near {PLACES[i % 10]} {i}", intents[i % 3], system="You help."
        )
        for i in range(n)
    ]


def summaries(n: int = 60) -> list[Call]:
    text = "Summarise the minutes: the council of {} met on day {} and voted the budget of roads."
    return [
        sample_call(
            text.format(PLACES[i % 10], i),
            f"The council of {PLACES[i % 10]} met, {i}.",
            system="You help.",
        )
        for i in range(n)
    ]


def divided(calls: Sequence[Call], template: Template, embedder: Embedder | None) -> Divided:
    answers = [answer for call in calls if (answer := answer_of(call)) is not None]
    return divide(calls, answers, template, embedder)


def test_two_operations_under_one_prompt_are_divided() -> None:
    found = divided([*cards(), *summaries()], FIXED, HashingEmbedder())

    assert len(found.parts) == 2
    assert all(len({i < 60 for i in part.members}) == 1 for part in found.parts)
    assert all(part.centroid and part.radius > 0 for part in found.parts)


def test_labels_do_not_shatter_a_classification() -> None:
    found = divided(cards(), FIXED, HashingEmbedder())

    assert [len(part.members) for part in found.parts] == [60]
    assert found.parts[0].centroid == ()


def test_actions_that_requests_do_not_tell_apart_stay_together() -> None:
    calls = [
        sample_call(
            f"what next in {PLACES[i % 10]}?",
            "go" if i // 10 % 2 else f"step {i} of it",
            system="You help.",
        )
        for i in range(80)
    ]

    assert len(divided(calls, FIXED, HashingEmbedder()).parts) == 1


def test_without_an_embedder_a_prompt_is_one_operation() -> None:
    found = divided([*cards(), *summaries()], FIXED, None)

    assert [len(part.members) for part in found.parts] == [120]


def test_without_prompt_or_embedder_nothing_is_known() -> None:
    found = divided(cards(), OPEN, None)

    assert found.parts == ()
    assert len(found.left) == 60
    assert "no embedder" in found.reason


def test_requests_without_a_prompt_need_content_in_common() -> None:
    found = divided(summaries(), OPEN, HashingEmbedder())

    assert len(found.parts) == 1
    assert found.parts[0].radius > 0


def test_requests_with_nothing_in_common_are_left() -> None:
    calls = [
        msgspec.structs.replace(
            sample_call(answer=f"answer {letter}"),
            request={"messages": [{"role": "user", "content": letter * 9}]},
        )
        for letter in ascii_lowercase
    ]

    found = divided(calls, OPEN, HashingEmbedder())

    assert found.parts == ()
    assert len(found.left) == 26


def test_no_call_is_lost() -> None:
    found = divided([*cards(), *summaries()], OPEN, HashingEmbedder())

    kept = [i for part in found.parts for i in part.members]
    assert sorted([*kept, *found.left]) == list(range(120))
