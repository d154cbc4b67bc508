"""F25-F27, F29: HTTP that is wrong, hostile or seldom seen, and what becomes of it here.

What is doubtful is refused and ends the connection; nothing behind it is read as a request.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from gateways import Running, running_gateway
from raw_client import JSON, RawClient, Reply, chat, request

from slimdown.testing import (
    ScriptedUpstream,
    Seen,
    Step,
    Wait,
    answer,
    completion,
    completion_chunks,
    sse,
)

CHUNKED = "Transfer-Encoding: chunked"
LENGTH = f"Content-Length: {len(JSON)}"
IN_CHUNKS = b"%x\r\n%b\r\n0\r\n\r\n" % (len(JSON), JSON)
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
SMUGGLED = {
    "cl_te": request(b"0\r\n\r\n" + HIDDEN, "Content-Length: 5", CHUNKED),
    "te_cl": request(b"2c\r\n" + HIDDEN + b"\r\n0\r\n\r\n", CHUNKED, "Content-Length: 4"),
    "te_te": request(IN_CHUNKS + HIDDEN, CHUNKED, "Transfer-Encoding: identity"),
    "te_then_chunked": request(IN_CHUNKS + HIDDEN, "Transfer-Encoding: identity, chunked"),
    "te_gzip": request(IN_CHUNKS + HIDDEN, "Transfer-Encoding: gzip, chunked"),
    "te_unknown": request(IN_CHUNKS + HIDDEN, "Transfer-Encoding: xchunked"),
    "te_twice": request(IN_CHUNKS + HIDDEN, "Transfer-Encoding: chunked, chunked"),
    "te_with_a_parameter": request(IN_CHUNKS + HIDDEN, "Transfer-Encoding: chunked;q=1"),
    "te_after_a_vertical_tab": request(IN_CHUNKS + HIDDEN, "Transfer-Encoding: \x0bchunked"),
    "te_folded": request(IN_CHUNKS + HIDDEN, "Transfer-Encoding:\r\n chunked"),
    "te_before_a_space": request(IN_CHUNKS + HIDDEN, "Transfer-Encoding : chunked"),
    "a_folded_line": request(JSON, LENGTH, "X-A: b\r\n c"),
    "a_folded_length": request(JSON, f"{LENGTH}\r\n 5"),
    "a_space_before_the_first_line": request(JSON, LENGTH).replace(b"\r\nHost", b"\r\n Host"),
    "bare_line_feeds": request(JSON, LENGTH).replace(b"\r\n", b"\n"),
    "a_bare_line_feed": request(JSON, LENGTH, "X-A: b\nX-B: c"),
    "a_bare_carriage_return": request(JSON, LENGTH, "X-A: b\rX-B: c"),
    "a_blank_line_of_a_line_feed": request(JSON, LENGTH).replace(b"\r\n\r\n", b"\r\n\n"),
    "two_equal_lengths": request(JSON, LENGTH, LENGTH),
    "two_lengths": request(JSON, LENGTH, "Content-Length: 3"),
    "a_list_of_lengths": request(JSON, f"{LENGTH}, {len(JSON)}"),
    "a_signed_length": request(JSON, f"Content-Length: +{len(JSON)}"),
    "a_negative_length": request(JSON, "Content-Length: -1"),
    "a_hexadecimal_length": request(JSON, "Content-Length: 0x1b"),
    "a_length_that_wraps": request(JSON, f"Content-Length: {2**64 + len(JSON)}"),
    "a_length_with_a_space": request(JSON, "Content-Length: 2 7"),
    "a_space_before_the_colon": request(JSON, f"Content-Length : {len(JSON)}"),
    "nul_in_a_name": request(JSON, LENGTH, "X\0A: b"),
    "nul_in_a_value": request(JSON, LENGTH, "X-A: b\0c"),
    "a_line_without_a_name": request(JSON, LENGTH, ": b"),
    "a_line_without_a_colon": request(JSON, LENGTH, "XA"),
    "a_chunk_size_with_0x": request(b"0x5\r\nhello\r\n0\r\n\r\n", CHUNKED),
    "a_chunk_size_that_wraps": request(b"f" * 17 + b"\r\nhello\r\n0\r\n\r\n", CHUNKED),
    "a_negative_chunk_size": request(b"-5\r\nhello\r\n0\r\n\r\n", CHUNKED),
    "chunks_in_line_feeds": request(b"5\nhello\n0\n\n", CHUNKED),
    "a_chunk_longer_than_said": request(b"3\r\nhello\r\n0\r\n\r\n" + HIDDEN, CHUNKED),
    "a_chunk_extension_with_a_line_feed": request(b"5;a\nb\r\nhello\r\n0\r\n\r\n", CHUNKED),
    "http_2": request(JSON, LENGTH, version="HTTP/2.0") + HIDDEN,
    "http_1_2": request(JSON, LENGTH, version="HTTP/1.2") + HIDDEN,
    "http_0_9": b"GET /v1/models\r\n\r\n" + HIDDEN,
    "an_http_2_preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a_method_in_lower_case": request(JSON, LENGTH, method="post"),
    "an_unknown_method": request(JSON, LENGTH, method="BREW"),
    "connect": request(b"", method="CONNECT", target="evil.example:443"),
    "a_target_without_a_slash": request(b"", method="GET", target="evil.example"),
    "a_target_of_a_star": request(b"", method="OPTIONS", target="*"),
    "a_target_not_of_ascii": request(b"", method="GET", target="/v1/\xe9"),
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}
HOSTS = (
    "evil.example",
    "127.0.0.1.evil.example",
    "evil.example:8400",
    "localhost@evil.example",
    "evil.example/v1/models",
    "127.0.0.1/healthz?y=",
    "127.0.0.1?x",
    "127.0.0.1#x",
    "127.0.0.1\\evil",
    "127.0.0.1:80:80",
    "127.0.0.1:8400x",
    "127.0.0.1, evil.example",
    "localhost evil.example",
    "localhost%00.evil.example",
    "local host",
    "[::1",
    "::1",
    "[::ffff:127.0.0.1]",
    "0.0.0.0",
    "127.1",
    "2130706433",
    "",
)
ROUTES = (
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("GET", "/v1/models"),
    ("POST", "/v1/chat/completions"),
    ("DELETE", "/v1/files/1"),
    ("GET", "/nothing"),
)
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def reply_to(seen: Seen) -> list[Step]:
    if "/echo/" in seen.path:
        return answer({"path": seen.path})
    if b"stream" in seen.body:
        return sse(completion_chunks("a b c"))
    return answer(b"" if seen.method == "HEAD" else completion("ok"))


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream(reply_to) as made:
        yield made


@pytest.fixture(scope="module")
def gateway(
    upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    with running_gateway(tmp_path_factory.mktemp("http"), upstream.url) as made:
        yield made


@pytest.fixture
def client(gateway: Running) -> Iterator[RawClient]:
    with RawClient(gateway.url) as made:
        yield made


def asked(client: RawClient, method: str, target: str, *lines: str, host: str) -> Reply:
    body = JSON if method == "POST" else b""
    sent = request(body, *lines, method=method, target=target, host=host)
    return client.send(sent).reply(method)


@pytest.mark.parametrize("name", SMUGGLED)
def test_f26_a_request_in_doubtful_framing_is_refused_and_ends_the_connection(
    upstream: ScriptedUpstream, client: RawClient, name: str
) -> None:
    n_before = len(upstream.requests)

    reply = client.send(SMUGGLED[name]).reply()
    after = client.rest()

    assert reply.status == (501 if name in ("te_gzip", "te_then_chunked") else 400)
    assert reply.code in ("invalid_http", "transfer_coding_not_supported")
    assert reply.headers["connection"] == "close"
    assert (after, upstream.requests[n_before:]) == (b"", [])


def test_f26_what_is_whole_before_the_doubtful_is_answered(
    upstream: ScriptedUpstream, client: RawClient
) -> None:
    n_before = len(upstream.requests)

    reply = client.send(request() + b"\0\0\r\n\r\n" + HIDDEN).reply()
    after = client.rest()

    assert (reply.status, after) == (200, b"")
    assert [seen.path for seen in upstream.requests[n_before:]] == ["/v1/chat/completions"]


def test_f26_what_comes_after_a_request_to_close_is_not_served(
    upstream: ScriptedUpstream, client: RawClient
) -> None:
    n_before = len(upstream.requests)

    reply = client.send(request(JSON, "Connection: close") + HIDDEN).reply()
    after = client.rest()

    assert (reply.status, reply.headers["connection"], after) == (200, "close", b"")
    assert len(upstream.requests) == n_before + 1


def test_f26_trailers_are_not_taken_for_headers(
    upstream: ScriptedUpstream, client: RawClient
) -> None:
    trailed = IN_CHUNKS.removesuffix(b"\r\n") + b"Authorization: Bearer sk-1\r\n\r\n"

    reply = client.send(request(trailed, CHUNKED)).reply()

    assert reply.status == 200
    assert upstream.requests[-1].body == JSON
    assert upstream.requests[-1].header("authorization") is None


def test_f26_trailers_without_end_are_refused(client: RawClient) -> None:
    endless = IN_CHUNKS.removesuffix(b"\r\n") + b"X-A: b\r\n" * 100_000

    client.send(request(b"", CHUNKED))
    try:
        client.send(endless)
    except OSError:  # it has had enough before all was sent
        reply = client.reply()
    else:
        reply = client.reply()

    assert (reply.status, reply.code) == (431, "headers_too_large")


def test_f27_a_client_of_http_1_0_is_answered_and_the_connection_ends(client: RawClient) -> None:
    reply = client.send(request(version="HTTP/1.0")).reply()

    assert (reply.status, reply.headers["connection"]) == (200, "close")
    assert client.rest() == b""


def test_f27_a_stream_for_http_1_0_comes_in_chunks_all_the_same(client: RawClient) -> None:
    """RFC 9112, 6.1 forbids it, but nginx asks in HTTP/1.0 and reads chunks: held back for a
    length, its users' streams would no longer stream."""
    reply = client.send(request(chat("a", stream=True), version="HTTP/1.0")).reply()

    assert reply.body.endswith(b"data: [DONE]\n\n")
    assert client.rest() == b""


