"""The constant upstream (nginx) and the load (wrk), both on the core beside the gateway's."""

from __future__ import annotations

import http.client
import itertools
import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from gateway_parts.processes import LOAD_CORE, Running, free_port, running

PEERS = Path(__file__).resolve().parent.parent / "gateway_peers"
CHAT_PATH = "/v1/chat/completions"
_MOST_CALLS_A_RUN = 1_000_000
_first_tickets = itertools.count(0, _MOST_CALLS_A_RUN)

ANSWER: dict[str, Any] = {
    "id": "chatcmpl-bench",
    "object": "chat.completion",
    "created": 1_700_000_000,
    "model": "gpt-4o-mini",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": '{"queue": "delivery", "urgent": true}'},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 236, "completion_tokens": 11, "total_tokens": 247},
}


class Load(msgspec.Struct, frozen=True):
    """What wrk saw: calls answered, those with a status above 399 or broken, and latencies."""

    n_calls: int
    seconds: float
    n_errors: int
    p50_us: float
    p90_us: float
    p99_us: float
    max_us: float

    @property
    def calls_per_s(self) -> float:
        """Answers a second."""
        return self.n_calls / self.seconds


@contextmanager
def upstream(folder: Path, port: int | None = None) -> Iterator[tuple[Running, int]]:
    """Run nginx with one constant answer; yields it and its port."""
    port = port or free_port()
    config = folder / "upstream.conf"
    config.write_text(nginx_config(folder, port), "utf-8")
    command = ["nginx", "-c", str(config), "-p", str(folder), "-e", "stderr"]
    with running(command, LOAD_CORE, folder / "nginx.log") as started:
        started.wait_ready(port)
        yield started, port


def nginx_config(folder: Path, port: int, answer: Mapping[str, Any] = ANSWER) -> str:
    """Return nginx's configuration, with the answer quoted as nginx wants it."""
    text = json.dumps(answer).replace("\\", "\\\\").replace("'", "\\'")
    config = (PEERS / "upstream.conf").read_text("utf-8")
    for name, value in (("FOLDER", str(folder)), ("PORT", str(port)), ("ANSWER", text)):
        config = config.replace(f"@{name}@", value)
    return config


def run_wrk(port: int, headers: Mapping[str, str], connections: int, seconds: float) -> Load:
    """Load a gateway for some seconds; each run sends calls that no run before it sent."""
    command = ["taskset", "-c", LOAD_CORE, "wrk", "-t1", f"-c{connections}"]
    command += [f"-d{seconds:g}s", "--timeout", "10s", "-s", str(PEERS / "load.lua")]
    for name, value in headers.items():
        command += ["-H", f"{name}: {value}"]
    command += [f"http://127.0.0.1:{port}{CHAT_PATH}", "--", str(next(_first_tickets))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return parse_load(done.stdout)


def first_answer(port: int, headers: Mapping[str, str], patience_s: float = 120.0) -> None:
    """Send one call and wait for its answer: some gateways do much of their work at the first.

    Raises RuntimeError where the answer is not what the upstream says: then nothing is measured.
    """
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Are you there?"}]}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=patience_s)
    try:
        lines = {"Content-Type": "application/json", **headers}
        connection.request("POST", CHAT_PATH, json.dumps(body), lines)
        answer = connection.getresponse()
        told = answer.read()
    finally:
        connection.close()
    if answer.status != 200:
        raise RuntimeError(f"the gateway answers {answer.status}: {told[:500]!r}")


def parse_load(printed: str) -> Load:
    """Return the figures in what wrk printed; raises ValueError if there are none."""
    lines = [line for line in printed.splitlines() if line.startswith("{")]
    if not lines:
        raise ValueError(f"wrk printed no figures:\n{printed}")
    return msgspec.json.decode(lines[-1].encode(), type=Load)
