"""kill -9 at random moments: no acknowledged call is lost, doubled or altered.

Acknowledged means that the client has the whole body, or the stream's ``[DONE]``. The gateways are
forked from a process that has loaded the code already, which is all that they have in common.
"""

from __future__ import annotations

import http.client
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw
import msgspec
from gateways import CHAT, ENVIRON

from slimdown.store import Store
from slimdown.store.database import FILE
from slimdown.testing import (
    ScriptedUpstream,
    Seen,
    Step,
    Wait,
    answer,
    completion,
    completion_chunks,
    free_port,
    sse,
)
from slimdown.types import Call

N_KILLS = 50
N_CLIENTS = 4
PATIENCE_S = 20.0
NURSERY = """
import os, sys
import msgspec
from slimdown.gateway.serving import serve
from slimdown.settings import Settings

settings = msgspec.json.decode(sys.argv[1], type=Settings)
for _ in sys.stdin:
    child = os.fork()
    if child == 0:
        os._exit(serve(settings, os.environ))
    print(child, flush=True)
    os.waitpid(child, 0)
    print("ended", flush=True)
"""


class Told(msgspec.Struct, frozen=True):
    """What a client had acknowledged: what it asked, and what it was answered."""

    asked: str
    answered: str


class Agent(threading.Thread):
    """A client that asks one thing after the other, whether it is answered or not."""

    def __init__(self, name: str, port: int) -> None:
        super().__init__(name=name)
        self.told: dict[str, Told] = {}
        self._port = port
        self._ended = threading.Event()
        self.start()

    def run(self) -> None:
        n = 0
        while not self._ended.is_set():
            n += 1
            try:
                self._ask(f"{self.name} asks {n}", is_stream=n % 2 == 0)
            except (OSError, http.client.HTTPException):
                time.sleep(0.01)

    def end(self) -> dict[str, Told]:
        self._ended.set()
        self.join()
        return self.told

    def _ask(self, text: str, *, is_stream: bool) -> None:
        messages = [{"role": "user", "content": text}]
        body = msgspec.json.encode({**CHAT, "messages": messages, "stream": is_stream})
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE_S)
        try:
            connection.request("POST", "/v1/chat/completions", body)
            reply = connection.getresponse()
            said = spoken(reply) if is_stream else written(reply)
            call_id = reply.getheader("x-slimdown-call-id")
        finally:
            connection.close()
        assert reply.status == 200
        assert call_id is not None
        self.told[call_id] = Told(text, said)


def written(reply: http.client.HTTPResponse) -> str:
    return str(msgspec.json.decode(reply.read())["choices"][0]["message"]["content"])


def spoken(reply: http.client.HTTPResponse) -> str:
    """Return the text of a stream as soon as its last event has come."""
    said = []
    while b"[DONE]" not in (line := reply.readline()):
        if not line:
            raise http.client.IncompleteRead(b"")
        if line.startswith(b"data:"):
            choices = msgspec.json.decode(line[5:])["choices"]
            said += [choice["delta"].get("content") or "" for choice in choices]
    return "".join(said)


def reply_to(seen: Seen) -> list[Step]:
    """Answer so that every answer tells its question."""
    text = f"the answer to {seen.json['messages'][-1]['content']}"
    if seen.json["stream"]:
        return sse(completion_chunks(text), gap_s=0.002)
    return answer(completion(text))


def slow_reply(seen: Seen) -> list[Step]:
    return [Wait(0.05), *reply_to(seen)]


class Nursery:
    """Starts gateways on one port and one workspace, one after the other."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self._process = process
        self.port = port
        self._child = 0

    def start(self) -> None:
        self._tell("\n")
        self._child = int(self._line())

    def kill(self) -> None:
        os.kill(self._child, signal.SIGKILL)
        assert self._line() == "ended\n"

    def seconds_to_serve(self) -> float:
        began = time.monotonic()
        until_serving(self.port)
        return time.monotonic() - began

    def _tell(self, text: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(text)
        self._process.stdin.flush()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


def is_serving(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def until_serving(port: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_serving(port):
        assert time.monotonic() < deadline, "the gateway does not serve"
        time.sleep(0.005)


@contextmanager
def nursery(workspace: Path, upstream: str) -> Iterator[Nursery]:
    port = free_port()
    gateway = {"port": port, "record_budget_s": PATIENCE_S}
    settings = {
        "workspace": str(workspace),
        "gateway": gateway,
        "upstreams": {"llm": {"url": upstream}},
    }
    argv = [sys.executable, "-c", NURSERY, msgspec.json.encode(settings).decode()]
    with subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **ENVIRON},
    ) as process:
        yield Nursery(process, port)
        process.kill()


def recorded(workspace: Path) -> dict[str, Call]:
    with Store.open(workspace, ENVIRON, write=False) as store:
        return {call.id: call for call in store.calls()}


def said_by(call: Call) -> Told:
    assert call.response is not None, call
    answered = call.response["choices"][0]["message"]["content"]
    return Told(call.request["messages"][-1]["content"], answered)


def integrity(workspace: Path) -> str:
    connection = apsw.Connection(str(workspace / FILE))
    try:
        (found,) = connection.execute("PRAGMA integrity_check").fetchall()
    finally:
        connection.close()
    return str(found[0])


def end_all(agents: list[Agent]) -> dict[str, Told]:
    return {name: told for agent in agents for name, told in agent.end().items()}


def test_fifty_kills_lose_double_and_alter_no_acknowledged_call(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    drawn = random.Random(7)
    workspace, restarts = tmp_path / "workspace", []

    with ScriptedUpstream(reply_to) as upstream, nursery(workspace, upstream.url) as gateways:
        agents = [Agent(f"agent {n}", gateways.port) for n in range(N_CLIENTS)]
        for _ in range(N_KILLS):
            gateways.start()
            if drawn.random() < 0.8:  # the others are killed as they start
                restarts.append(gateways.seconds_to_serve())
            time.sleep(drawn.uniform(0, 0.15))
            gateways.kill()
        gateways.start()
        restarts.append(gateways.seconds_to_serve())
        told = end_all(agents)
        gateways.kill()
    rows = recorded(workspace)

    record_property("n_acknowledged", len(told))
    record_property("slowest_restart_s", max(restarts))
    assert len(told) > N_KILLS
    assert {name: said_by(rows[name]) for name in told if name in rows} == told
    asked = Counter(said_by(call).asked for call in rows.values() if call.error is None)
    assert [text for text, n in asked.items() if n > 1] == []
    assert integrity(workspace) == "ok"


def test_sigterm_ends_no_call_under_way_and_loses_none(tmp_path: Path) -> None:
    workspace, port = tmp_path / "workspace", free_port()
    argv = [sys.executable, "-m", "slimdown", "gateway", "--port", str(port)]

    with ScriptedUpstream(slow_reply) as upstream:
        argv += ["--upstream", upstream.url, "--workspace", str(workspace)]
        environ = {**os.environ, **ENVIRON, "SLIMDOWN_GATEWAY__RECORD_BUDGET_S": "20"}
        with subprocess.Popen(argv, env=environ, stdout=subprocess.DEVNULL) as process:
            until_serving(port)
            agents = [Agent(f"agent {n}", port) for n in range(N_CLIENTS)]
            upstream.wait_for_requests(3 * N_CLIENTS)
            process.terminate()
            exit_code = process.wait(PATIENCE_S)
            told = end_all(agents)
        n_asked = len(upstream.requests)

    assert exit_code == 0
    assert len(told) == n_asked  # whatever went upstream was answered whole
    assert {name: said_by(call) for name, call in recorded(workspace).items()} == told
