"""What a specialist says is served only if it is finished, allowed, short enough and grounded."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from releases import release, request

from slimdown.route import unfit
from slimdown.testing import completion
from slimdown.types import JsonObject, Release

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "mood": {"enum": ["calm", "angry"]}},
    "required": ["city"],
}
WANTED = {"type": "json_schema", "json_schema": {"name": "a", "strict": True, "schema": SCHEMA}}
TOOL = {"type": "function", "function": {"name": "search", "parameters": SCHEMA}}


def judged(kind: Any, said: JsonObject, text: str = "a flat in Rome?", **more: Any) -> str | None:
    known: Release = release(kind)
    return unfit(request(text, **more), known, said)


def as_json(value: Any) -> JsonObject:
    return completion(msgspec.json.encode(value).decode())


def called(name: str = "search", arguments: str = '{"city": "Rome"}') -> JsonObject:
    return completion(None, [(name, arguments)])


def test_a_known_label_is_fit() -> None:
    assert judged("label", completion("refund")) is None


def test_a_label_that_nobody_ever_gave_is_not() -> None:
    assert judged("label", completion("resignation")) == "ungrounded"


@pytest.mark.parametrize("finish", ["length", "content_filter", None, "function_call"])
def test_an_answer_that_was_not_finished_is_not_fit(finish: str | None) -> None:
    said = completion("refund")
    said["choices"][0]["finish_reason"] = finish

    assert judged("label", said) == "unfinished"


@pytest.mark.parametrize("text", [None, "", "  \n"])
def test_an_empty_answer_is_not_fit(text: str | None) -> None:
    assert judged("label", completion(text)) == "empty"


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("label", called()),
        ("text", called()),
        ("json", completion("Rome")),
        ("json", called()),
        ("tool", completion('{"city": "Rome"}')),
    ],
)
def test_an_answer_of_another_kind_than_the_tasks_is_not_fit(kind: str, said: JsonObject) -> None:
    assert judged(kind, said, tools=[TOOL]) == "other_kind"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"city": "Rome"}, None),
        ({"city": "Rome", "mood": "calm"}, None),
        ({"city": "Rome", "mood": "hungry"}, "contract"),
        ({"mood": "calm"}, "contract"),
        (["Rome"], "contract"),
        ({"city": "Paris"}, "ungrounded"),
        ({"city": "refund"}, None),
    ],
)
def test_json_must_keep_its_schema_and_say_what_was_said(value: Any, reason: str | None) -> None:
    assert judged("json", as_json(value), response_format=WANTED) == reason


@pytest.mark.parametrize(
    ("said", "parameters", "reason"),
    [
        (called(), {"tools": [TOOL]}, None),
        (called(), {}, "contract"),
        (called("drop"), {"tools": [TOOL]}, "contract"),
        (called(arguments="Rome"), {"tools": [TOOL]}, "contract"),
        (called(arguments='{"mood": "calm"}'), {"tools": [TOOL]}, "contract"),
        (called(arguments='{"city": "Paris"}'), {"tools": [TOOL]}, "ungrounded"),
        (called(), {"tools": [TOOL], "tool_choice": "none"}, "contract"),
        (completion("refund"), {"tools": [TOOL]}, None),
        (completion("refund"), {"tools": [TOOL], "tool_choice": "required"}, "contract"),
        (completion("I would not know."), {"tools": [TOOL]}, "ungrounded"),
    ],
)
def test_tools_must_be_declared_and_called_as_declared(
    said: JsonObject, parameters: JsonObject, reason: str | None
) -> None:
    assert judged("tool", said, **parameters) == reason


def test_several_calls_where_one_is_allowed_are_not_fit() -> None:
    twice = completion(None, [("search", '{"city": "Rome"}')] * 2)

    assert judged("tool", twice, tools=[TOOL]) is None
    assert judged("tool", twice, tools=[TOOL], parallel_tool_calls=False) == "contract"


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_an_answer_longer_than_the_caller_allows_is_not_fit(name: str) -> None:
    enough, too_few = {**request(), name: 2}, {**request(), name: 1}

    assert unfit(enough, release(), completion("delivery")) is None
    assert unfit(too_few, release(), completion("delivery")) == "too_long"


def test_free_text_need_not_repeat_the_request() -> None:
    assert judged("text", completion("It depends.")) is None


def test_the_reason_holds_nothing_of_the_payload() -> None:
    secret = {"city": "Rome", "mood": "PAYLOAD"}

    assert judged("json", as_json(secret), "PAYLOAD in Rome", response_format=WANTED) == "contract"


@given(
    st.sampled_from(["label", "json", "tool", "text"]),
    st.dictionaries(st.sampled_from([*request(), "tools", "max_tokens"]), JSON),
    JSON,
)
def test_no_answer_makes_checking_fail(kind: Any, odd: JsonObject, said: Any) -> None:
    answers = [completion("a"), called(), as_json(said)]
    answers[0]["choices"][0]["message"] = said
    answers[1]["choices"][0]["message"]["tool_calls"][0]["function"] = said

    for each in (*answers, {"choices": said}):
        unfit({**request(), **odd}, release(kind), each)
