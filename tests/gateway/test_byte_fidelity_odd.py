"""What no cassette holds: odd but lawful exchanges, which pass through the gateway as they are."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import pytest
from callers import NOT_RETURNED, NOT_SENT, Caller, Heard, Lines
from gateways import CHAT, Running, running_gateway

from slimdown.testing import (
    Reset,
    Say,
    ScriptedUpstream,
    Seen,
    Step,
    answer,
    chunk,
    completion,
    completion_chunks,
    head,
    sse,
)

CHATTING = "/v1/chat/completions"
STREAMING = msgspec.json.encode({**CHAT, "stream": True})
JSON: Lines = [(b"content-type", b"application/json")]
EVENTS = b"".join(
    b"data: " + msgspec.json.encode(each) + b"\n\n" for each in completion_chunks("so it goes")
)
STREAM = EVENTS + b"data: [DONE]\n\n"


SSE = Say(head(200, [("content-type", "text/event-stream"), ("transfer-encoding", "chunked")]))
FRAMED = [
    [("content-length", "9999")],
    [("content-encoding", "gzip"), ("transfer-encoding", "chunked")],
]
OTHER_NAMES = [None, "text/plain", "application/octet-stream", "Text/Event-Stream"]


class Sides(msgspec.Struct, frozen=True):
    """One upstream, and a client of it on either way."""

    upstream: ScriptedUpstream
    gateway: Running

    def ask(
        self, script: Sequence[Step], method: str, path: str, lines: Lines = JSON, body: bytes = b""
    ) -> tuple[Heard, Heard]:
        self.upstream.play(script)
        with Caller(self.upstream.port) as direct, self.caller() as ours:
            return direct.ask(method, path, lines, body), ours.ask(method, path, lines, body)

    def caller(self) -> Caller:
        """Return a client of the gateway."""
        return Caller(int(self.gateway.url.rpartition(":")[2]))

    @property
    def seen(self) -> tuple[Seen, Seen]:
        directly, through = self.upstream.requests[-2:]
        return directly, through


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sides]:
    with ScriptedUpstream([]) as upstream:
        root = upstream.url.removesuffix("/v1")
        with running_gateway(tmp_path_factory.mktemp("odd"), root) as gateway:
            yield Sides(upstream, gateway)


def returned(heard: Heard) -> Lines:
    kept = [line for line in heard.lines if line[0] not in NOT_RETURNED]
    return [line for line in kept if not line[0].startswith(b"x-slimdown-")]


def sent(seen: Seen) -> Lines:
    lowered = [(name.lower(), value) for name, value in seen.headers]
    return [line for line in lowered if line[0] not in NOT_SENT]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/files/a%2Fb%20c?x=%C3%A9&y=a+b&y=2&z",
        "/v1//files///x",
        "/v1/files/../models/./x",
        "/v1/files/%2e%2e/x;a=1,2",
        "/v1/files?a=1?b=2&c=[]{}|^",
        "/?q",
        "/v1/files/~user/$metadata(':@!')",
        "/v1/chat/completions?api-version=2024-06-01",
        "/v1/models/" + "x" * 4000,
    ],
)
def test_a_path_arrives_as_it_was_sent(sides: Sides, path: str) -> None:
    sides.ask(answer({}), "GET", path)

    directly, through = sides.seen
    assert through.path == directly.path == path


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "POST"])
def test_every_method_passes_with_its_body_and_its_reply(sides: Sides, method: str) -> None:
    body = b"" if method in ("GET", "HEAD") else b"\x00\xff\r\n"

    script: list[Step] = [Say(head(200, [("content-length", "6")]) + b"\x00reply")]
    if method == "HEAD":
        script = [Say(head(200, [("content-length", "6")]))]

    direct, ours = sides.ask(script, method, "/v1/files/x", body=body)

    directly, through = sides.seen
    assert (through.method, through.body) == (directly.method, directly.body) == (method, body)
    assert (ours.status, ours.body) == (direct.status, direct.body)
    assert returned(ours) == returned(direct)


def test_repeated_empty_and_foreign_header_lines_arrive_in_order(sides: Sides) -> None:
    lines = [*JSON, (b"x-a", b"2"), (b"x-b", b""), (b"X-A", b"1"), (b"x-c", b"caf\xc3\xa9")]

    sides.ask(answer({}), "POST", CHATTING, lines, msgspec.json.encode(CHAT))

    directly, through = sides.seen
    assert sent(through) == sent(directly) == [(name.lower(), value) for name, value in lines]


def test_repeated_empty_and_foreign_header_lines_return_in_order(sides: Sides) -> None:
    lines = [("X-A", "2"), ("x-b", ""), ("x-a", "1"), ("Link", "<a>, <b>"), ("x-c", "caf\xe9")]

    direct, ours = sides.ask(answer({}, headers=lines), "GET", "/v1/files")

    assert returned(ours) == returned(direct)
    assert [value for name, value in returned(ours) if name == b"x-a"] == [b"2", b"1"]


def test_a_request_in_chunks_arrives_whole(sides: Sides) -> None:
    body = msgspec.json.encode(CHAT)
    sides.upstream.play(answer(completion("ok")))
    lines = b"Host: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = b"".join(chunk(body[at : at + 7]) for at in range(0, len(body), 7)) + chunk(b"")

    with sides.caller() as caller:
        heard = caller.send(b"POST %b HTTP/1.1\r\n%b%b" % (CHATTING.encode(), lines, chunks))

    assert heard.status == 200
    assert sides.upstream.requests[-1].body == body
    assert sides.upstream.requests[-1].header("content-length") == str(len(body))


def test_a_large_request_and_a_large_answer_pass_whole(sides: Sides) -> None:
    request = msgspec.json.encode({**CHAT, "x": "é" * 2_000_000})
    reply = msgspec.json.encode({**completion("ok"), "x": "ü" * 2_000_000})

    direct, ours = sides.ask(answer(reply), "POST", CHATTING, body=request)

    assert ours.body == direct.body == reply
    assert sides.seen[1].body == request


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_chunks_of_any_size_stay_what_they_were(sides: Sides, size: int) -> None:
    parts = [STREAM[at : at + size] for at in range(0, len(STREAM), size)]
    begun = Say(
        head(200, [("content-type", "text/event-stream"), ("transfer-encoding", "chunked")])
    )
    script = [begun, *(Say(chunk(part)) for part in [*parts, b""])]

    direct, ours = sides.ask(script, "POST", CHATTING, body=STREAMING)

    assert ours.parts == direct.parts == parts


def test_a_stream_that_ends_with_its_connection_passes_whole(sides: Sides) -> None:
    sides.upstream.play(sse(completion_chunks("so it goes"), chunked=False))

    with sides.caller() as caller:
        ours = caller.ask("POST", CHATTING, JSON, STREAMING)

    assert ours.body == STREAM
    assert sides.gateway.calls()[-1].error is None


@pytest.mark.parametrize(
    "kind", [None, "text/plain", "application/octet-stream", "Text/Event-Stream"]
)
def test_a_stream_under_another_name_passes_and_is_recorded(sides: Sides, kind: Any) -> None:
    named = [("content-type", kind)] if kind else []
    begun = Say(head(200, [*named, ("transfer-encoding", "chunked")]))
    script = [begun, *(Say(chunk(event + b"\n\n")) for event in STREAM.split(b"\n\n")[:-1])]

    direct, ours = sides.ask([*script, Say(chunk(b""))], "POST", CHATTING, body=STREAMING)

    assert (ours.status, ours.parts) == (200, direct.parts)
    assert returned(ours) == returned(direct)
    call = sides.gateway.calls()[-1]
    assert call.response is not None
    assert call.response["choices"][0]["message"]["content"] == "so it goes"


def test_a_stream_that_its_server_calls_json_passes_whole(sides: Sides) -> None:
    direct, ours = sides.ask(answer(STREAM), "POST", CHATTING, body=STREAMING)

    assert (ours.status, ours.body) == (direct.status, direct.body) == (200, STREAM)
    assert sides.gateway.calls()[-1].error is None


def test_a_stream_in_a_coding_passes_byte_for_byte_and_is_recorded(sides: Sides) -> None:
    packed = gzip.compress(STREAM, mtime=0)
    kind = [("content-type", "text/event-stream"), ("content-encoding", "gzip")]
    begun = Say(head(200, [*kind, ("transfer-encoding", "chunked")]))
    script = [begun, Say(chunk(packed[:40])), Say(chunk(packed[40:])), Say(chunk(b""))]

    direct, ours = sides.ask(script, "POST", CHATTING, body=STREAMING)

    assert ours.parts == direct.parts
    assert sides.gateway.calls()[-1].error is None


def test_a_stream_with_a_length_passes_and_gets_no_event_of_ours(sides: Sides) -> None:
    kind = [("content-type", "text/event-stream"), ("content-length", str(len(EVENTS)))]
    script = [Say(head(200, kind) + EVENTS)]

    direct, ours = sides.ask(script, "POST", CHATTING, body=STREAMING)

    assert (ours.status, ours.body) == (direct.status, direct.body) == (200, EVENTS)
    assert returned(ours) == returned(direct)


@pytest.mark.parametrize("framing", FRAMED)
def test_a_break_that_no_event_can_tell_breaks_the_callers_stream_too(
    sides: Sides, framing: list[tuple[str, str]]
) -> None:
    sides.upstream.play(
        [Say(head(200, [("content-type", "text/event-stream"), *framing])), Reset()]
    )

    with sides.caller() as caller, pytest.raises(AssertionError, match="ended before the reply"):
        caller.ask("POST", CHATTING, JSON, STREAMING)

    assert sides.gateway.calls()[-1].error == "upstream_truncated"


def test_the_upstream_of_a_stream_is_asked_for_no_coding(sides: Sides) -> None:
    lines = [*JSON, (b"accept-encoding", b"gzip, br")]

    sides.ask(sse(completion_chunks("ok")), "POST", CHATTING, lines, STREAMING)

    assert sides.seen[1].header("accept-encoding") == "identity"


@pytest.mark.parametrize("status", [204, 304])
def test_a_reply_without_a_body_has_none_here_either(sides: Sides, status: int) -> None:
    script: list[Step] = [Say(head(status, [("etag", '"1"')]))]

    direct, ours = sides.ask(script, "GET", "/v1/files/x")

    assert (ours.status, ours.body) == (direct.status, direct.body) == (status, b"")
    assert returned(ours) == returned(direct)


@pytest.mark.parametrize("status", [301, 307, 308])
def test_a_redirect_is_the_callers_to_follow(sides: Sides, status: int) -> None:
    script = answer(b"", status=status, headers=[("location", "https://elsewhere.example/v1")])
    n_before = len(sides.upstream.requests)

    direct, ours = sides.ask(script, "POST", CHATTING, body=msgspec.json.encode(CHAT))

    assert (ours.status, returned(ours)) == (direct.status, returned(direct))
    assert len(sides.upstream.requests) == n_before + 2


def test_a_caller_that_names_no_coding_gets_none(sides: Sides) -> None:
    sides.ask(answer({}), "GET", "/v1/models")

    assert sides.seen[1].header("accept-encoding") == "identity"


def test_a_body_in_any_bytes_arrives_as_it_is(sides: Sides) -> None:
    body = b'\xef\xbb\xbf{"model":"a","model":"b", "x":1e400, "t":"\xed\xa0\x80\\ud800\x00"} \n'

    sides.ask(answer(completion("ok")), "POST", CHATTING, body=body)

    directly, through = sides.seen
    assert through.body == directly.body == body
