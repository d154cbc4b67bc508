"""F20: a client that leaves, at every point of a call. The upstream is told at once, and where
something was asked, a row says what had come until then."""

from __future__ import annotations

import base64
import time
from pathlib import Path
from typing import Any

import pytest
from gateways import Running, running_gateway
from raw_client import JSON, RawClient, chat, request

from slimdown.testing import (
    Hang,
    Say,
    ScriptedUpstream,
    Step,
    answer,
    completion,
    completion_chunks,
    head,
    sse,
)
from slimdown.types import Call

STREAM = request(chat("where is it?", stream=True))
HALF = [Say(head(200, [("content-type", "application/json"), ("content-length", "99")]) + b'{"a"')]
HANG: list[Step] = [Hang()]
LEFT_AT: dict[str, tuple[bytes, list[Step]]] = {
    "before_headers": (request(), HANG),
    "before_the_first_token": (STREAM, [*sse([], done=False), Hang()]),
    "mid_stream": (STREAM, [*sse(completion_chunks("so far"), done=False), Hang()]),
    "in_a_plain_answer": (request(), [*HALF, Hang()]),
}


def facts(call: Call) -> dict[str, Any]:
    found: dict[str, Any] = call.metadata["gateway"]
    return found


def leave_after(gateway: Running, sent: bytes, mark: bytes = b"") -> None:
    with RawClient(gateway.url) as client:
        client.send(sent).until(mark)


@pytest.mark.parametrize("point", LEFT_AT)
def test_f20_a_client_that_leaves_ends_the_upstreams_work_and_leaves_a_row(
    tmp_path: Path, point: str
) -> None:
    sent, script = LEFT_AT[point]
    mark = b"\r\n\r\n" if sent is STREAM else b""

    with (
        ScriptedUpstream(script) as upstream,
        running_gateway(tmp_path, upstream.url) as gateway,
        RawClient(gateway.url) as client,
    ):
        client.send(sent)
        upstream.wait_for_requests()
        client.until(mark)
        client.close()
        upstream.wait_for_abort(timeout=5)
        (call,) = gateway.calls_after(1)

    assert call.error == "client_disconnected"
    assert call.request["messages"]
    assert len(upstream.requests) == 1


def test_f20_what_a_client_had_of_a_stream_when_it_left_is_kept(tmp_path: Path) -> None:
    script: list[Step] = [*sse(completion_chunks("the first half"), done=False), Hang()]

    with (
        ScriptedUpstream(script) as upstream,
        running_gateway(tmp_path, upstream.url) as gateway,
    ):
        leave_after(gateway, STREAM, b"half")
        upstream.wait_for_abort(timeout=5)
        (call,) = gateway.calls_after(1)

    assert call.error == "client_disconnected"
    assert call.response is not None
    assert call.response["choices"][0]["message"]["content"] == "the first half"
    assert facts(call)["outcome"] == "client_disconnected"


def test_f20_what_had_come_of_a_plain_answer_is_kept_as_bytes(tmp_path: Path) -> None:
    with (
        ScriptedUpstream([*HALF, Hang()]) as upstream,
        running_gateway(tmp_path, upstream.url) as gateway,
        RawClient(gateway.url) as client,
    ):
        client.send(request())
        upstream.wait_for_requests()
        time.sleep(0.2)  # the gateway has the first bytes by then; nothing shows it outside
        client.close()
        (call,) = gateway.calls_after(1)

    assert call.error == "client_disconnected"
    assert base64.b64decode(facts(call)["raw_response"]["base64"]) == b'{"a"'


def test_f20_a_client_that_leaves_after_the_last_byte_was_served(tmp_path: Path) -> None:
    with (
        ScriptedUpstream(sse(completion_chunks("all of it"))) as upstream,
        running_gateway(tmp_path, upstream.url) as gateway,
    ):
        leave_after(gateway, STREAM, b"[DONE]")
        (call,) = gateway.calls_after(1)

    assert call.error is None
    assert upstream.aborts == []


def test_f20_a_client_that_leaves_before_its_request_is_whole_asked_nothing(
    tmp_path: Path,
) -> None:
    with (
        ScriptedUpstream(answer(completion("ok"))) as upstream,
        running_gateway(tmp_path, upstream.url) as gateway,
    ):
        leave_after(gateway, request()[:-3])
        gateway.post()
        calls = gateway.calls()

    assert len(calls) == 1
    assert len(upstream.requests) == 1


def test_f20_a_client_that_leaves_frees_its_place(tmp_path: Path) -> None:
    with (
        ScriptedUpstream([HANG, answer(completion("ok"))]) as upstream,
        running_gateway(tmp_path, upstream.url, max_in_flight=1) as gateway,
    ):
        with RawClient(gateway.url) as client:
            client.send(request())
            upstream.wait_for_requests()
            refused = gateway.post()
        upstream.wait_for_abort(timeout=5)
        served = gateway.post()

    assert (refused.status_code, served.status_code) == (429, 200)


def test_f20_a_client_that_pipelines_and_leaves_ends_the_first_of_its_calls(
    tmp_path: Path,
) -> None:
    with (
        ScriptedUpstream([HANG, answer(completion("ok"))]) as upstream,
        running_gateway(tmp_path, upstream.url) as gateway,
        RawClient(gateway.url) as client,
    ):
        client.send(request() + request())
        upstream.wait_for_requests()
        client.close()
        upstream.wait_for_abort(timeout=5)
        (call,) = gateway.calls_after(1)

    assert call.error == "client_disconnected"
    assert len(upstream.requests) == 1


def test_f20_half_a_close_counts_as_leaving(tmp_path: Path) -> None:
    """HTTP/1.1 lets a server take the end of sending for the end of all (RFC 9112, 9.6)."""
    with (
        ScriptedUpstream(HANG) as upstream,
        running_gateway(tmp_path, upstream.url) as gateway,
        RawClient(gateway.url) as client,
    ):
        client.send(request(JSON))
        upstream.wait_for_requests()
        client.end_sending()
        upstream.wait_for_abort(timeout=5)
        (call,) = gateway.calls_after(1)

    assert call.error == "client_disconnected"
