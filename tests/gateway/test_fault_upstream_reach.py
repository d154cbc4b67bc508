"""Upstreams that cannot be reached, say nothing, or hang up: told at once, recorded, asked once."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from faulty import Faulty, faulty, problem
from gateways import Running, running_gateway

from slimdown.testing import (
    Close,
    Hang,
    Reset,
    Say,
    ScriptedUpstream,
    answer,
    completion,
    free_port,
    head,
    refuse,
)

PATIENCE_S = 20.0
UNREACHABLE = (502, "upstream_unreachable")
HELD = Say(head(200, [("content-length", "99"), ("content-type", "application/json")])[:30])
"""Half a head."""


def until_served(gateway: Running) -> httpx.Response:
    """Return the first answer that is one."""
    end = time.monotonic() + PATIENCE_S
    while (told := gateway.post()).status_code != 200:
        assert time.monotonic() < end, told.text
        time.sleep(0.05)
    return told


@pytest.fixture
def silent() -> Iterator[int]:
    """Return a port where connections are made and nothing is ever read or said."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        yield int(listener.getsockname()[1])


@pytest.mark.parametrize(
    ("host", "cause"),
    [("127.0.0.1", "Connection refused"), ("no-such-host.invalid", "its name does not resolve")],
)
def test_f01_an_upstream_that_is_not_there_is_named_and_the_call_recorded(
    tmp_path: Path, host: str, cause: str
) -> None:
    with running_gateway(tmp_path, f"http://{host}:{free_port()}/v1") as gateway:
        told = gateway.post()
        (row,) = gateway.calls()

    assert problem(told) == UNREACHABLE
    assert cause in told.json()["error"]["message"]
    assert told.headers["retry-after"] == "1"
    assert (row.error, row.response) == ("upstream_unreachable", None)
    assert row.id == told.headers["x-slimdown-call-id"]


def test_f01_what_is_no_model_call_is_told_too_and_leaves_no_row(tmp_path: Path) -> None:
    with running_gateway(tmp_path, f"http://127.0.0.1:{free_port()}/v1") as gateway:
        told = gateway.get("/v1/files")

        assert problem(told) == UNREACHABLE
        assert gateway.calls() == []


def test_f05_after_some_failures_nobody_waits_until_the_upstream_is_back(tmp_path: Path) -> None:
    port = free_port()

    with running_gateway(tmp_path, f"http://127.0.0.1:{port}/v1") as gateway:
        causes = [gateway.post().json()["error"]["message"] for _ in range(8)]
        with ScriptedUpstream(answer(completion("back")), port=port) as upstream:
            told = until_served(gateway)
            n_asked = len(upstream.requests)
        errors = [call.error for call in gateway.calls()[:8]]

    assert "Connection refused" in causes[0]
    assert "a moment ago" in causes[-1]
    assert errors == ["upstream_unreachable"] * 8
    assert (told.json(), n_asked) == (completion("back"), 1)


def test_f05_an_upstream_that_answers_with_errors_keeps_its_circuit_closed(tmp_path: Path) -> None:
    with faulty(tmp_path) as llm:
        for status in [500, 502, 503, 529, 429] * 2:
            assert llm.ask(answer({}, status=status)).status_code == status

        assert llm.ask(answer(completion("ok"))).status_code == 200
        assert llm.n_asked == 11


@pytest.mark.parametrize("script", [[Hang()], [HELD, Hang()]], ids=["nothing", "half a head"])
def test_f02_an_upstream_that_does_not_begin_to_answer_is_left_and_its_place_freed(
    tmp_path: Path, script: list[Hang | Say]
) -> None:
    with faulty(tmp_path, first_byte_timeout_s=0.3, max_in_flight=1) as llm:
        told = llm.ask(script)
        llm.upstream.wait_for_abort()
        row = llm.row(told)
        metrics = llm.gateway.get("/metrics").text

        assert problem(told) == (504, "upstream_timeout")
        assert row.error == "upstream_timeout"
        assert "slimdown_in_flight 0.0" in metrics
        assert llm.n_asked == 1


def test_f02_a_socket_that_nobody_reads_is_left_in_time(tmp_path: Path, silent: int) -> None:
    upstream = f"http://127.0.0.1:{silent}/v1"

    with running_gateway(tmp_path, upstream, first_byte_timeout_s=0.3) as gateway:
        told = gateway.post()

    assert problem(told) == (504, "upstream_timeout")


def test_f19_a_handshake_that_never_ends_is_left_in_time(tmp_path: Path, silent: int) -> None:
    upstream = f"https://127.0.0.1:{silent}/v1"

    with running_gateway(tmp_path, upstream, connect_timeout_s=0.3) as gateway:
        told = gateway.post()
        (row,) = gateway.calls()

    assert problem(told) == UNREACHABLE
    assert "connecting took too long" in told.json()["error"]["message"]
    assert row.error == "upstream_unreachable"


