"""`slimdown up` and `slimdown gateway` as real processes, in front of a scripted upstream."""

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue

import msgspec
import pytest

from slimdown.store import Store
from slimdown.testing import (
    INTERRUPTIBLE,
    Hang,
    ScriptedUpstream,
    Wait,
    answer,
    completion,
    free_port,
)

Slimdown = Callable[..., tuple[int, str, str]]
PATIENCE_S = 20.0
REQUEST = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "where is it?"}]}


@pytest.fixture
def upstream(slimdown: Slimdown) -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream([answer(completion("delivery"))]) as made:
        yield made


class Running:
    """A command that runs: its lines as they come, and calls to its gateway."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process, self.port, self.lines = process, port, SimpleQueue[str]()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def until(self, words: str) -> str:
        while words not in (line := self.lines.get(timeout=PATIENCE_S)):
            pass
        return line

    def call(self) -> tuple[int, str | None]:
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        client.request("POST", "/v1/chat/completions", msgspec.json.encode(REQUEST))
        reply = client.getresponse()
        reply.read()
        client.close()
        return reply.status, reply.getheader("x-slimdown-logged")

    def child(self, verb: str) -> int | None:
        """Return the process id of a child, by the verb that it was called with."""
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            if _parent(path) == self.process.pid and verb in _words(path):
                return int(path.parent.name)
        return None

    def kill_child(self, verb: str) -> None:
        found = self.child(verb)
        assert found is not None
        os.kill(found, signal.SIGKILL)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put("(ended)")


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split("\0")
    except OSError:
        return []


def _parent(path: Path) -> int:
    try:
        return int((path.parent / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


@contextmanager
def running(verb: str, upstream: ScriptedUpstream, *flags: str) -> Iterator[Running]:
    port = free_port()
    argv = [sys.executable, "-c", INTERRUPTIBLE, verb, "--upstream", upstream.url]
    argv += ["--port", str(port), *flags]
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        found = Running(process, port)
        try:
            yield found
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


def n_recorded() -> int:
    with Store.open(Path(".slimdown"), os.environ, write=False) as store:
        return store.count()


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, "it did not come to hold"
        time.sleep(0.02)


def test_up_serves_until_ctrl_c_and_says_how_many_calls_it_recorded(
    upstream: ScriptedUpstream,
) -> None:
    with running("up", upstream) as up:
        line = up.until("base_url")
        replies = [up.call(), up.call()]
        up.process.send_signal(signal.SIGINT)
        said = up.until("Stopped.")

        assert up.process.wait(PATIENCE_S) == 0
    assert re.search(r'OpenAI\(base_url="http://127\.0\.0\.1:\d+/v1"\)', line)
    assert replies == [(200, "1"), (200, "1")]
    assert said.split() == ["Stopped.", "Calls", "recorded", "in", ".slimdown", "meanwhile:", "2."]
    assert n_recorded() == 2


def test_a_gateway_that_was_killed_serves_again(upstream: ScriptedUpstream) -> None:
    with running("up", upstream, "--no-runtime") as up:
        up.until("Ctrl-C")
        up.call()
        up.kill_child("gateway")
        up.until("gateway ended (SIGKILL); starting it again")

        until(lambda: _listens(up.port))
        assert up.call() == (200, "1")
    assert n_recorded() == 2


def test_a_runtime_that_was_killed_costs_no_call(upstream: ScriptedUpstream) -> None:
    with running("up", upstream) as up:
        up.until("Ctrl-C")

        up.kill_child("runtime")

        assert up.call() == (200, "1")
        up.until("runtime ended (SIGKILL); starting it again")
        until(lambda: up.child("runtime"))


def test_children_end_when_up_is_killed(upstream: ScriptedUpstream) -> None:
    with running("up", upstream) as up:
        up.until("Ctrl-C")
        children = [up.child("gateway"), up.child("runtime")]

        up.process.kill()

        assert None not in children
        until(lambda: not any(Path(f"/proc/{child}").exists() for child in children))


def test_a_slow_answer_is_finished_before_it_ends(slimdown: Slimdown) -> None:
    slow = [Wait(1.0), *answer(completion("at last"))]
    with ScriptedUpstream([slow]) as upstream, running("up", upstream, "--no-runtime") as up:
        up.until("Ctrl-C")
        replies = SimpleQueue[tuple[int, str | None]]()
        caller = threading.Thread(target=lambda: replies.put(up.call()))
        caller.start()
        upstream.wait_for_requests(1, PATIENCE_S)

        up.process.terminate()

        assert replies.get(timeout=PATIENCE_S) == (200, "1")
        caller.join()
        assert up.process.wait(PATIENCE_S) == 0
    assert n_recorded() == 1


def test_a_second_signal_waits_for_nobody(slimdown: Slimdown) -> None:
    with ScriptedUpstream([[Hang()]]) as upstream, running("up", upstream, "--no-runtime") as up:
        up.until("Ctrl-C")
        client = http.client.HTTPConnection("127.0.0.1", up.port, timeout=PATIENCE_S)
        client.request("POST", "/v1/chat/completions", msgspec.json.encode(REQUEST))
        upstream.wait_for_requests(1, PATIENCE_S)

        up.process.terminate()
        up.until("Stopping")
        up.process.terminate()

        assert up.process.wait(PATIENCE_S) == 0
        client.close()


def test_a_second_up_on_a_workspace_is_told_who_has_it(
    upstream: ScriptedUpstream, slimdown: Slimdown
) -> None:
    with running("up", upstream, "--no-runtime") as up:
        up.until("Ctrl-C")

        code, _, err = slimdown("up", "--upstream", upstream.url, "--port", free_port())

        assert code == 1
        assert f"process {up.child('gateway')} is the gateway of .slimdown" in err


def test_a_port_in_use_is_told_at_once(slimdown: Slimdown) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        code, _, err = slimdown("up", "--port", port)

    assert code == 1
    assert f"port {port} of 127.0.0.1 is in use" in err
    assert "--port" in err


@pytest.mark.parametrize("flags", [["--host", "203.0.113.7"], ["--host", "no such host"]])
def test_an_address_that_is_not_ours_is_told(slimdown: Slimdown, flags: list[str]) -> None:
    code, _, err = slimdown("up", *flags)

    assert code == 1
    assert "cannot be listened on" in err


@pytest.mark.parametrize("flags", [["--upstream", "host/v1"], ["--on-failure", "ajar"]])
def test_wrong_settings_are_told_before_anything_starts(
    slimdown: Slimdown, flags: list[str]
) -> None:
    code, _, err = slimdown("up", *flags)

    assert code == 2
    assert "othing was changed" in err
    assert not Path(".slimdown").exists()


def test_a_gateway_that_cannot_start_ends_up_with_its_code(
    upstream: ScriptedUpstream, slimdown: Slimdown
) -> None:
    url = upstream.url
    Path("slimdown.toml").write_text(f'[upstreams.a]\nurl = "{url}"\nkey = "env:NOT_SET_HERE"\n')

    done = subprocess.run(
        [sys.executable, "-m", "slimdown", "up", "--port", "0"],
        capture_output=True,
        check=False,
        text=True,
        timeout=PATIENCE_S,
    )

    assert done.returncode == 2
    assert "gateway: slimdown: the secret env:NOT_SET_HERE is empty or not set" in done.stderr
    assert "ended before it was ready (exit code 2)" in done.stderr


def test_the_gateway_alone_records_and_ends_with_its_parent(upstream: ScriptedUpstream) -> None:
    port = free_port()
    flags = ["--with-parent", "--upstream", upstream.url, "--port", str(port)]
    argv = [sys.executable, "-m", "slimdown", "gateway", *flags]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        until(lambda: _listens(port))
        assert process.stdin is not None

        process.stdin.close()

        assert process.wait(PATIENCE_S) == 0


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