def test_f27_pipelined_requests_are_answered_in_order(client: RawClient) -> None:
    client.send(b"".join(request(b"", method="GET", target=f"/echo/{name}") for name in "abc"))

    replies = [client.reply() for _ in range(3)]

    assert [msgspec.json.decode(reply.body)["path"] for reply in replies] == [
        "/v1/echo/a",
        "/v1/echo/b",
        "/v1/echo/c",
    ]


def test_f27_a_stream_and_a_plain_call_pipelined_do_not_mix(client: RawClient) -> None:
    client.send(request(chat("a", stream=True)) + request())

    first, second = client.reply(), client.reply()

    assert first.body.endswith(b"data: [DONE]\n\n")
    assert b'"ok"' in second.body


def test_f27_a_client_that_asks_first_is_told_to_go_on(
    upstream: ScriptedUpstream, client: RawClient
) -> None:
    client.send(request(b"", LENGTH, "Expect: 100-continue"))
    told = client.until(b"\r\n\r\n")
    reply = client.send(JSON).reply()

    assert (told, reply.status) == (b"HTTP/1.1 100 Continue\r\n\r\n", 200)
    assert upstream.requests[-1].header("expect") is None


def test_f27_a_client_that_asks_first_about_too_much_is_told_no(client: RawClient) -> None:
    reply = client.send(request(b"", f"Content-Length: {64 << 20}", "Expect: 100-continue")).reply()

    assert reply.status == 413


