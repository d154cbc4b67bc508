"""A value is grounded if the request says it, be it in another case, spacing or notation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from releases import request

from slimdown.route.grounding import Said, choices, texts_in


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Rome", "a flat in Rome?"),
        ("rome", "A FLAT IN ROME"),
        ("NewYork", "from new york"),
        ("new_york", "from New York"),
        ("AB123", "flight AB-123"),
        ("1234", "it costs 1,234 euros"),
        ("1234.00", "it costs $1234"),
        ("2025-03-05", "on March 5, 2025"),
        ("2025-03-05", "on 5.3.2025"),
        ("14:30", "at 2:30 pm"),
        ("09:00", "at 9 am"),
        ("3", "three of them"),
        ("", "anything"),
        ("?", "really?"),
    ],
)
def test_what_was_said_is_grounded(value: str, text: str) -> None:
    assert Said(request(text)).grounds(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Paris", "a flat in Rome?"),
        ("2025-03-06", "on March 5, 2025"),
        ("14:30", "at 2:30 in the morning"),
        ("1235", "it costs 1,234 euros"),
        ("!", "really?"),
        ("4", "three of them"),
    ],
)
def test_what_nobody_said_is_not(value: str, text: str) -> None:
    assert not Said(request(text)).grounds(value)


def test_tool_results_and_calls_of_the_history_count_as_said() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"q": "Oslo"}'}}
    history = [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "the booking is K77", "tool_call_id": "c"},
    ]
    said = Said({"messages": [*request()["messages"], *history]})

    assert said.grounds("Oslo")
    assert said.grounds("K77")


def test_schemas_list_choices_at_any_depth() -> None:
    deep = {"properties": {"mood": {"anyOf": [{"enum": ["calm", 3]}, {"const": "angry"}]}}}
    tool = {"type": "function", "function": {"name": "f", "parameters": deep}}

    assert choices({"tools": [tool]}) == {"calm", "angry"}


def test_texts_are_leaves_and_not_keys() -> None:
    assert sorted(texts_in({"a": ["b", {"c": "d"}], "e": 1})) == ["b", "d"]


@given(st.text(max_size=30), st.integers(0, 30), st.integers(0, 30))
def test_every_part_of_a_message_is_grounded(text: str, start: int, end: int) -> None:
    assert Said(request(text)).grounds(text[start:end])
