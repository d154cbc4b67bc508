"""F21: clients that send slowly or take slowly are given up, and nobody else waits for them."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path

from gateways import running_gateway
from raw_client import RawClient, chat, request

from slimdown.testing import (
    Hang,
    Say,
    ScriptedUpstream,
    Seen,
    Step,
    answer,
    chunk,
    completion,
    sse,
)

PATIENCE_S = 0.3
LARGE = b'{"text": "' + b"x" * (12 << 20) + b'"}'
EVENT = b": %b\n\n" % LARGE[:65536]
SMALL_BUFFER = 16384


def reply_to(seen: Seen) -> list[Step]:
    """Answer a large question at such length that no kernel holds it, others shortly."""
    if b"at length" not in seen.body:
        return answer(completion("ok"))
    if seen.json.get("stream"):
        return [*sse([], done=False), *[Say(chunk(EVENT))] * 4096, Say(chunk(b""))]
    return answer(LARGE)


def test_f21_a_request_that_does_not_become_whole_is_ended(tmp_path: Path) -> None:
    begun = (b"", b"POST /v1/chat/completions HT", request()[:60], request()[:-5])

    with (
        ScriptedUpstream([]) as upstream,
        running_gateway(tmp_path, upstream.url, client_timeout_s=PATIENCE_S) as gateway,
        ExitStack() as stack,
    ):
        clients = [stack.enter_context(RawClient(gateway.url)).send(sent) for sent in begun]
        replies = [client.reply() for client in clients]
        after = [client.rest() for client in clients]
        calls = gateway.calls()

    assert {(reply.status, reply.code) for reply in replies} == {(408, "request_timeout")}
    assert {reply.headers["connection"] for reply in replies} == {"close"}
    assert (after, upstream.requests, calls) == ([b""] * 4, [], [])


def test_f21_a_byte_now_and_then_does_not_buy_time(tmp_path: Path) -> None:
    with (
        ScriptedUpstream([]) as upstream,
        running_gateway(tmp_path, upstream.url, client_timeout_s=PATIENCE_S) as gateway,
        RawClient(gateway.url) as client,
    ):
        n_sent = trickled(client, request())
        reply = client.reply()

    assert reply.code == "request_timeout"
    assert n_sent < len(request())


def trickled(client: RawClient, data: bytes) -> int:
    """Send byte by byte until the other side has had enough; return how many went out."""
    for n in range(len(data)):
        try:
            client.send(data[n : n + 1])
        except OSError:
            return n
        time.sleep(0.05)
    return len(data)


def test_f21_a_connection_at_rest_between_two_calls_is_not_slow(tmp_path: Path) -> None:
    with (
        ScriptedUpstream(answer(completion("ok"))) as upstream,
        running_gateway(tmp_path, upstream.url, client_timeout_s=PATIENCE_S) as gateway,
        RawClient(gateway.url) as client,
    ):
        first = client.send(request()).reply()
        time.sleep(1.5)  # the clocks are looked at once a second
        second = client.send(request()).reply()

    assert (first.status, second.status) == (200, 200)


def test_f21_a_call_that_the_upstream_is_slow_to_answer_is_not_slow(tmp_path: Path) -> None:
    with (
        ScriptedUpstream([[Hang()]]) as upstream,
        running_gateway(
            tmp_path, upstream.url, client_timeout_s=PATIENCE_S, first_byte_timeout_s=1.8
        ) as gateway,
        RawClient(gateway.url) as client,
    ):
        reply = client.send(request()).reply()

    assert reply.code == "upstream_timeout"


def test_f21_readers_that_take_nothing_are_given_up_and_others_are_served(tmp_path: Path) -> None:
    with (
        ScriptedUpstream(reply_to) as upstream,
        running_gateway(tmp_path, upstream.url, client_timeout_s=PATIENCE_S) as gateway,
        RawClient(gateway.url, receive_buffer=SMALL_BUFFER) as plain,
        RawClient(gateway.url, receive_buffer=SMALL_BUFFER) as stream,
    ):
        plain.send(request(chat("at length"))).until(b"\r\n\r\n")
        stream.send(request(chat("at length", stream=True))).until(b"\r\n\r\n")
        others = [gateway.post().status_code for _ in range(5)]
        left = [len(plain.rest_after(2.5)), len(stream.rest())]

    assert others == [200] * 5
    assert max(left) < len(LARGE)


def test_f21_a_reader_that_is_given_up_ends_the_upstreams_stream(tmp_path: Path) -> None:
    """It is held back meanwhile: it could not say all of its 256 MB, or there were no abort."""
    with (
        ScriptedUpstream(reply_to) as upstream,
        running_gateway(tmp_path, upstream.url, client_timeout_s=PATIENCE_S) as gateway,
        RawClient(gateway.url, receive_buffer=SMALL_BUFFER) as client,
    ):
        client.send(request(chat("at length", stream=True))).until(b"\r\n\r\n")
        upstream.wait_for_abort()
        (call,) = gateway.calls_after(1)

    assert call.error == "client_disconnected"


def test_f21_a_slow_reader_that_goes_on_reading_gets_all(tmp_path: Path) -> None:
    with (
        ScriptedUpstream(reply_to) as upstream,
        running_gateway(tmp_path, upstream.url, client_timeout_s=1.2) as gateway,
        RawClient(gateway.url, receive_buffer=8 * SMALL_BUFFER) as client,
    ):
        client.send(request(chat("at length")))
        started = client.until(b"\r\n\r\n")
        for _ in range(5):
            time.sleep(0.5)
            client.exactly(1 << 20)
        client.exactly(len(LARGE) - (5 << 20))

    assert b"200 OK" in started


def test_f21_a_head_without_end_is_refused_before_it_fills_memory(tmp_path: Path) -> None:
    with (
        ScriptedUpstream([]) as upstream,
        running_gateway(tmp_path, upstream.url) as gateway,
        RawClient(gateway.url) as client,
    ):
        client.send(request()[:-40].partition(b"Content")[0])
        n_sent = flooded(client, b"X-A: " + b"b" * 4000 + b"\r\n")
        reply = client.reply()

    assert (reply.status, reply.code) == (431, "headers_too_large")
    assert n_sent < 8 << 20


def flooded(client: RawClient, line: bytes) -> int:
    """Send a line again and again until the other side has had enough; return the bytes sent."""
    for n in range(100_000):
        try:
            client.send(line)
        except OSError:
            return n * len(line)
    return 100_000 * len(line)
