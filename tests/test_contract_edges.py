"""Contracts and answers at their borders: no verdict is no violation, and no value is told."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slimdown.answer import answer_message, answer_of, finish_reason, message_text, parse_json
from slimdown.canonical import canonical_json
from slimdown.contract import (
    MAX_SCHEMA_BYTES,
    MAX_SCHEMA_DEPTH,
    Contract,
    breach,
    contract_of,
    schema_breach,
    violation,
)
from slimdown.testing import sample_call
from slimdown.types import Answer, JsonObject

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


def nested(depth: int) -> JsonObject:
    schema: JsonObject = {"type": "integer"}
    for _ in range(depth):
        schema = {"items": schema}
    return schema


def answered(content: Any, **message: Any) -> Answer | None:
    return answer_of(
        sample_call(response={"choices": [{"message": {"content": content, **message}}]})
    )


@pytest.mark.parametrize("depth", [MAX_SCHEMA_DEPTH, 900, 5000])
def test_a_schema_of_any_depth_beyond_the_bound_gives_no_verdict(depth: int) -> None:
    assert schema_breach(nested(depth), ["x"]) is None


def test_a_schema_just_inside_the_bound_gives_one() -> None:
    value: Any = "x"
    for _ in range(MAX_SCHEMA_DEPTH - 1):
        value = [value]

    assert schema_breach(nested(MAX_SCHEMA_DEPTH - 1), value) == "the object breaks `type`"


def test_a_schema_that_is_no_json_gives_no_verdict() -> None:
    assert schema_breach({"const": "\ud800"}, "x") is None


def test_a_schema_beyond_the_bound_of_size_gives_no_verdict() -> None:
    small = {"type": "object", "title": ""}
    room = MAX_SCHEMA_BYTES - len(canonical_json(small))

    assert schema_breach({**small, "title": "t" * room}, 7) == "the object breaks `type`"
    assert schema_breach({**small, "title": "t" * (room + 1)}, 7) is None


def test_a_costly_verdict_does_not_use_up_the_next_one_s_work() -> None:
    links = {str(i): {"allOf": [{"$ref": f"#/$defs/{i + 1}"}] * 2} for i in range(40)}
    endless = {"$defs": {**links, "40": {}}, "$ref": "#/$defs/0"}

    assert schema_breach(endless, {}) is None
    assert schema_breach({"type": "object"}, []) == "the object breaks `type`"


def test_a_breach_deep_inside_is_told_by_its_way_there() -> None:
    line = {"type": "object", "properties": {"price": {"type": "number"}}, "required": ["price"]}
    schema = {"properties": {"lines": {"type": "array", "items": line}}}

    assert schema_breach(schema, {"lines": [{"price": 1}, {}]}) == "lines lacks price"
    assert schema_breach(schema, {"lines": [{"price": "1"}]}) == "lines/price breaks `type`"


@given(
    st.dictionaries(st.text(min_size=4, max_size=8), st.text(min_size=4, max_size=8), min_size=1)
)
def test_no_value_of_an_answer_is_ever_told(value: dict[str, str]) -> None:
    schema = {"additionalProperties": {"type": "integer"}, "maxProperties": 0}

    words = schema_breach(schema, value)

    assert words in ("the object breaks `type`", "the object breaks `maxProperties`")


@pytest.mark.parametrize("wanted", [None, 7, "json", [], {}, {"type": "text"}, {"type": 7}])
def test_a_malformed_format_demands_nothing(wanted: Any) -> None:
    assert contract_of({"response_format": wanted}) == Contract()


@pytest.mark.parametrize("schema", [None, [], "x"])
def test_a_json_format_without_a_usable_schema_still_demands_an_object(schema: Any) -> None:
    request = {"response_format": {"type": "json_schema", "json_schema": schema}}

    assert violation(request, Answer("text", "words")) == "not a JSON object"
    assert violation(request, Answer("json", [1])) == "not a JSON object"
    assert violation(request, Answer("json", {})) is None


def test_the_one_tool_that_was_named_may_be_called_and_no_other() -> None:
    tools = [{"type": "function", "function": {"name": name}} for name in ("find", "drop")]
    named = {"type": "function", "function": {"name": "find"}}
    contract = contract_of({"tools": tools, "tool_choice": named})

    found, dropped = (Answer("tool", [{"name": n, "arguments": {}}]) for n in ("find", "drop"))

    assert breach(contract, found) is None
    assert breach(contract, dropped) == "calls drop where another tool is required"
    assert breach(contract, Answer("text", "no")) == "words where a tool call is required"


@pytest.mark.parametrize(
    ("content", "answer"),
    [
        ("7", Answer("text", "7")),
        ('"quoted"', Answer("text", '"quoted"')),
        ("null", Answer("text", "null")),
        ("[]", Answer("json", [])),
        ('```json\n{"a": 1}\n```', Answer("json", {"a": 1})),
        ("```\nplain\n```", Answer("text", "```\nplain\n```")),
        ('{"a": 1} and more', Answer("text", '{"a": 1} and more')),
        ('  {"a": 1}  ', Answer("json", {"a": 1})),
        (" \n ", None),
        ([], None),
        ([{"type": "text", "text": "a"}, {"type": "image_url"}, 7, None], Answer("text", "a")),
        ([{"text": "a"}, {"text": "b"}], Answer("text", "a\nb")),
    ],
)
def test_what_a_message_says_is_read_by_its_form(content: Any, answer: Answer | None) -> None:
    assert answered(content) == answer


@pytest.mark.parametrize(
    ("arguments", "read"),
    [
        ("", {}),
        (None, {}),
        ("  ", {}),
        ('{"a": 1}', {"a": 1}),
        ({"a": 1}, {"a": 1}),
        ('{"a":', '{"a":'),
        ("7", "7"),
    ],
)
def test_arguments_are_read_and_what_is_no_json_is_kept_as_it_is(arguments: Any, read: Any) -> None:
    calls = [{"function": {"name": "f", "arguments": arguments}}]

    assert answered("beside", tool_calls=calls) == Answer(
        "tool", [{"name": "f", "arguments": read}]
    )


@given(JSON, JSON)
def test_no_response_makes_reading_stumble(one: Any, other: Any) -> None:
    told: tuple[Any, ...] = (one, [one], [{"message": one, "finish_reason": other}])
    for choices in told:
        call = sample_call(response={"choices": choices, "usage": other})
        message = answer_message(call.response)
        assert answer_of(call) is None or message is not None
        assert isinstance(finish_reason(call.response), str | None)
    assert isinstance(message_text({"content": one}), str)


@given(st.lists(JSON, max_size=3) | st.dictionaries(st.text(max_size=5), JSON))
def test_an_object_or_list_survives_being_written_and_fenced(value: Any) -> None:
    text = canonical_json(value).decode()

    assert parse_json(text) == parse_json(f"```json\n{text}\n```") == value