def test_f19_an_upstream_without_tls_where_it_is_due_is_not_reached(tmp_path: Path) -> None:
    with ScriptedUpstream(answer(completion("plain"))) as upstream:
        url = upstream.url.replace("http:", "https:")
        with running_gateway(tmp_path, url) as gateway:
            told = gateway.post()

    assert problem(told) == UNREACHABLE
    assert upstream.requests == []


@pytest.mark.parametrize("end", [Reset(), Close()])
def test_f16_a_call_whose_connection_broke_is_never_sent_a_second_time(
    tmp_path: Path, end: Reset | Close
) -> None:
    with faulty(tmp_path, retries=5) as llm:
        told = llm.ask([end])
        row = llm.row(told)

        assert problem(told) == UNREACHABLE
        assert "closed the connection before it answered" in told.json()["error"]["message"]
        assert (row.error, llm.n_asked) == ("upstream_unreachable", 1)


def test_f16_a_kept_connection_that_breaks_as_we_send_costs_that_call_alone(
    tmp_path: Path,
) -> None:
    good = answer(completion("ok"))

    with faulty(tmp_path, retries=5) as llm:
        first = llm.ask([good, refuse(), good])
        second, third = llm.gateway.post(), llm.gateway.post()

        assert [each.status_code for each in (first, second, third)] == [200, 502, 200]
        assert (llm.n_asked, llm.upstream.n_connections) == (3, 2)


def test_f16_a_connection_that_the_upstream_ended_is_not_used_again(tmp_path: Path) -> None:
    with faulty(tmp_path) as llm:
        told = [llm.ask([*answer(completion("ok")), Close()]) for _ in range(3)]

        assert [each.status_code for each in told] == [200] * 3
        assert llm.n_asked == 3


@pytest.fixture(scope="module")
def retrying(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Faulty]:
    with faulty(tmp_path_factory.mktemp("retrying"), retries=2) as made:
        yield made


NOT_NOW = [answer({}, status=status, headers=[("retry-after", "0")]) for status in (503, 529)]
LATER = ["3", "1000000000", "0", "-1", "soon", "Fri, 20 Nov 2026 14:00:00 GMT", "1e9", ""]


@pytest.mark.parametrize("after", LATER)
def test_f04_too_many_requests_pass_with_their_retry_after_and_are_the_callers_to_repeat(
    retrying: Faulty, after: str
) -> None:
    n_before = retrying.n_asked
    body = {"error": {"message": "slow down", "type": "tokens", "code": "rate", "param": None}}

    told = retrying.ask(answer(body, status=429, headers=[("Retry-After", after)]))

    assert (told.status_code, told.json()) == (429, body)
    assert told.headers["retry-after"] == after
    assert retrying.row(told).error == "upstream_status_429: tokens rate"
    assert retrying.n_asked == n_before + 1


def test_f05_what_says_not_now_is_asked_again_as_often_as_is_allowed(retrying: Faulty) -> None:
    n_before = retrying.n_asked

    told = retrying.ask([*NOT_NOW, answer(completion("now"))])

    row = retrying.row(told)
    assert (told.status_code, told.json()) == (200, completion("now"))
    assert (row.error, retrying.n_asked - n_before) == (None, 3)


def test_f05_a_storm_ends_in_the_upstreams_own_error(retrying: Faulty) -> None:
    n_before = retrying.n_asked

    told = retrying.ask([*NOT_NOW, *NOT_NOW])

    assert told.status_code == 503
    assert told.headers["retry-after"] == "0"
    assert retrying.n_asked - n_before == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 409, 422, 500])
def test_f05_what_would_not_change_is_not_asked_again(retrying: Faulty, status: int) -> None:
    n_before = retrying.n_asked

    told = retrying.ask(answer({}, status=status))

    assert (told.status_code, retrying.n_asked - n_before) == (status, 1)


@pytest.mark.parametrize("after", ["11", "1000000000", "Fri, 20 Nov 2026 14:00:00 GMT", "-1"])
def test_f04_nobody_is_made_to_wait_for_a_retry_after_beyond_ten_seconds(
    retrying: Faulty, after: str
) -> None:
    n_before = retrying.n_asked

    told = retrying.ask(answer({}, status=503, headers=[("retry-after", after)]))

    assert (told.status_code, told.headers["retry-after"]) == (503, after)
    assert retrying.n_asked - n_before == 1


def test_f05_unless_it_is_set_nothing_is_asked_again(tmp_path: Path) -> None:
    with faulty(tmp_path) as llm:
        told = llm.ask([*NOT_NOW, answer(completion("now"))])

        assert (told.status_code, llm.n_asked) == (503, 1)
