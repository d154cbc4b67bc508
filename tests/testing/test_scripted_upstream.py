"""A scripted upstream says its bytes when it should, and sees what its clients do."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import openai
import pytest

from slimdown.testing import (
    Close,
    Hang,
    Reset,
    Say,
    Script,
    ScriptedUpstream,
    Seen,
    Step,
    Wait,
    answer,
    completion,
    completion_chunks,
    sse,
)

GET = b"GET /v1/models?all=1 HTTP/1.1\r\nHost: x\r\n\r\n"


@contextmanager
def connected(upstream: ScriptedUpstream) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", upstream.port), timeout=10) as client:
        yield client


def heard(client: socket.socket) -> bytes:
    """Return all bytes up to the end of the connection."""
    return b"".join(iter(lambda: client.recv(65536), b""))


def test_bytes_go_out_as_they_are() -> None:
    script = [Say(b"no HTTP "), Say(b"\x00\xff at all"), Close()]

    with ScriptedUpstream(script) as upstream, connected(upstream) as client:
        client.sendall(GET)
        told = heard(client)

    assert told == b"no HTTP \x00\xff at all"


def test_a_request_is_seen_raw_and_in_order() -> None:
    request = b"POST /v1/x?q=%20 HTTP/1.1\r\nX-B: 2\r\nx-A: 1\r\nX-b: 3\r\n"
    request += b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"

    with ScriptedUpstream(answer({})) as upstream, connected(upstream) as client:
        for byte in request:
            client.sendall(bytes([byte]))
        [seen] = upstream.wait_for_requests()

    assert (seen.method, seen.path, seen.body) == ("POST", "/v1/x?q=%20", b"hello")
    assert seen.headers[:3] == ((b"X-B", b"2"), (b"x-A", b"1"), (b"X-b", b"3"))
    assert seen.at <= time.monotonic()


def test_each_request_gets_the_next_script_and_the_last_is_used_again() -> None:
    scripts = [answer(b"one"), answer(b"two"), [*answer(b"last"), Close()]]

    with ScriptedUpstream(scripts) as upstream:
        with connected(upstream) as client:
            client.sendall(GET * 3)
            told = heard(client)
        with connected(upstream) as client:
            client.sendall(GET)
            again = heard(client)

    places = [told.index(word) for word in (b"one", b"two", b"last")]
    assert places == sorted(places)
    assert again.endswith(b"last")
    assert upstream.n_connections == 2


def test_a_callable_script_chooses_by_the_request() -> None:
    def by_path(seen: Seen) -> list[Step]:
        return [*answer(seen.path.encode()), Close()]

    with ScriptedUpstream(by_path) as upstream, connected(upstream) as client:
        client.sendall(GET)

        assert heard(client).endswith(b"/v1/models?all=1")


def test_another_script_can_be_played_meanwhile() -> None:
    with ScriptedUpstream([Say(b"before"), Close()]) as upstream:
        upstream.play([Say(b"after"), Close()])
        with connected(upstream) as client:
            client.sendall(GET)

            assert heard(client) == b"after"


def test_a_reset_breaks_the_connection_off() -> None:
    with ScriptedUpstream([Say(b"half"), Reset()]) as upstream, connected(upstream) as client:
        client.sendall(GET)

        with pytest.raises(ConnectionResetError):
            heard(client)


def test_a_wait_comes_between_two_writes() -> None:
    script = [Say(b"one"), Wait(0.2), Say(b"two"), Close()]

    with ScriptedUpstream(script) as upstream, connected(upstream) as client:
        client.sendall(GET)
        began, first = time.monotonic(), client.recv(100)
        told = first + heard(client)

    assert told == b"onetwo"
    assert time.monotonic() - began >= 0.15


SCRIPTS: list[Script] = [
    [Hang()],
    [Say(b"x"), Hang()],
    [Wait(60), Say(b"late")],
    [Say(b"x" * (64 << 20))],
]


@pytest.mark.parametrize("script", SCRIPTS, ids=["silent", "begun", "waiting", "unread"])
def test_a_client_that_hangs_up_too_early_is_an_abort(script: Script) -> None:
    with ScriptedUpstream(script) as upstream:
        with connected(upstream) as client:
            client.sendall(GET)
            upstream.wait_for_requests()
        abort = upstream.wait_for_abort()

    assert abort.request == upstream.requests[0]
    assert abort.at >= abort.request.at


@pytest.mark.parametrize("script", [answer(b"all"), [Say(b"all"), Close()]], ids=["kept", "ended"])
def test_a_client_that_hangs_up_after_the_end_is_none(script: Script) -> None:
    with ScriptedUpstream(script) as upstream:
        for _ in range(5):
            with connected(upstream) as client:
                client.sendall(GET)
                assert client.recv(1000).endswith(b"all")
        upstream.wait_for_requests(5)

    assert upstream.aborts == []


def test_a_reply_that_takes_its_time_holds_up_no_other() -> None:
    scripts: list[Script] = [[Hang()], [Say(b"at once"), Close()]]

    with (
        ScriptedUpstream(scripts) as upstream,
        connected(upstream) as slow,
        connected(upstream) as quick,
    ):
        slow.sendall(GET)
        upstream.wait_for_requests(1)
        quick.sendall(GET)

        assert heard(quick) == b"at once"


def test_waiting_in_vain_says_what_came() -> None:
    with ScriptedUpstream([Hang()]) as upstream:
        with pytest.raises(TimeoutError, match="0 requests and 0 aborts came"):
            upstream.wait_for_requests(2, timeout=0.05)
        with pytest.raises(TimeoutError, match="no 1 aborts"):
            upstream.wait_for_abort(timeout=0.05)


def test_without_a_script_nothing_is_answered() -> None:
    with ScriptedUpstream([]) as upstream, connected(upstream) as client:
        client.sendall(GET)
        upstream.wait_for_requests()
        client.settimeout(0.1)

        with pytest.raises(TimeoutError):
            client.recv(1)


def test_a_port_can_be_chosen_and_is_free_afterwards() -> None:
    with ScriptedUpstream([Hang()]) as upstream:
        port = upstream.port

    script = [Say(b"again"), Close()]
    with ScriptedUpstream(script, port=port) as upstream, connected(upstream) as client:
        client.sendall(GET)

        assert heard(client) == b"again"


def test_leaving_breaks_off_what_is_open() -> None:
    with ScriptedUpstream([Say(b"x"), Hang()]) as upstream:
        client = socket.create_connection(("127.0.0.1", upstream.port), timeout=10)
        client.sendall(GET)
        assert client.recv(1) == b"x"

    with client, pytest.raises(ConnectionError):
        client.sendall(GET)
        while client.recv(1):
            pass
        raise ConnectionAbortedError
    assert upstream.aborts == []


def test_what_is_no_http_ends_the_connection() -> None:
    with ScriptedUpstream(answer({})) as upstream, connected(upstream) as client:
        client.sendall(b"\x16\x03\x01 hello\r\n\r\n")

        assert heard(client) == b""


def test_the_openai_client_understands_the_builders() -> None:
    calls = [("f", '{"a": "b c"}'), ("g", "{}")]
    scripts = [
        answer(completion("a few words")),
        sse(completion_chunks("a few words", usage=True)),
        sse(completion_chunks(tool_calls=calls), chunked=False),
    ]

    with (
        ScriptedUpstream(scripts) as upstream,
        openai.OpenAI(base_url=upstream.url, api_key="none") as client,
    ):
        plain = client.chat.completions.create(model="m", messages=[])
        streams = []
        for _ in range(2):
            with client.chat.completions.stream(model="m", messages=[]) as stream:
                streams.append(stream.get_final_completion())

    assert plain.choices[0].message.content == "a few words"
    assert streams[0].choices[0].message.content == "a few words"
    assert streams[0].usage == plain.usage
    told = streams[1].choices[0].message.tool_calls or []
    assert [(call.function.name, call.function.arguments) for call in told] == calls


def test_many_clients_at_once_are_all_seen() -> None:
    async def ask(port: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET)
        told = await reader.read()
        writer.close()
        await writer.wait_closed()
        return told

    async def ask_all(port: int) -> list[bytes]:
        return await asyncio.gather(*(ask(port) for _ in range(64)))

    with ScriptedUpstream([Say(b"x"), Close()]) as upstream:
        told = asyncio.run(ask_all(upstream.port))

    assert told == [b"x"] * 64
    assert len(upstream.requests) == upstream.n_connections == 64
