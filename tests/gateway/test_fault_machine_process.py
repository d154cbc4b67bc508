"""A gateway that is told to end, stopped and let go on, or started twice on one folder."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from faulty import STREAMED
from gateways import ENVIRON, running_gateway
from own_process import PATIENCE_S, Process, own_process

from slimdown.errors import StoreLocked
from slimdown.gateway.serving import Gateway
from slimdown.settings import GatewaySettings, Settings
from slimdown.store import Store
from slimdown.testing import (
    Hang,
    ScriptedUpstream,
    Step,
    Wait,
    answer,
    completion,
    completion_chunks,
    free_port,
    sse,
)

N_CALLS = 8
SLOW = [Wait(1.0), *answer(completion("late"))]


class Asking:
    """Calls under way, each in a thread; `answers` waits for them."""

    def __init__(self, ask: Callable[[], httpx.Response], n: int) -> None:
        self._ask = ask
        self._found: list[httpx.Response | None] = []
        self._threads = [threading.Thread(target=self._run) for _ in range(n)]
        for thread in self._threads:
            thread.start()

    def _run(self) -> None:
        try:
            self._found.append(self._ask())
        except httpx.TransportError:
            self._found.append(None)

    def answers(self) -> list[httpx.Response | None]:
        for thread in self._threads:
            thread.join(PATIENCE_S)
        return self._found


@contextmanager
def under_way(
    folder: Path, script: Sequence[Step], n: int, **fields: Any
) -> Iterator[tuple[Process, Asking, ScriptedUpstream]]:
    """Yield a gateway with ``n`` calls under way, all of which the upstream has seen."""
    with (
        ScriptedUpstream(script) as upstream,
        own_process(folder, upstream.url) as process,
    ):
        calls = Asking(lambda: process.gateway.post(**fields), n)
        upstream.wait_for_requests(n)
        yield process, calls, upstream


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_f32_who_is_told_to_end_answers_and_records_what_is_under_way(
    tmp_path: Path, number: signal.Signals
) -> None:
    with under_way(tmp_path, SLOW, N_CALLS) as (process, calls, upstream):
        process.signal(number)
        found = calls.answers()
        code = process.ended()
        with pytest.raises(httpx.ConnectError):
            process.gateway.post()
        rows = process.gateway.calls()

    answers = [each for each in found if each is not None]
    assert [each.status_code for each in answers] == [200] * N_CALLS
    assert {each.headers["x-slimdown-call-id"] for each in answers} == {row.id for row in rows}
    assert {row.error for row in rows} == {None}
    assert (code, len(upstream.requests)) == (0, N_CALLS)


def test_f32_a_stream_under_way_is_finished(tmp_path: Path) -> None:
    script = sse(completion_chunks("one two three four five six"), gap_s=0.1)

    with under_way(tmp_path, script, 2, json=STREAMED) as (process, calls, _):
        process.signal(signal.SIGTERM)
        found = calls.answers()
        code = process.ended()
        rows = process.gateway.calls()

    assert [each is not None and each.content[-14:] for each in found] == [b"data: [DONE]\n\n"] * 2
    assert [row.error for row in rows] == [None] * 2
    assert code == 0


def test_f32_told_twice_it_does_not_wait_and_still_records_what_it_breaks_off(
    tmp_path: Path,
) -> None:
    with under_way(tmp_path, [Hang()], 3) as (process, calls, _):
        process.signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            process.popen.wait(0.5)
        process.signal(signal.SIGTERM)
        process.ended()
        found = calls.answers()
        rows = process.gateway.calls()

    assert {each is None or each.status_code for each in found} <= {True, 502}
    assert len(rows) == 3
    assert None not in {row.error for row in rows}


def test_f32_who_was_stopped_goes_on_and_blames_nobody_for_the_silence(tmp_path: Path) -> None:
    script = sse(completion_chunks("one two three four five six"), gap_s=0.25)
    environ = {"SLIMDOWN_GATEWAY__IDLE_TIMEOUT_S": "1.0"}

    with (
        ScriptedUpstream(script) as upstream,
        own_process(tmp_path, upstream.url, environ) as process,
    ):
        calls = Asking(lambda: process.gateway.post(json=STREAMED), 2)
        upstream.wait_for_requests(2)
        process.signal(signal.SIGSTOP)
        threading.Event().wait(1.6)
        process.signal(signal.SIGCONT)
        found = calls.answers()
        rows = process.gateway.calls()

    assert [each is not None and each.content[-14:] for each in found] == [b"data: [DONE]\n\n"] * 2
    assert [row.error for row in rows] == [None] * 2


def settings(folder: Path) -> Settings:
    return Settings(workspace=str(folder / "workspace"), gateway=GatewaySettings(port=0))


def test_f40_a_second_gateway_on_a_folder_is_refused_and_told_who_is_first(tmp_path: Path) -> None:
    with running_gateway(tmp_path, f"http://127.0.0.1:{free_port()}/v1") as first:
        assert first.get("/healthz").status_code == 200
        second = Gateway(settings(tmp_path), ENVIRON)
        unless_refused = threading.Timer(PATIENCE_S, second.stop)
        unless_refused.start()
        with pytest.raises(StoreLocked, match=f"process {os.getpid()} is the gateway of"):
            second.run()
        unless_refused.cancel()


def test_f40_as_a_command_the_second_ends_with_one_line_and_no_harm(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "slimdown", "gateway", "--port", "0"]
    argv += ["--workspace", str(tmp_path / "workspace")]

    with (
        ScriptedUpstream(answer(completion("ok"))) as upstream,
        running_gateway(tmp_path, upstream.url) as first,
    ):
        assert first.get("/healthz").status_code == 200
        environ = {**os.environ, **ENVIRON}
        second = subprocess.run(
            argv, env=environ, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
        )
        told = first.post()

    assert second.returncode == 1
    assert re.search(rf"process {os.getpid()} is the gateway of", second.stderr)
    assert "Traceback" not in second.stderr
    assert told.headers["x-slimdown-logged"] == "1"


def test_f40_the_lock_of_a_killed_gateway_is_free(tmp_path: Path) -> None:
    with ScriptedUpstream(answer(completion("ok"))) as upstream:
        with own_process(tmp_path, upstream.url) as process:
            process.gateway.post()
            process.signal(signal.SIGKILL)
            process.ended()
        signed = (tmp_path / "workspace" / "gateway.lock").read_text()
        with running_gateway(tmp_path, upstream.url) as gateway:
            told = gateway.post()
            n_rows = len(gateway.calls())

    assert signed == f"{process.popen.pid}\n"
    assert (told.headers["x-slimdown-logged"], n_rows) == ("1", 2)


def test_f40_a_lock_signed_by_a_process_that_lives_but_holds_it_not_is_free(
    tmp_path: Path,
) -> None:
    Store.open(tmp_path / "workspace", ENVIRON).close()
    (tmp_path / "workspace" / "gateway.lock").write_text(f"{os.getppid()}\n")

    with running_gateway(tmp_path, f"http://127.0.0.1:{free_port()}/v1") as gateway:
        assert gateway.get("/readyz").json()["status"] == "ready"
