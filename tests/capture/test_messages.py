"""Messages in the shapes of tracing tools and providers, times, and sessions."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slimdown.capture.draft import session_of
from slimdown.capture.messages import answer_from, messages_of
from slimdown.capture.responses import chat_request, chat_response
from slimdown.capture.times import iso_time, latency_ms

CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
ANSWERS: list[tuple[Any, Any]] = [
    ("!", {"role": "assistant", "content": "!"}),
    ({"role": "assistant", "content": "!"}, {"role": "assistant", "content": "!"}),
    ({"type": "ai", "content": "!", "id": 3}, {"role": "assistant", "content": "!"}),
    ({"message": {"role": "assistant", "content": "!"}}, {"role": "assistant", "content": "!"}),
    ([{"role": "assistant", "content": "!"}], {"role": "assistant", "content": "!"}),
    (
        {"content": [{"type": "text", "text": "!"}], "role": "assistant"},
        {"role": "assistant", "content": "!"},
    ),
    (
        {"candidates": [{"content": {"role": "model", "parts": [{"text": "!"}]}}]},
        {"role": "assistant", "content": "!"},
    ),
    (
        [{"role": "assistant", "parts": [{"type": "text", "content": "!"}]}],
        {"role": "assistant", "content": "!"},
    ),
    (
        {"type": "ai", "content": "", "tool_calls": [{"name": "f", "args": {"a": 1}, "id": "c1"}]},
        {"role": "assistant", "content": "", "tool_calls": [CALL]},
    ),
    (
        {"role": "assistant", "content": "", "additional_kwargs": {"tool_calls": [CALL]}},
        {"role": "assistant", "content": "", "tool_calls": [CALL]},
    ),
    (
        [{"type": "function_call", "name": "f", "arguments": '{"a":1}', "call_id": "c1"}],
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
    ),
    (
        [{"toolCallId": "c1", "toolName": "f", "input": '{"a":1}'}],
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
    ),
    (
        {
            "role": "assistant",
            "parts": [{"type": "tool_call", "id": "c1", "name": "f", "arguments": {"a": 1}}],
        },
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
    ),
    ({"label": "delivery"}, {"role": "assistant", "content": '{"label":"delivery"}'}),
]


@pytest.mark.parametrize(("logged", "answer"), ANSWERS)
def test_an_answer_is_found_in_each_shape(logged: Any, answer: Any) -> None:
    assert answer_from(logged) == answer


@pytest.mark.parametrize("nothing", [None, "", [], {}])
def test_an_output_that_holds_nothing_is_no_answer(nothing: Any) -> None:
    assert answer_from(nothing) is None


def test_text_and_calls_of_several_items_are_one_answer() -> None:
    items = [
        {"type": "reasoning", "summary": []},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "!"}]},
        {"type": "function_call", "name": "f", "arguments": '{"a":1}', "call_id": "c1"},
    ]
    assert answer_from(items) == {"role": "assistant", "content": "!", "tool_calls": [CALL]}


INPUTS: list[tuple[Any, list[tuple[str, Any]]]] = [
    ("?", [("user", "?")]),
    ({"messages": [{"role": "system", "content": "s"}, "?"]}, [("system", "s"), ("user", "?")]),
    ({"contents": "?"}, [("user", "?")]),
    ({"contents": [{"role": "user", "parts": [{"text": "?"}]}]}, [("user", "?")]),
    ([{"type": "human", "content": "?"}], [("user", "?")]),
    ({"args": ["?"]}, [("user", "?")]),
    (
        [{"role": "tool", "parts": [{"type": "tool_call_response", "id": "c", "result": "42"}]}],
        [("tool", "42")],
    ),
    ([{"type": "function_call_output", "call_id": "c", "output": "42"}], [("tool", "42")]),
    ({"question": 3}, [("user", '{"question":3}')]),
]


@pytest.mark.parametrize(("logged", "messages"), INPUTS)
def test_messages_are_found_in_each_shape(logged: Any, messages: list[tuple[str, Any]]) -> None:
    assert [(m["role"], m["content"]) for m in messages_of(logged)] == messages


def test_a_request_to_responses_becomes_one_to_chat_completions() -> None:
    request = {
        "model": "m",
        "instructions": "be brief",
        "input": "?",
        "max_output_tokens": 9,
        "tools": [{"type": "function", "name": "f", "parameters": {}}, {"type": "web_search"}],
        "text": {"format": {"type": "json_schema", "name": "n", "schema": {}}},
        "unheard_of": 1,
    }
    assert chat_request(request) == {
        "model": "m",
        "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "?"}],
        "max_completion_tokens": 9,
        "tools": [
            {"type": "function", "function": {"name": "f", "parameters": {}}},
            {"type": "web_search"},
        ],
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}},
        "unheard_of": 1,
    }


def test_a_response_cut_off_says_so() -> None:
    said = [{"type": "message", "role": "assistant", "content": "!"}]
    made = chat_response({"id": "r", "output": said, "status": "incomplete", "created_at": 1.0})
    assert made["choices"][0]["finish_reason"] == "length"
    assert made["created"] == 1


def test_an_error_in_place_of_a_response_stays_as_it_is() -> None:
    error = {"error": {"message": "no"}}
    assert chat_response(error) == error


TIMES: list[tuple[Any, str | None]] = [
    ("2025-06-11T14:01:34.290Z", "2025-06-11T14:01:34.290Z"),
    ("2025-06-11T16:01:34+02:00", "2025-06-11T14:01:34.000Z"),
    ("2025-06-11 14:01:34.290999", "2025-06-11T14:01:34.290Z"),
    (1_749_650_494, "2025-06-11T14:01:34.000Z"),
    (1_749_650_494.5, "2025-06-11T14:01:34.500Z"),
    (1_749_650_494_290, "2025-06-11T14:01:34.290Z"),
    ("yesterday", None),
    ("", None),
    (None, None),
    (True, None),
    (-5, None),
    (0, None),
    (float("inf"), None),
    (float("nan"), None),
    (10**30, None),
    ("9999-12-31T23:59:59-23:00", None),
]


@pytest.mark.parametrize(("logged", "time"), TIMES)
def test_each_kind_of_time_is_read_and_no_other(logged: Any, time: str | None) -> None:
    assert iso_time(logged) == time


@given(st.datetimes(datetime.datetime(1980, 1, 1), timezones=st.just(datetime.UTC)))
def test_times_sort_as_text_and_read_back_as_themselves(moment: datetime.datetime) -> None:
    text = iso_time(moment.isoformat())
    later = iso_time((moment.replace(year=1979)).isoformat()) if moment.day < 29 else None
    assert text is not None
    assert iso_time(text) == text
    assert later is None or later < text


def test_a_latency_is_known_only_from_times_in_order() -> None:
    assert latency_ms("2025-01-01T00:00:00Z", "2025-01-01T00:00:01.5Z") == 1500.0
    assert latency_ms("2025-01-01T00:00:01Z", "2025-01-01T00:00:00Z") is None
    assert latency_ms(None, "2025-01-01T00:00:00Z") is None


SESSIONS: list[dict[str, Any]] = [
    {"session_id": "s"},
    {"headers": {"X-Slimdown-Session": "s"}, "metadata": {"session_id": "other"}},
    {"request": {"headers": {"x-session-id": "s"}}},
    {"request": {"metadata": {"conversation_id": "s"}}, "metadata": {"trace_id": "other"}},
    {"metadata": {"session_id": "s", "conversation_id": "other"}},
    {"headers": {"traceparent": "00-s-0123-01"}, "metadata": {"trajectory": "other"}},
    {"request": {"previous_response_id": "s"}, "metadata": {"trajectory": "other"}},
    {"metadata": {"trajectory": "s", "task": "never read", "dataset": "never read"}},
]


@pytest.mark.parametrize("record", SESSIONS)
def test_a_session_is_the_first_that_is_named(record: dict[str, Any]) -> None:
    assert session_of(record) == "s"


@pytest.mark.parametrize("record", [{}, {"session_id": ""}, {"session_id": True}, {"metadata": 3}])
def test_no_session_is_made_up(record: dict[str, Any]) -> None:
    assert session_of(record) is None
