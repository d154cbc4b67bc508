import pytest

from slimdown.cluster.shapes import action_names, actions_of, are_labels, kind_of, outlines
from slimdown.types import Answer


def texts(*values: str) -> list[Answer]:
    return [Answer("text", value) for value in values]


def tool(name: str) -> Answer:
    return Answer("tool", [{"name": name, "arguments": {}}])


LABELS = texts(*(["late"] * 6), *(["lost"] * 5), "refund me")


def test_recurring_short_answers_are_labels() -> None:
    assert kind_of(LABELS) == "label"


def test_answers_that_are_all_different_are_text() -> None:
    assert kind_of(texts(*(f"parcel {n} is late" for n in range(20)))) == "text"


def test_one_answer_over_and_over_is_no_closed_set() -> None:
    assert not are_labels(["ok"] * 20)


def test_a_long_answer_is_no_label_however_often_it_recurs() -> None:
    assert not are_labels(
        ["a sentence that is much too long to be the name of a label"] * 9 + ["a"]
    )


def test_an_agent_that_mostly_replies_is_still_a_tool_task() -> None:
    assert (
        kind_of([*texts(*(f"reply {n}" for n in range(8))), tool("find"), tool("find")]) == "tool"
    )


def test_objects_are_json_although_some_answers_are_not() -> None:
    assert kind_of([Answer("json", {"a": 1})] * 5 + texts("sorry")) == "json"


def test_actions_come_by_frequency() -> None:
    found = actions_of([tool("find"), tool("find"), Answer("json", {"date": 1})])

    assert found == ("tool:find", "json:date")


@pytest.mark.parametrize(
    ("answer", "names"),
    [
        (Answer("json", [1]), ("json:[]",)),
        (Answer("text", "yes"), ("label:yes",)),
        (Answer("text", "a\nb"), ("text",)),
    ],
)
def test_an_action_has_a_name(answer: Answer, names: tuple[str, ...]) -> None:
    assert action_names(answer) == names


def test_objects_with_linked_keys_have_one_outline() -> None:
    objects = [{"date": 1}, {"date": 1, "time": 2}, {"time": 2, "people": 3}, {"colour": 4}]

    found = outlines([Answer("json", o) for o in objects])

    assert len(set(found[:3])) == 1
    assert found[3] != found[0]


def test_outlines_tell_labels_short_and_long_text_and_tools_apart() -> None:
    answers = [*LABELS, *texts("word " * 200), tool("find"), Answer("json", [])]

    assert set(outlines(answers)) == {"label", "short text", "long text", "tool find", "json list"}


def test_an_empty_object_is_of_the_family_around_it() -> None:
    found = outlines([Answer("json", o) for o in ({"date": 1}, {}, {"date": 2, "time": 3})])

    assert len(set(found)) == 1
    assert outlines([Answer("json", {})]) == ["json "]
