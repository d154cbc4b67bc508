from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from slimdown.answer import answer_message, answer_of, finish_reason, message_text, parse_json
from slimdown.testing import sample_call
from slimdown.types import Answer, Call, JsonObject

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def answered(**message: Any) -> Call:
    response = {"choices": [{"message": message, "finish_reason": "stop"}]}
    return sample_call(response=response)


def called(name: str, arguments: Any) -> JsonObject:
    return {"id": "x", "type": "function", "function": {"name": name, "arguments": arguments}}


def test_text_is_stripped() -> None:
    assert answer_of(answered(content="  refund\n")) == Answer("text", "refund")


def test_text_that_holds_an_object_is_json() -> None:
    assert answer_of(answered(content='{"a": 1}')) == Answer("json", {"a": 1})


def test_json_inside_a_fence_is_json() -> None:
    assert answer_of(answered(content="```json\n[1, 2]\n```")) == Answer("json", [1, 2])


def test_a_bare_number_or_string_stays_text() -> None:
    assert answer_of(answered(content="42")) == Answer("text", "42")
    assert answer_of(answered(content='"yes"')) == Answer("text", '"yes"')


def test_tool_calls_win_over_words_beside_them() -> None:
    call = answered(content="one moment", tool_calls=[called("look", '{"id": 7}')])

    assert answer_of(call) == Answer("tool", [{"name": "look", "arguments": {"id": 7}}])


def test_the_old_function_call_is_a_tool_call() -> None:
    call = answered(content=None, function_call={"name": "look", "arguments": ""})

    assert answer_of(call) == Answer("tool", [{"name": "look", "arguments": {}}])


def test_arguments_that_are_no_json_are_kept_as_text() -> None:
    answer = answer_of(answered(tool_calls=[called("look", '{"id": ')]))

    assert answer == Answer("tool", [{"name": "look", "arguments": '{"id": '}])


def test_nothing_said_is_no_answer() -> None:
    assert answer_of(answered(content=" \n")) is None
    assert answer_of(answered(content=None)) is None
    assert answer_of(sample_call(response=None)) is None
    assert answer_of(sample_call(response={"choices": []})) is None


def test_text_parts_are_joined_and_others_left_out() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "image_url"}, {"type": "text", "text": "b"}]

    assert message_text({"content": parts}) == "a\nb"


def test_finish_reason_is_the_first_choice_s() -> None:
    assert finish_reason({"choices": [{"finish_reason": "length"}]}) == "length"
    assert finish_reason({"choices": [{}]}) is None
    assert finish_reason(None) is None


def test_deeply_nested_text_is_no_json() -> None:
    assert parse_json("[" * 100_000 + "]" * 100_000) is None


@given(ANYTHING)
def test_no_response_makes_it_stumble(anything: Any) -> None:
    for response in (anything, {"choices": anything}, {"choices": [{"message": anything}]}):
        if isinstance(response, dict):
            answer_of(sample_call(response=response))
            answer_message(response)


@given(ANYTHING)
def test_no_message_makes_it_stumble(anything: Any) -> None:
    for field in ("content", "tool_calls", "function_call"):
        answer_of(answered(**{field: anything}))
    answer_of(answered(tool_calls=[called("look", anything)]))
