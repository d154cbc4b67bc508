"""Anthropic's messages as chat: requests, answers, and streams of content blocks."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from slimdown.capture.wire import call_of
from slimdown.exchange import Exchange
from slimdown.sse import encode
from slimdown.types import Call, JsonObject

REQUEST = {"model": "claude", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}


def exchanged(request: JsonObject, body: bytes, **fields: Any) -> Call:
    plain: dict[str, Any] = {
        "call_id": "c",
        "path": "/v1/messages",
        "request_headers": [],
        "request_body": msgspec.json.encode(request),
        "status": 200,
        "response_body": body,
        "started_at": 1.7e9,
        "latency_ms": 1.0,
    }
    return call_of(Exchange(**(plain | fields)))


def asked(**request: Any) -> JsonObject:
    return exchanged({**REQUEST, **request}, b"").request


def answered(content: Any, **rest: Any) -> Call:
    usage = {"input_tokens": 3, "output_tokens": 2}
    answer = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-1"}
    answer |= {"stop_reason": "end_turn", "usage": usage, "content": content} | rest
    return exchanged(REQUEST, msgspec.json.encode(answer))


def event(kind: str, **fields: Any) -> bytes:
    return encode(msgspec.json.encode({"type": kind, **fields}), kind)


def start(index: int, **block: Any) -> bytes:
    return event("content_block_start", index=index, content_block=block)


def delta(index: int, kind: str, **fields: Any) -> bytes:
    return event("content_block_delta", index=index, delta={"type": kind, **fields})


def stop(index: int) -> bytes:
    return event("content_block_stop", index=index)


BEGIN = event(
    "message_start",
    message={
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-1",
        "content": [],
        "usage": {"input_tokens": 3, "cache_read_input_tokens": 5, "output_tokens": 1},
    },
)
END = event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 7})
STOP = event("message_stop")
TEXT = (start(0, type="text", text=""), delta(0, "text_delta", text="hello"), stop(0))


def streamed(*events: bytes) -> Call:
    return exchanged(REQUEST, b"".join(events))


def choice(call: Call) -> JsonObject:
    assert call.response is not None
    found: JsonObject = call.response["choices"][0]
    return found


def flags(call: Call) -> list[str]:
    found: list[str] = call.metadata["gateway"].get("flags", [])
    return found


def test_the_system_prompt_is_the_first_message() -> None:
    parts = [{"type": "text", "text": "be", "cache_control": {"type": "ephemeral"}}]

    assert asked(system="be")["messages"][0] == {"role": "system", "content": "be"}
    assert asked(system=parts)["messages"][0]["content"] == parts
    assert asked(system=[{"type": "text", "text": "be"}])["messages"][0]["content"] == "be"


def test_settings_get_the_words_of_chat_and_the_rest_keeps_its_own() -> None:
    request = asked(stop_sequences=["."], top_k=5, metadata={"user_id": "u"}, stream=True)

    assert (request["max_completion_tokens"], request["stop"]) == (9, ["."])
    assert (request["top_k"], request["metadata"], request["stream"]) == (5, {"user_id": "u"}, True)
    assert "max_tokens" not in request


def test_tools_are_functions_and_a_providers_own_stay() -> None:
    own = {"type": "web_search_20250305", "name": "web_search"}
    schema = {"type": "object"}

    request = asked(tools=[{"name": "f", "description": "d", "input_schema": schema}, own])

    function = {"name": "f", "description": "d", "parameters": schema}
    assert request["tools"] == [{"type": "function", "function": function}, own]


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({"type": "auto"}, {"tool_choice": "auto"}),
        ({"type": "any"}, {"tool_choice": "required"}),
        ({"type": "none"}, {"tool_choice": "none"}),
        (
            {"type": "tool", "name": "f"},
            {"tool_choice": {"type": "function", "function": {"name": "f"}}},
        ),
        (
            {"type": "auto", "disable_parallel_tool_use": True},
            {"tool_choice": "auto", "parallel_tool_calls": False},
        ),
        (None, {}),
    ],
)
def test_a_choice_of_tools_gets_the_words_of_chat(chosen: Any, words: JsonObject) -> None:
    request = asked(tool_choice=chosen)

    keys = ("tool_choice", "parallel_tool_calls")
    assert {key: request[key] for key in keys if key in request} == words


FORM = {"type": "json_schema", "schema": {"type": "object"}}


@pytest.mark.parametrize("place", [{"output_format": FORM}, {"output_config": {"format": FORM}}])
def test_a_demanded_form_is_a_response_format(place: JsonObject) -> None:
    made = asked(**place)["response_format"]

    assert made["type"] == "json_schema"
    assert made["json_schema"]["schema"] == FORM["schema"]


def test_a_tools_result_is_a_message_of_its_own() -> None:
    result = {"type": "tool_result", "tool_use_id": "t", "is_error": True}
    content = [
        {**result, "content": [{"type": "text", "text": "42"}]},
        {"type": "text", "text": "so?"},
    ]

    messages = asked(messages=[{"role": "user", "content": content}])["messages"]

    assert messages == [
        {"role": "tool", "tool_call_id": "t", "content": "42", "is_error": True},
        {"role": "user", "content": "so?"},
    ]


def test_an_assistants_blocks_are_text_calls_and_reasoning() -> None:
    content = [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "text", "text": "let me "},
        {"type": "text", "text": "see"},
        {"type": "tool_use", "id": "t", "name": "f", "input": {"x": 1}},
    ]

    (message,) = asked(messages=[{"role": "assistant", "content": content}])["messages"]

    function = {"name": "f", "arguments": '{"x":1}'}
    assert message["content"] == "let me see"
    assert message["tool_calls"] == [{"id": "t", "type": "function", "function": function}]
    assert message["reasoning_content"] == "hm"
    assert message["thinking_blocks"] == content[:1]


def test_an_image_is_one_in_chat_too() -> None:
    source = {"type": "base64", "media_type": "image/png", "data": "AAAA"}
    parts = [{"type": "image", "source": source}, {"type": "document", "source": source}]

    (message,) = asked(messages=[{"role": "user", "content": parts}])["messages"]

    url = "data:image/png;base64,AAAA"
    assert message["content"] == [{"type": "image_url", "image_url": {"url": url}}, parts[1]]


def test_an_answer_becomes_a_completion() -> None:
    call = answered([{"type": "text", "text": "hello"}])

    assert (call.error, flags(call)) == (None, [])
    assert call.response is not None
    assert (call.response["id"], call.response["model"]) == ("msg_1", "claude-1")
    assert choice(call)["message"] == {"role": "assistant", "content": "hello"}
    assert choice(call)["finish_reason"] == "stop"


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("pause_turn", "pause_turn"),
        (None, None),
    ],
)
def test_why_it_stopped_gets_the_words_of_chat(reason: str | None, finish: str | None) -> None:
    assert choice(answered([], stop_reason=reason))["finish_reason"] == finish


def test_tokens_of_the_cache_are_among_the_prompts() -> None:
    told = {"input_tokens": 3, "cache_read_input_tokens": 5, "cache_creation_input_tokens": 7}

    call = answered([], usage={**told, "output_tokens": 2, "service_tier": "standard"})

    assert call.response is not None
    assert call.response["usage"] == {
        "prompt_tokens": 15,
        "completion_tokens": 2,
        "total_tokens": 17,
        "prompt_tokens_details": {"cached_tokens": 5, "cache_creation_tokens": 7},
        "service_tier": "standard",
    }


@pytest.mark.parametrize(
    "told", [{}, {"input_tokens": 3}, {"input_tokens": -1, "output_tokens": 2}, None, "many"]
)
def test_counts_that_are_none_are_not_trusted(told: Any) -> None:
    assert flags(answered([], usage=told)) == ["usage_unusable"]


def test_blocks_of_other_kinds_are_kept_beside_the_text() -> None:
    content = [
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
        {"type": "text", "text": "found"},
    ]

    message = choice(answered(content))["message"]

    assert (message["content"], message["content_blocks"]) == ("found", content[:1])


def test_an_error_answer_is_told_by_its_type() -> None:
    body = b'{"type":"error","error":{"type":"overloaded_error","message":"no"}}'

    assert exchanged(REQUEST, body, status=529).error == "upstream_status_529: overloaded_error"


def test_a_stream_becomes_the_message_it_stands_for() -> None:
    ping = event("ping")

    call = streamed(BEGIN, TEXT[0], ping, *TEXT[1:], END, STOP)

    assert (call.error, flags(call)) == (None, [])
    assert choice(call)["message"]["content"] == "hello"
    assert call.response is not None
    assert call.response["usage"]["prompt_tokens"] == 8
    assert call.response["usage"]["completion_tokens"] == 7


def test_a_streamed_call_of_a_tool_is_the_same_as_a_plain_one() -> None:
    block = {"type": "tool_use", "id": "t", "name": "f"}
    pieces = [delta(0, "input_json_delta", partial_json=text) for text in ('{"x"', ": 1}", "")]

    call = streamed(BEGIN, start(0, **block, input={}), *pieces, stop(0), END, STOP)

    plain = answered([{**block, "input": {"x": 1}}])
    assert choice(call)["message"] == choice(plain)["message"]


def test_thinking_and_citations_come_in_pieces_too() -> None:
    call = streamed(
        BEGIN,
        start(0, type="thinking", thinking=""),
        delta(0, "thinking_delta", thinking="h"),
        delta(0, "thinking_delta", thinking="m"),
        delta(0, "signature_delta", signature="s"),
        stop(0),
        start(1, type="text", text=""),
        delta(1, "text_delta", text="x"),
        delta(1, "citations_delta", citation={"cited_text": "y"}),
        stop(1),
        END,
        STOP,
    )

    message = choice(call)["message"]
    assert (message["content"], message["reasoning_content"]) == ("x", "hm")
    assert message["thinking_blocks"][0]["signature"] == "s"


@pytest.mark.parametrize(
    ("events", "error"),
    [
        ([BEGIN, *TEXT], "upstream_truncated"),
        ([BEGIN, *TEXT[:2]], "upstream_truncated"),
        ([BEGIN], "upstream_truncated"),
        ([BEGIN, *TEXT, END], None),
        ([BEGIN, *TEXT, END, STOP], None),
        ([BEGIN, *TEXT, b"data: {\n\n", END, STOP], "upstream_invalid"),
        (
            [BEGIN, event("error", error={"type": "overloaded_error"})],
            "upstream_error: overloaded_error",
        ),
    ],
)
def test_a_stream_is_whole_or_says_why_not(events: list[bytes], error: str | None) -> None:
    assert streamed(*events).error == error


def test_arguments_that_broke_off_are_kept_as_text() -> None:
    block = start(0, type="tool_use", id="t", name="f", input={})

    call = streamed(BEGIN, block, delta(0, "input_json_delta", partial_json='{"x": '))

    (called,) = choice(call)["message"]["tool_calls"]
    assert called["function"]["arguments"] == '{"x": '
    assert flags(call) == ["usage_unusable"]


@pytest.mark.parametrize(
    "events",
    [
        [TEXT[0], start(1, type="text", text=""), *TEXT[1:], stop(1)],
        [*TEXT, *TEXT],
        [start(1, type="text", text=""), stop(1)],
        [*TEXT, TEXT[1]],
        [TEXT[1]],
        [*TEXT, BEGIN],
    ],
    ids=["interleaved", "twice", "out of order", "after its stop", "never begun", "two messages"],
)
def test_blocks_that_contradict_each_other_are_marked(events: list[bytes]) -> None:
    call = streamed(BEGIN, *events, END, STOP)

    assert "inconsistent" in flags(call)
    assert call.error == "upstream_inconsistent"


def test_counts_that_fall_are_not_trusted() -> None:
    again = event("message_delta", delta={}, usage={"output_tokens": 4})

    assert flags(streamed(BEGIN, *TEXT, END, again, STOP)) == ["usage_unusable"]
