"""OpenAI's Responses over the wire: requests, answers, and streams of typed events."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from slimdown.capture.wire import call_of
from slimdown.exchange import Exchange
from slimdown.sse import encode
from slimdown.types import Call, JsonObject

REQUEST = {"model": "m", "input": "hi", "instructions": "be brief"}
USAGE = {
    "input_tokens": 3,
    "input_tokens_details": {"cached_tokens": 1},
    "output_tokens": 2,
    "total_tokens": 5,
}
MESSAGE = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "hello", "annotations": []}],
}
CALL = {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": '{"x":1}'}


def response(output: Any, **rest: Any) -> JsonObject:
    made = {"id": "resp_1", "object": "response", "model": "m-1", "created_at": 7, "error": None}
    return made | {"status": "completed", "output": output, "usage": USAGE} | rest


def exchanged(body: bytes, request: JsonObject = REQUEST) -> Call:
    return call_of(
        Exchange(
            call_id="c",
            path="/v1/responses",
            request_headers=[],
            request_body=msgspec.json.encode(request),
            status=200,
            response_body=body,
            started_at=1.7e9,
            latency_ms=1.0,
        )
    )


def answered(output: Any, **rest: Any) -> Call:
    return exchanged(msgspec.json.encode(response(output, **rest)))


def streamed(*events: JsonObject) -> Call:
    """Number the events, as the API does, and send each with its type."""
    numbered: list[JsonObject] = [{"sequence_number": i} | event for i, event in enumerate(events)]
    return exchanged(b"".join(encode(msgspec.json.encode(e), e["type"]) for e in numbered))


def event(kind: str, **fields: Any) -> JsonObject:
    return {"type": f"response.{kind}", **fields}


def added(index: int, item: JsonObject) -> JsonObject:
    return event("output_item.added", output_index=index, item=item)


def done(index: int, item: JsonObject) -> JsonObject:
    return event("output_item.done", output_index=index, item=item)


CREATED = event("created", response=response([], status="in_progress", usage=None))
EMPTY = {**MESSAGE, "content": [], "status": "in_progress"}
COMPLETED = event("completed", response=response([MESSAGE]))


def choice(call: Call) -> JsonObject:
    assert call.response is not None
    found: JsonObject = call.response["choices"][0]
    return found


def flags(call: Call) -> list[str]:
    found: list[str] = call.metadata["gateway"].get("flags", [])
    return found


def test_input_and_instructions_are_messages() -> None:
    assert exchanged(b"").request == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "hi"},
        ],
    }


@pytest.mark.parametrize(
    ("fields", "key", "value"),
    [
        ({"text": {"format": {"type": "json_object"}}}, "response_format", {"type": "json_object"}),
        (
            {"tool_choice": {"type": "function", "name": "f"}},
            "tool_choice",
            {"type": "function", "function": {"name": "f"}},
        ),
        ({"tool_choice": "auto"}, "tool_choice", "auto"),
        ({"max_output_tokens": 5}, "max_completion_tokens", 5),
        ({"truncation": "auto"}, "truncation", "auto"),
    ],
)
def test_settings_get_the_words_of_chat(fields: JsonObject, key: str, value: Any) -> None:
    assert exchanged(b"", REQUEST | fields).request[key] == value


def test_a_stored_prompt_says_nothing_here() -> None:
    call = exchanged(b"", {"model": "m", "prompt": {"id": "pmpt_1"}})

    assert call.request == {"model": "m", "prompt": {"id": "pmpt_1"}, "messages": []}


def test_an_answer_becomes_a_completion() -> None:
    call = answered([{"type": "reasoning", "summary": []}, MESSAGE, CALL])

    assert (call.error, flags(call)) == (None, [])
    message = choice(call)["message"]
    assert message["content"] == "hello"
    assert message["tool_calls"][0]["function"] == {"name": "f", "arguments": '{"x":1}'}
    assert choice(call)["finish_reason"] == "tool_calls"
    assert call.response is not None
    assert call.response["usage"]["prompt_tokens_details"] == {"cached_tokens": 1}


def test_refusals_and_reasoning_are_kept() -> None:
    refusal = {**MESSAGE, "content": [{"type": "refusal", "refusal": "no"}]}
    thought = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]}

    message = choice(answered([thought, refusal]))["message"]

    assert (message["content"], message["refusal"]) == (None, "no")
    assert message["reasoning_content"] == "hm"


def test_what_the_provider_did_itself_is_kept_apart_from_what_was_said() -> None:
    search = {"type": "web_search_call", "id": "ws_1", "status": "completed"}

    call = answered([search, MESSAGE])

    assert choice(call)["message"]["content"] == "hello"
    assert call.response is not None
    assert call.response["output"] == [search]


@pytest.mark.parametrize(
    ("reason", "finish"), [("max_output_tokens", "length"), ("content_filter", "content_filter")]
)
def test_an_incomplete_answer_says_why(reason: str, finish: str) -> None:
    call = answered([], status="incomplete", incomplete_details={"reason": reason})

    assert call.error is None
    assert choice(call)["finish_reason"] == finish
    assert choice(call)["message"]["content"] is None


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"status": "failed", "error": {"code": "server_error"}}, "upstream_error: server_error"),
        ({"status": "queued"}, "upstream_error: queued"),
        ({"status": "cancelled"}, "upstream_error: cancelled"),
        ({"output": None}, "upstream_invalid"),
    ],
)
def test_what_is_not_or_not_yet_an_answer_is_an_error(fields: JsonObject, error: str) -> None:
    assert exchanged(msgspec.json.encode(response([]) | fields)).error == error


def test_a_stream_is_what_its_last_event_says() -> None:
    pieces = [event("output_text.delta", output_index=0, delta=text) for text in ("hel", "lo")]

    call = streamed(CREATED, added(0, EMPTY), *pieces, done(0, MESSAGE), COMPLETED)

    assert (call.error, flags(call)) == (None, [])
    assert call.metadata["gateway"]["stream"] is True
    assert call.response == answered([MESSAGE]).response


def test_a_last_event_without_output_is_filled_from_the_items() -> None:
    completed = event("completed", response=response([]))

    call = streamed(CREATED, added(0, EMPTY), done(0, MESSAGE), completed)

    assert choice(call)["message"]["content"] == "hello"


def test_what_came_of_a_stream_that_broke_off_is_kept() -> None:
    thought = {"type": "reasoning", "summary": []}

    call = streamed(
        CREATED,
        added(0, thought),
        event("reasoning_summary_text.delta", output_index=0, summary_index=0, delta="hm"),
        done(0, thought | {"summary": [{"type": "summary_text", "text": "hm"}]}),
        added(1, EMPTY),
        event("output_text.delta", output_index=1, content_index=0, delta="hel"),
        added(2, CALL | {"arguments": ""}),
        event("function_call_arguments.delta", output_index=2, delta='{"x'),
    )

    message = choice(call)["message"]
    assert call.error == "upstream_truncated"
    assert (message["content"], message["reasoning_content"]) == ("hel", "hm")
    assert message["tool_calls"][0]["function"]["arguments"] == '{"x'


def test_a_refusal_that_broke_off_is_kept_as_one() -> None:
    refusal = event("refusal.delta", output_index=0, content_index=0, delta="I ca")

    call = streamed(CREATED, added(0, EMPTY), refusal)

    assert choice(call)["message"]["refusal"] == "I ca"


@pytest.mark.parametrize(
    ("last", "error"),
    [
        (
            event("failed", response=response([], status="failed", error={"code": "server_error"})),
            "upstream_error: server_error",
        ),
        ({"type": "error", "code": "rate_limit", "message": "no"}, "upstream_error: rate_limit"),
        ({"type": "error", "error": {"type": "x_error"}}, "upstream_error: x_error"),
        (event("incomplete", response=response([MESSAGE], status="incomplete")), None),
    ],
)
def test_a_stream_may_end_in_other_ways(last: JsonObject, error: str | None) -> None:
    assert streamed(CREATED, last).error == error


@pytest.mark.parametrize(
    "events",
    [
        [added(0, EMPTY), added(0, EMPTY)],
        [done(0, MESSAGE)],
        [added(0, EMPTY), event("x", sequence_number=1)],
        [added(0, EMPTY), event("x", sequence_number=0)],
        [added(0, EMPTY), done(0, MESSAGE), event("output_text.delta", output_index=0, delta="x")],
        [COMPLETED, added(0, EMPTY)],
    ],
    ids=["twice", "never begun", "same number", "out of order", "after its end", "after the end"],
)
def test_events_that_contradict_each_other_are_marked(events: list[JsonObject]) -> None:
    call = streamed(CREATED, *events, COMPLETED)

    assert "inconsistent" in flags(call)
    assert call.error == "upstream_inconsistent"