@pytest.mark.parametrize("target", ["/healthz", "/metrics", "/v1/models"])
def test_f27_head_has_no_body(client: RawClient, target: str) -> None:
    first = asked(client, "HEAD", target, host="127.0.0.1")
    second = asked(client, "GET", "/healthz", host="127.0.0.1")

    assert (first.status, second.status) == (200, 200)


@pytest.mark.parametrize("method", ["OPTIONS", "PUT", "PATCH", "DELETE"])
def test_f25_f27_an_unknown_endpoint_is_the_upstreams_affair(
    upstream: ScriptedUpstream, client: RawClient, method: str
) -> None:
    reply = asked(client, method, "/v1/no/such?a=%2F", host="localhost")

    seen = upstream.requests[-1]
    assert reply.status == 200
    assert (seen.method, seen.path) == (method, "/v1/no/such?a=%2F")


def test_f25_a_method_that_no_provider_has_is_refused(client: RawClient) -> None:
    reply = asked(client, "TRACE", "/v1/models", host="localhost")

    assert (reply.status, reply.code) == (405, "method_not_allowed")


def test_an_offer_of_http_2_is_declined_and_the_body_kept(
    upstream: ScriptedUpstream, client: RawClient
) -> None:
    offer = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk")

    replies = [client.send(request(JSON, *offer)).reply() for _ in range(2)]

    assert [reply.status for reply in replies] == [200, 200]
    assert [seen.body for seen in upstream.requests[-2:]] == [JSON, JSON]
    assert upstream.requests[-1].header("http2-settings") is None


