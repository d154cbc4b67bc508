"""Streams of chat completions, and the older completions, put together as the answers they are."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slimdown.backends.chat_stream import chunks
from slimdown.capture.wire import call_of
from slimdown.exchange import Exchange
from slimdown.sse import encode
from slimdown.types import Call, JsonObject

USAGE = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
DONE = encode("[DONE]")


def chunk(delta: JsonObject | None = None, finish: str | None = None, **rest: Any) -> bytes:
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish}
    top = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "m-1"}
    return encode(msgspec.json.encode({**top, "choices": [choice], **rest}))


def usage(counts: Any) -> bytes:
    return chunk(choices=[], usage=counts)


def piece(index: int | None, arguments: str = "", **fields: Any) -> bytes:
    function = {"arguments": arguments, **{k: v for k, v in fields.items() if k == "name"}}
    call: JsonObject = {"function": function}
    call |= {} if index is None else {"index": index}
    call |= {"id": fields["id"]} if "id" in fields else {}
    return chunk({"tool_calls": [call]})


def streamed(*events: bytes, path: str = "chat/completions", **fields: Any) -> Call:
    request = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
    plain: dict[str, Any] = {
        "call_id": "c",
        "path": f"/v1/{path}",
        "request_headers": [],
        "request_body": msgspec.json.encode(request),
        "status": 200,
        "response_headers": [(b"content-type", b"text/event-stream; charset=utf-8")],
        "response_body": b"".join(events),
        "started_at": 1.7e9,
        "latency_ms": 1.0,
    }
    return call_of(Exchange(**(plain | fields)))


def message(call: Call, choice: int = 0) -> JsonObject:
    assert call.response is not None
    found: JsonObject = call.response["choices"][choice]["message"]
    return found


def flags(call: Call) -> list[str]:
    found: list[str] = call.metadata["gateway"].get("flags", [])
    return found


def test_a_stream_becomes_the_completion_it_stands_for() -> None:
    call = streamed(
        chunk({"role": "assistant", "content": ""}, system_fingerprint="fp", obfuscation="zz"),
        chunk({"content": "hel"}),
        chunk({"content": "lo"}),
        chunk(finish="stop"),
        usage(USAGE),
        DONE,
    )

    assert call.error is None
    assert flags(call) == []
    assert call.metadata["gateway"]["stream"] is True
    assert call.response == {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "m-1",
        "system_fingerprint": "fp",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "hello"},
                "finish_reason": "stop",
            }
        ],
        "usage": USAGE,
    }


def test_parallel_calls_of_tools_are_put_together_by_index() -> None:
    call = streamed(
        chunk({"role": "assistant", "content": None}),
        piece(0, id="a", name="first"),
        piece(0, '{"x":'),
        piece(0, "1}"),
        piece(1, id="b", name="second"),
        piece(1, "{}"),
        chunk(finish="tool_calls"),
        DONE,
    )

    assert "inconsistent" not in flags(call)
    assert message(call) == {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "first", "arguments": '{"x":1}'}},
            {"id": "b", "type": "function", "function": {"name": "second", "arguments": "{}"}},
        ],
    }


@pytest.mark.parametrize(
    "pieces",
    [
        [piece(0, "{", id="a", name="f"), piece(1, "{", id="b", name="g"), piece(0, "}")],
        [piece(1, "{}", id="b", name="g"), piece(0, "{}", id="a", name="f")],
        [piece(0, "{}", id="a", name="f"), piece(0, "{}", id="b", name="g")],
        [piece(0, "{}", id="a", name="f"), piece(0, "{}", id="a", name="f")],
        [piece(0, "{}", id="a", name="f"), piece(0, "", name="g")],
        [piece(0, "{}", id="a", name="f"), chunk(finish="tool_calls"), piece(0, " ")],
    ],
    ids=["interleaved", "out of order", "two under one", "twice", "two names", "after the end"],
)
def test_pieces_that_contradict_each_other_are_marked(pieces: list[bytes]) -> None:
    call = streamed(*pieces, chunk(finish="tool_calls"), DONE)

    assert "inconsistent" in flags(call)
    assert call.error == "upstream_inconsistent"
    assert message(call)["tool_calls"]


def test_pieces_that_come_interleaved_are_kept_all_the_same() -> None:
    pieces = [piece(0, "{", id="a", name="f"), piece(1, "{}", id="b", name="g"), piece(0, "}")]

    calls = message(streamed(*pieces, chunk(finish="tool_calls"), DONE))["tool_calls"]

    assert [call["function"]["arguments"] for call in calls] == ["{}", "{}"]


@pytest.mark.parametrize(
    "pieces",
    [
        [piece(0, '{"x"', id="a", name="f"), piece(0, ":1}", id="a", name="f")],
        [piece(None, '{"x":1}', id="a", name="f"), piece(None, "{}", id="b", name="g")],
        [piece(1, '{"x":1}', id="a", name="f"), piece(2, "{}", id="b", name="g")],
    ],
    ids=["id repeated", "no index", "from one"],
)
def test_other_providers_ways_are_no_contradiction(pieces: list[bytes]) -> None:
    call = streamed(*pieces, chunk(finish="tool_calls"), DONE)

    assert call.error is None
    assert message(call)["tool_calls"][0]["function"] == {"name": "f", "arguments": '{"x":1}'}


def test_content_that_comes_in_parts_is_kept_beside_the_text() -> None:
    thought = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]

    call = streamed(chunk({"content": thought}), chunk({"content": "x"}, "stop"), DONE)

    assert (message(call)["content"], message(call)["content_parts"]) == ("x", thought)


def test_several_choices_each_get_their_own_pieces() -> None:
    def said(index: int, text: str, finish: str | None = None) -> bytes:
        choice = {"index": index, "delta": {"content": text}, "finish_reason": finish}
        return chunk(choices=[choice])

    call = streamed(said(1, "b"), said(0, "a"), said(1, "B", "stop"), said(0, "A", "stop"), DONE)

    assert [message(call, choice)["content"] for choice in (0, 1)] == ["aA", "bB"]
    assert call.error is None


def test_refusals_reasoning_logprobs_and_audio_are_kept() -> None:
    logprobs = {"content": [{"token": "a"}], "refusal": None}
    call = streamed(
        chunk({"refusal": "I ", "reasoning_content": "hm", "audio": {"id": "x", "data": "AA"}}),
        chunk({"refusal": "won't", "reasoning_content": "m", "audio": {"data": "BB"}}),
        chunk(choices=[{"index": 0, "delta": {}, "logprobs": logprobs}]),
        chunk(choices=[{"index": 0, "delta": {}, "logprobs": logprobs, "finish_reason": "stop"}]),
        DONE,
    )

    assert message(call)["refusal"] == "I won't"
    assert message(call)["reasoning_content"] == "hmm"
    assert message(call)["audio"] == {"id": "x", "data": "AABB"}
    assert call.response is not None
    assert call.response["choices"][0]["logprobs"]["content"] == [{"token": "a"}] * 2


@pytest.mark.parametrize(
    ("events", "error"),
    [
        ([chunk({"content": "par"})], "upstream_truncated"),
        ([chunk({"content": "par"})[:-9]], "upstream_truncated"),
        ([chunk({"content": "whole"}, "stop")], None),
        ([chunk({"content": "whole"}), DONE], None),
        ([chunk({"content": "whole"}, "stop"), DONE[:-2]], None),
        ([chunk({"content": "x"}), b"data: {oops\n\n", chunk(finish="stop")], "upstream_invalid"),
        ([chunk({"content": "x"}), b"data: 7\n\n", chunk(finish="stop")], "upstream_invalid"),
        ([b": nothing\n\n"], "upstream_truncated"),
        ([DONE], "upstream_invalid"),
        ([chunk({"content": "x"}, "stop"), DONE, b"data: {oops\n\n"], None),
    ],
)
def test_a_stream_is_whole_or_says_why_not(events: list[bytes], error: str | None) -> None:
    assert streamed(*events).error == error


def test_what_came_of_a_stream_that_broke_off_is_kept() -> None:
    call = streamed(chunk({"content": "par"}), outcome="client_disconnected")

    assert call.error == "client_disconnected"
    assert message(call)["content"] == "par"
    assert flags(call) == []


def test_an_error_inside_a_stream_is_a_failure() -> None:
    failed = encode('{"error": {"type": "server_error", "code": 502, "message": "the prompt"}}')

    call = streamed(chunk({"content": "par"}), failed, DONE)

    assert call.error == "upstream_error: server_error 502"
    assert message(call)["content"] == "par"


@pytest.mark.parametrize(
    "events",
    [
        [],
        [usage(USAGE), usage(USAGE)],
        [usage({**USAGE, "prompt_tokens": -3})],
        [usage({**USAGE, "completion_tokens": "1"})],
        [usage({"total_tokens": 4})],
        [usage({**USAGE, "prompt_tokens_details": {"cached_tokens": -1}})],
        [usage("many")],
    ],
)
def test_token_counts_that_nobody_can_trust_are_moved_aside(events: list[bytes]) -> None:
    call = streamed(chunk({"content": "x"}, "stop"), *events, DONE)

    assert call.error is None
    assert flags(call) == ["usage_unusable"]
    assert call.response is not None
    assert "usage" not in call.response
    assert ("usage_set_aside" in call.metadata["gateway"]) is bool(events)


def test_counts_that_grow_with_the_stream_hold_in_the_end() -> None:
    call = streamed(
        chunk({"content": "a"}, usage={**USAGE, "completion_tokens": 1}),
        chunk({"content": "b"}, "stop", usage={**USAGE, "completion_tokens": 2}),
        DONE,
    )

    assert call.response is not None
    assert call.response["usage"]["completion_tokens"] == 2


TOOL_CALLS = st.builds(
    lambda name, arguments: {
        "id": f"call_{name}",
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    },
    st.text(min_size=1, max_size=5),
    st.text(max_size=20),
)


@given(
    st.lists(st.tuples(st.text(min_size=1), st.lists(TOOL_CALLS)), min_size=1, max_size=3),
    st.integers(1, 9),
)
def test_a_completion_that_is_cut_into_chunks_is_whole_again(answers: Any, size: int) -> None:
    choices = [
        {
            "index": index,
            "message": {"role": "assistant", "content": text}
            | ({"tool_calls": tool_calls} if tool_calls else {}),
            "finish_reason": "stop",
        }
        for index, (text, tool_calls) in enumerate(answers)
    ]
    completion = {"object": "chat.completion", "id": "x", "choices": choices, "usage": USAGE}

    def cut(text: str) -> list[str]:
        return [text[start : start + size] for start in range(0, len(text), size)]

    call = streamed(*chunks(completion, include_usage=True, pieces=cut))

    assert (call.response, call.error) == (completion, None)


def test_a_stream_needs_no_content_type_to_be_known() -> None:
    call = streamed(chunk({"content": "x"}, "stop"), DONE, response_headers=[])

    assert message(call)["content"] == "x"


def test_a_plain_answer_may_come_after_blanks_and_under_a_wrong_name() -> None:
    call = streamed(b"\n  \n" * 99, b'{"choices": [{"message": {"content": "x"}}]}')

    assert message(call)["content"] == "x"


def test_the_older_completions_become_chat() -> None:
    request = msgspec.json.encode({"model": "m", "prompt": "once", "max_tokens": 5})
    answer = {"object": "text_completion", "choices": [{"text": " upon", "finish_reason": "stop"}]}

    call = streamed(
        msgspec.json.encode({**answer, "usage": USAGE}), path="completions", request_body=request
    )

    assert call.request["messages"] == [{"role": "user", "content": "once"}]
    assert call.request["max_tokens"] == 5
    assert message(call) == {"role": "assistant", "content": " upon"}
    assert (call.error, flags(call)) == (None, [])


def test_the_older_completions_stream_texts() -> None:
    pieces = [chunk(choices=[{"index": 0, "text": text}]) for text in (" up", "on")]

    call = streamed(*pieces, DONE, path="completions")

    assert message(call)["content"] == " upon"


@pytest.mark.parametrize("prompt", [[1, 2, 3], [[1], [2]], None, {"a": 1}])
def test_a_prompt_of_numbers_stays_what_it_is(prompt: Any) -> None:
    request = {"model": "m", "prompt": prompt}

    call = streamed(DONE, path="completions", request_body=msgspec.json.encode(request))

    assert call.request == request
