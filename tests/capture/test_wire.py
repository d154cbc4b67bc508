"""From an exchange to a call: what is asked, what is known, and that no bytes lose a call."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slimdown.capture.wire import RAW_REQUEST_BYTES, call_of, endpoint_of
from slimdown.capture.wire_answer import RAW_RESPONSE_BYTES
from slimdown.exchange import Exchange
from slimdown.store.packing import pack
from slimdown.types import Call, JsonObject

REQUEST = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
USAGE = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
COMPLETION = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "model": "m-1",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "hello"},
            "finish_reason": "stop",
        }
    ],
    "usage": USAGE,
}
PATHS = ("chat/completions", "responses", "messages", "completions", "embeddings", "models")


def exchange(asked: Any = REQUEST, answered: Any = COMPLETION, **fields: Any) -> Exchange:
    def body(value: Any) -> bytes:
        return value if isinstance(value, bytes) else msgspec.json.encode(value)

    plain: dict[str, Any] = {
        "call_id": "c" * 32,
        "path": "/v1/chat/completions",
        "request_headers": [],
        "request_body": body(asked),
        "status": 200,
        "response_body": body(answered),
        "started_at": 1_700_000_000.25,
        "latency_ms": 12.3456,
    }
    return Exchange(**(plain | fields))


def known(call: Call) -> JsonObject:
    found: JsonObject = call.metadata["gateway"]
    return found


@pytest.mark.parametrize(
    ("path", "endpoint"),
    [
        ("/v1/chat/completions", "chat"),
        ("/chat/completions", "chat"),
        ("/openai/deployments/X/chat/completions", "chat"),
        ("/openai/deployments/X/chat/completions?api-version=1", "chat"),
        ("/v1/chat/completions/", "chat"),
        ("/v1/responses", "responses"),
        ("/v1/messages", "messages"),
        ("/v1/completions", "completions"),
        ("/v1/embeddings", "embeddings"),
        ("/v1/messages/count_tokens", None),
        ("/v1/messages/batches", None),
        ("/v1/responses/resp_1", None),
        ("/v1/responses/compact", None),
        ("/v1/threads/t_1/messages", None),
        ("/v1/models", None),
        ("/", None),
        ("/" + "x" * 100_000 + "/chat/completions", None),
    ],
)
def test_a_path_tells_what_is_asked(path: str, endpoint: str | None) -> None:
    assert endpoint_of("POST", path) == endpoint


def test_only_a_post_asks_a_model() -> None:
    assert endpoint_of("GET", "/v1/chat/completions") is None


def test_a_chat_exchange_becomes_the_call_that_it_was() -> None:
    call = call_of(exchange())

    assert (call.id, call.request, call.response) == ("c" * 32, REQUEST, COMPLETION)
    assert (call.started_at, call.latency_ms) == ("2023-11-14T22:13:20.250Z", 12.346)
    assert call.error is None
    assert known(call) == {
        "endpoint": "chat",
        "status": 200,
        "stream": False,
        "outcome": "ok",
        "served_by": "upstream",
    }


def test_what_the_gateway_knows_is_kept_beside_the_call() -> None:
    call = call_of(
        exchange(
            {**REQUEST, "user": "u-1"},
            served_by="spec-1",
            task_id="t-1",
            reason="live",
            score=0.0,
            upstream="openai",
            first_byte_ms=4.5,
            facts={"asked_ms": 2.0},
            request_headers=[(b"x-slimdown-audience", b"Human")],
        )
    )

    assert known(call)["served_by"] == "spec-1"
    assert (known(call)["task"], known(call)["reason"], known(call)["score"]) == ("t-1", "live", 0)
    assert (known(call)["upstream"], known(call)["ttft_ms"]) == ("openai", 4.5)
    assert (known(call)["end_user"], known(call)["facts"]) == ("u-1", {"asked_ms": 2.0})
    assert call.metadata["audience"] == "human"


def test_a_request_that_was_decoded_before_is_not_changed() -> None:
    request = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "metadata": {"a": 1}}
    before = msgspec.json.encode(request)

    call = call_of(exchange(before, request=request))

    assert msgspec.json.encode(request) == before
    assert call.request == request


@pytest.mark.parametrize(
    ("response", "fields", "error"),
    [
        (COMPLETION, {"outcome": "client_disconnected"}, "client_disconnected"),
        (b"", {"outcome": "upstream_unreachable", "status": None}, "upstream_unreachable"),
        (COMPLETION, {"cut": True}, "recorded_in_part"),
        (b'{"choices": [', {"cut": True}, "recorded_in_part"),
        (b"<html>502</html>", {}, "upstream_invalid"),
        (b"<html>502</html>", {"status": 502}, "upstream_status_502"),
        (b"", {}, "upstream_invalid"),
        (b"[]", {}, "upstream_invalid"),
        ({"id": "x"}, {}, "upstream_invalid"),
        ({"choices": []}, {}, "upstream_invalid"),
        (b"null", {"status": 500}, "upstream_status_500"),
    ],
)
def test_a_call_without_a_whole_answer_says_why(
    response: Any, fields: dict[str, Any], error: str
) -> None:
    assert call_of(exchange(answered=response, **fields)).error == error


@pytest.mark.parametrize(
    ("told", "error"),
    [
        (
            {"type": "rate_limit_error", "message": "secret"},
            "upstream_status_429: rate_limit_error",
        ),
        ({"type": "requests", "code": "rate_limit"}, "upstream_status_429: requests rate_limit"),
        ({"type": None, "code": 429}, "upstream_status_429: 429"),
        ({"type": "with blanks, and\nmore", "code": "x" * 99}, "upstream_status_429"),
        ("words", "upstream_status_429"),
    ],
)
def test_an_error_status_is_told_with_the_providers_code_and_no_words(
    told: Any, error: str
) -> None:
    call = call_of(exchange(answered={"error": told}, status=429))

    assert call.error == error
    assert call.response == {"error": told}


def test_an_error_in_an_answers_place_is_no_answer() -> None:
    call = call_of(exchange(answered={"error": {"code": "content_filter", "message": "no"}}))

    assert call.error == "upstream_error: content_filter"


def test_what_is_no_answer_is_kept_as_bytes_within_a_bound() -> None:
    call = call_of(exchange(answered=b"<html>" + b"x" * (1 << 20)))

    raw = known(call)["raw_response"]
    assert raw["n_bytes"] == (1 << 20) + 6
    assert len(raw["base64"]) < RAW_RESPONSE_BYTES * 1.4


HOSTILE = {
    "invalid UTF-8": b'{"messages": [{"content": "\xff"}]}',
    "lone surrogate": b'{"messages": [{"content": "\\ud800"}]}',
    "not a number": b'{"messages": [], "x": NaN}',
    "beyond a float": b'{"messages": [], "x": 1e400}',
    "many digits": b'{"messages": [], "x": 1' + b"0" * 5_000 + b"}",
    "byte order mark": b'\xef\xbb\xbf{"messages": []}',
    "depth": b"[" * 100_000,
    "deep objects": b'{"a":' * 100_000,
    "no object": b'["messages"]',
    "many keys": b"{" + b",".join(b'"k%d":1' % i for i in range(1_000_000)) + b"}",
    "many lists": b'{"a":[' + b",".join([b"[]"] * 1_000_000) + b"]}",
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_a_request_that_cannot_be_decoded_is_kept_as_bytes(body: bytes) -> None:
    call = call_of(exchange(body))

    assert (call.request, call.error) == ({}, None)
    assert known(call)["raw_request"]["n_bytes"] == len(body)
    assert len(known(call)["raw_request"]["base64"]) < RAW_REQUEST_BYTES * 1.4


def test_a_request_that_says_a_key_twice_is_kept_as_it_was_sent() -> None:
    body = b'{"model": "a", "model": "b", "messages": [{"role": "user", "content": "a: \\"b\\":"}]}'

    call = call_of(exchange(body))

    assert call.request["model"] == "b"
    assert known(call)["raw_request"]["n_bytes"] == len(body)


@pytest.mark.parametrize("indent", [0, 2])
def test_a_request_that_says_each_key_once_is_not_kept_twice(indent: int) -> None:
    request = {**REQUEST, "metadata": {"note": 'x: y ":" \u00e9'}}

    call = call_of(exchange(msgspec.json.format(msgspec.json.encode(request), indent=indent)))

    assert "raw_request" not in known(call)


WORDS = [
    *("messages", "content", "role", "type", "input", "choices", "delta", "usage", "output"),
    *("tool_calls", "function", "index", "system", "tools", "error", "metadata", "response"),
    *("item", "message", "text", "prompt", "data", "id", "arguments", "name", "status", "x"),
]
BYTES = st.one_of(
    st.binary(max_size=200),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=5)
        ),
        max_leaves=12,
    ).map(msgspec.json.encode),
)
STREAMS = st.lists(BYTES, max_size=5).map(
    lambda parts: b"".join(b"data: %s\n\n" % p for p in parts)
)


@given(
    request=BYTES,
    response=BYTES | STREAMS,
    path=st.sampled_from(PATHS),
    status=st.sampled_from([200, 404, None]),
    encoding=st.sampled_from([b"", b"gzip", b"deflate", b"zstd", b"br", b"gzip, zstd, br, gzip"]),
    headers=st.lists(
        st.tuples(st.sampled_from([b"x-session-id", b"traceparent", b"x"]), st.binary(max_size=9))
    ),
)
def test_whatever_the_bytes_a_call_comes_out(
    request: bytes, response: bytes, path: str, status: int, encoding: bytes, headers: Any
) -> None:
    call = call_of(
        exchange(
            request,
            response,
            path=f"/v1/{path}",
            status=status,
            request_headers=headers,
            response_headers=[(b"content-encoding", encoding)],
        )
    )

    assert call.id == "c" * 32
    assert "fault" not in known(call)
    assert pack(call).facts.id == call.id


def test_a_fault_of_ours_keeps_the_call_with_its_bytes() -> None:
    call = call_of(exchange(b"{}", request={"messages": Trouble()}))

    assert (call.id, call.error) == ("c" * 32, "unreadable")
    assert known(call)["flags"] == ["unreadable"]
    assert known(call)["raw_response"]["n_bytes"] > 0


class Trouble:
    """What no decoder makes, so that reading it fails."""