def test_a_web_socket_is_refused_with_its_reason(client: RawClient) -> None:
    lines = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")

    reply = asked(client, "GET", "/v1/realtime", *lines, host="localhost")

    assert (reply.status, reply.code) == (501, "upgrade_not_supported")


@pytest.mark.parametrize("host", HOSTS)
def test_a_malformed_or_foreign_host_gets_the_same_verdict_on_every_route(
    upstream: ScriptedUpstream, gateway: Running, host: str
) -> None:
    n_before, found = len(upstream.requests), set()

    for method, target in ROUTES:
        with RawClient(gateway.url) as client:
            reply = asked(client, method, target, host=host)
            found.add((reply.status, reply.code))

    assert found == {(403, "host_not_allowed")}
    assert len(upstream.requests) == n_before


def test_a_target_that_names_another_host_does_not_choose_it(
    upstream: ScriptedUpstream, client: RawClient
) -> None:
    reply = asked(client, "GET", "http://evil.example/v1/models", host="localhost")

    assert reply.status == 200
    assert upstream.requests[-1].path == "/v1/models"


@pytest.mark.parametrize("method", METHODS)
def test_a_page_of_another_origin_is_refused_for_every_method(
    upstream: ScriptedUpstream, gateway: Running, method: str
) -> None:
    n_before, found = len(upstream.requests), set()

    for _, target in ROUTES:
        for origin in ("https://evil.example", "null", "http://evil.example//localhost"):
            with RawClient(gateway.url) as client:
                reply = asked(client, method, target, f"Origin: {origin}", host="localhost")
                found.add(reply.status)

    assert found == {403}
    assert len(upstream.requests) == n_before


def test_f29_an_idempotency_key_passes_and_each_call_has_its_row(tmp_path: Path) -> None:
    """Whether two calls are one is the upstream's to say, which knows what it has answered."""
    headers = {"idempotency-key": "same"}

    with (
        ScriptedUpstream([Wait(0.1), *answer(completion("ok"))]) as upstream,
        running_gateway(tmp_path, upstream.url) as gateway,
    ):
        threads = [
            threading.Thread(target=gateway.post, kwargs={"headers": headers}) for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        calls = gateway.calls_after(2)

    keys = [seen.header("idempotency-key") for seen in upstream.requests]
    assert keys == ["same", "same"]
    assert len({call.id for call in calls}) == 2
