from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slimdown.contract import MAX_SCHEMA_DEPTH, breach, contract_of, schema_breach, violation
from slimdown.types import Answer, JsonObject

PARCEL = {
    "type": "object",
    "properties": {"id": {"type": "string"}, "weight": {"type": "number"}},
    "required": ["id"],
    "additionalProperties": False,
}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)

KEYWORDS = st.dictionaries(
    st.sampled_from(["type", "pattern", "$ref", "items", "enum", "required", "properties", "$id"]),
    JSON | st.sampled_from(["#", "object", "(a+)+$", "http://localhost:1/x"]),
)


def wanting(schema: Any) -> JsonObject:
    return {"response_format": {"type": "json_schema", "json_schema": {"schema": schema}}}


def with_tools(**rest: Any) -> JsonObject:
    function = {"name": "track", "parameters": PARCEL}
    return {"tools": [{"type": "function", "function": function}], **rest}


def calling(name: str, arguments: Any) -> Answer:
    return Answer("tool", [{"name": name, "arguments": arguments}])


def test_an_answer_that_meets_its_schema_breaks_nothing() -> None:
    assert violation(wanting(PARCEL), Answer("json", {"id": "7", "weight": 2})) is None


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({}, "the object lacks id"),
        ({"id": 7}, "id breaks `type`"),
        ({"id": "7", "colour": "red"}, "the object breaks `additionalProperties`"),
        ([], "not a JSON object"),
    ],
)
def test_a_breach_is_told_by_place_and_keyword(value: Any, words: str) -> None:
    assert violation(wanting(PARCEL), Answer("json", value)) == words


def test_words_where_json_is_due_are_a_breach() -> None:
    request = {"response_format": {"type": "json_object"}}

    assert violation(request, Answer("text", "delivery")) == "not a JSON object"
    assert violation(request, Answer("json", {"any": "thing"})) is None


def test_a_breach_does_not_repeat_the_answer_s_own_keys() -> None:
    schema = {"type": "object", "additionalProperties": {"type": "integer"}}

    words = schema_breach(schema, {"Ada Lovelace": "secret"})

    assert words == "the object breaks `type`"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (calling("track", {"id": "7"}), None),
        (calling("trace", {"id": "7"}), "calls an undeclared tool"),
        (calling("track", {}), "track: the object lacks id"),
        (calling("track", {"id": "7", "x": 1}), "track: the object breaks `additionalProperties`"),
        (calling("track", {"id": "7", "weight": "heavy"}), "track: weight breaks `type`"),
        (calling("track", '{"id":'), "track: arguments are not a JSON object"),
        (Answer("text", "which parcel?"), None),
    ],
)
def test_tool_calls_are_held_to_their_schema(answer: Answer, words: str | None) -> None:
    assert violation(with_tools(), answer) == words


def test_tool_choice_is_part_of_the_contract() -> None:
    words, call = Answer("text", "no"), calling("track", {"id": "7"})
    named = {"type": "function", "function": {"name": "other"}}

    assert violation(with_tools(tool_choice="required"), words)
    assert violation(with_tools(tool_choice="any"), words)
    assert violation(with_tools(tool_choice="none"), call)
    assert violation(with_tools(tool_choice=named), call)
    assert violation(with_tools(tool_choice="auto"), words) is None


def test_parallel_calls_may_be_forbidden() -> None:
    twice = Answer("tool", [{"name": "track", "arguments": {"id": i}} for i in "ab"])

    assert violation(with_tools(), twice) is None
    assert violation(with_tools(parallel_tool_calls=False), twice)


def test_tool_calls_without_declared_tools_are_not_judged() -> None:
    assert violation({}, calling("track", {})) is None


def test_the_old_functions_are_tools() -> None:
    request = {"functions": [{"name": "track", "parameters": PARCEL}]}

    assert contract_of(request).tools == {"track": PARCEL}


def test_a_remote_reference_is_never_fetched() -> None:
    assert schema_breach({"$ref": "http://127.0.0.1:9/schema"}, {}) is None


def test_an_endless_reference_gives_no_verdict() -> None:
    assert schema_breach({"$ref": "#"}, {}) is None


def test_exponential_references_give_no_verdict() -> None:
    links = {str(i): {"allOf": [{"$ref": f"#/$defs/{i + 1}"}] * 2} for i in range(60)}

    assert schema_breach({"$defs": {**links, "60": {}}, "$ref": "#/$defs/0"}, {}) is None


def test_a_backtracking_pattern_is_searched_in_linear_time() -> None:
    assert (
        schema_breach({"pattern": "^(a+)+$"}, "a" * 50_000 + "b") == "the object breaks `pattern`"
    )


def test_a_pattern_that_needs_backtracking_gives_no_verdict() -> None:
    assert schema_breach({"pattern": r"(?=a)b"}, "c") is None
    assert schema_breach({"patternProperties": {"(a+)+$": False}}, {"a": 1}) is None


def test_many_unlike_items_are_compared_by_hash() -> None:
    items = [*range(20_000), *map(str, range(20_000))]

    assert schema_breach({"uniqueItems": True}, items) is None
    assert schema_breach({"uniqueItems": True}, [*items, 0]) == "the object breaks `uniqueItems`"


@pytest.mark.parametrize("schema", [{"type": 5}, {"required": "id"}, 7, "object", []])
def test_an_invalid_schema_gives_no_verdict(schema: Any) -> None:
    assert schema_breach(schema, {}) is None


def test_a_schema_nested_too_deep_gives_no_verdict() -> None:
    schema: JsonObject = {"type": "integer"}
    for _ in range(MAX_SCHEMA_DEPTH):
        schema = {"items": schema}

    assert schema_breach(schema, ["x"]) is None


def test_a_nested_dialect_cannot_bring_back_the_slow_patterns() -> None:
    schema = {"items": {"$schema": "http://json-schema.org/draft-07/schema#", "pattern": "(a+)+$"}}

    assert schema_breach(schema, ["a" * 40 + "b"]) is None


def test_a_dialect_named_at_the_root_is_read_as_ours() -> None:
    schema = {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object"}

    assert schema_breach(schema, []) == "the object breaks `type`"


@given(KEYWORDS, JSON)
def test_no_schema_makes_it_stumble(schema: Any, value: Any) -> None:
    schema_breach(schema, value)


@given(st.dictionaries(st.sampled_from(["tools", "functions", "tool_choice"]), JSON), JSON)
def test_no_request_makes_it_stumble(request: JsonObject, anything: Any) -> None:
    contract = contract_of({**request, "response_format": anything})

    breach(contract, calling("track", anything))
    breach(contract, Answer("json", {"a": anything}))
