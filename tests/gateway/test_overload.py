"""F28: more than the gateway takes. What is beyond is told so at once; what was admitted is not
touched, and when the crowd has gone everything is as before."""

from __future__ import annotations

import http.client
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec
from gateways import ENVIRON, Running, running_gateway
from raw_client import RawClient, Reply, chat, request

from slimdown.testing import (
    ScriptedUpstream,
    Step,
    Wait,
    answer,
    completion,
    completion_chunks,
    free_port,
    sse,
)

N_IDLE = 2000
PATIENCE_S = 20.0


def test_f28_two_thousand_idle_connections_take_nobody_elses_place(tmp_path: Path) -> None:
    with (
        more_files(2 * N_IDLE + 500),
        ScriptedUpstream(answer(completion("ok"))) as upstream,
        running_gateway(tmp_path, upstream.url) as gateway,
        ExitStack() as idle,
    ):
        for _ in range(N_IDLE):
            idle.enter_context(RawClient(gateway.url))
        served = [gateway.post().status_code for _ in range(5)]
        half_open = idle.enter_context(RawClient(gateway.url)).send(request()[:50])
        served.append(gateway.post().status_code)
        half_open.send(request()[50:])
        served.append(half_open.reply().status)

    assert served == [200] * 7


def test_f28_calls_beyond_the_limit_are_told_to_come_again(tmp_path: Path) -> None:
    gate = threading.Event()

    with (
        ScriptedUpstream(opened_by(gate)) as upstream,
        running_gateway(tmp_path, upstream.url, max_in_flight=4) as gateway,
        ExitStack() as clients,
    ):
        admitted = [clients.enter_context(RawClient(gateway.url)).send(request()) for _ in range(4)]
        upstream.wait_for_requests(4)
        beyond = [asked(gateway) for _ in range(8)]
        gate.set()
        answered = [client.reply() for client in admitted]
        calls = gateway.calls_after(4)

    assert {(reply.status, reply.code) for reply in beyond} == {(429, "gateway_overloaded")}
    assert {reply.headers["retry-after"] for reply in beyond} == {"1"}
    assert [reply.status for reply in answered] == [200] * 4
    assert (len(upstream.requests), len(calls)) == (4, 4)


def test_f28_a_call_beyond_the_limit_is_told_before_its_body_is_read(tmp_path: Path) -> None:
    with (
        ScriptedUpstream([]) as upstream,
        running_gateway(tmp_path, upstream.url, max_in_flight=1) as gateway,
        RawClient(gateway.url) as admitted,
        RawClient(gateway.url) as beyond,
    ):
        admitted.send(request())
        upstream.wait_for_requests()
        reply = beyond.send(request(b"", "Content-Length: 1000000")).reply()
        health = gateway.get("/readyz")

    assert (reply.status, reply.headers["connection"]) == (429, "close")
    assert health.status_code == 200


def test_f28_streams_under_way_are_whole_while_others_are_turned_away(tmp_path: Path) -> None:
    words = " ".join(f"word{n}" for n in range(40))

    with (
        ScriptedUpstream(sse(completion_chunks(words), gap_s=0.01)) as upstream,
        running_gateway(tmp_path, upstream.url, max_in_flight=8) as gateway,
        ExitStack() as clients,
    ):
        streams = [clients.enter_context(RawClient(gateway.url)) for _ in range(8)]
        for stream in streams:
            stream.send(request(chat("all of it", stream=True)))
        upstream.wait_for_requests(8)
        beyond = [asked(gateway).status for _ in range(30)]
        bodies = [stream.reply().body for stream in streams]
        calls = gateway.calls_after(8)

    assert set(beyond) == {429}
    assert all(body.endswith(b"data: [DONE]\n\n") for body in bodies)
    assert [call.error for call in calls] == [None] * 8


def test_f28_at_the_limit_of_files_it_goes_on_and_recovers(tmp_path: Path) -> None:
    with (
        ScriptedUpstream(answer(completion("ok"))) as upstream,
        few_files(tmp_path, upstream.url, n_files=64) as (process, gateway),
    ):
        with ExitStack() as crowd:
            early = crowd.enter_context(RawClient(gateway.url))
            early.send(request()).reply()
            for _ in range(100):
                crowd.enter_context(RawClient(gateway.url))
            in_the_crowd = early.send(request()).reply()
        until_served(gateway)
        exit_code = process.poll()

    assert exit_code is None
    assert in_the_crowd.status in (200, 502)  # as there is a connection to the upstream, or not
    assert gateway.calls()[-1].error is None


def asked(gateway: Running) -> Reply:
    with RawClient(gateway.url) as client:
        return client.send(request()).reply()


def opened_by(gate: threading.Event) -> list[Step]:
    """Return a script that begins to answer when the gate is open, looked at now and then."""

    class Gated(list[Step]):
        def __iter__(self) -> Iterator[Step]:
            while not gate.is_set():
                yield Wait(0.01)
            yield from answer(completion("ok"))

    return Gated([Wait(0)])


@contextmanager
def more_files(n: int) -> Iterator[None]:
    """Let this process have ``n`` files open, as far as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, n), max(hard, n)))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def few_files(
    folder: Path, upstream: str, *, n_files: int
) -> Iterator[tuple[subprocess.Popen[bytes], Running]]:
    """Yield a gateway in a process of its own that may have few files open."""
    port, workspace = free_port(), folder / "workspace"
    argv = [sys.executable, "-m", "slimdown", "gateway", "--port", str(port)]
    argv += ["--upstream", upstream, "--workspace", str(workspace)]
    shell = ["/bin/sh", "-c", f'ulimit -n {n_files} && exec "$@"', "sh", *argv]
    with subprocess.Popen(
        shell, env={**os.environ, **ENVIRON}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        gateway = Running(f"http://127.0.0.1:{port}", workspace)
        try:
            until_served(gateway)
            yield process, gateway
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


def until_served(gateway: Running) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_served(gateway):
        assert time.monotonic() < deadline, "calls are not answered"
        time.sleep(0.05)


def is_served(gateway: Running) -> bool:
    try:
        return asked(gateway).status == 200
    except (OSError, AssertionError, http.client.HTTPException, msgspec.DecodeError):
        return False
