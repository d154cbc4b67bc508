"""Served calls: how long a specialist's answer takes, the gateway and the runtime on one core.

The calls are recorded ones that the specialist has not seen, one at a time. Those that it is not
sure of go to the upstream (which answers at once) and are counted apart.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from gateway_parts.contestants import SLIMDOWN, Place, runtime
from gateway_parts.line import Answer, Line, chat_request, dial, timed
from gateway_parts.processes import GATEWAY_CORE, Running, busy_share, running
from gateway_parts.streams import percentiles
from gateway_parts.throughput import gateway
from gateway_parts.training import Trained

OFF = {"x-slimdown-route": "off"}
N_WARM_UP = 50
_SERVED_TIMEOUT_S = 60.0


@contextmanager
def served(made: Trained, upstream_port: int) -> Iterator[tuple[Place, Running, Running]]:
    """Run a workspace's gateway and its runtime; yields once a specialist answers.

    Yields where the gateway is, the gateway, and the runtime.
    """
    place = made.place(upstream_port)
    log = place.folder / "runtime.log"
    with (
        running(runtime(place), GATEWAY_CORE, log, place.environ) as specialists,
        gateway(SLIMDOWN, place) as started,
    ):
        assert started is not None
        timed(_until_served(place.port, requests(made), specialists))
        yield place, started, specialists


def measure_served(made: Trained, upstream_port: int, seconds: float) -> dict[str, Any]:
    """Return one row: latency of served calls, of the same calls sent upstream, processor time a
    call, and memory."""
    with served(made, upstream_port) as (place, started, specialists):
        busy = busy_share()
        before = started.cpu_s(), specialists.cpu_s()
        answers = timed(ask_in_turn(place.port, requests(made), seconds))
        n_asked = len(answers) + N_WARM_UP
        cpu = {
            "gateway_cpu_ms": (started.cpu_s() - before[0]) / n_asked * 1e3,
            "runtime_cpu_ms": (specialists.cpu_s() - before[1]) / n_asked * 1e3,
        }
        upstream = timed(ask_in_turn(place.port, requests(made, OFF), seconds / 4))
        memory = {"gateway_mb": started.resident_mb(), "runtime_mb": specialists.resident_mb()}
    row = {"specialist": made.recipe.rung, "calls": made.recipe.name, "busy_before": busy}
    return row | served_figures(answers, upstream) | cpu | memory


def requests(made: Trained, headers: dict[str, str] | None = None) -> list[bytes]:
    """Return the unseen calls as bytes to send."""
    caller = {"Authorization": "Bearer sk-bench", **(headers or {})}
    return [chat_request(caller, request) for request in made.unseen]


def served_figures(answers: Sequence[Answer], upstream: Sequence[Answer]) -> dict[str, Any]:
    """Return latencies in milliseconds, and the share that the specialist served."""
    ours = [answer for answer in answers if by_specialist(answer)]
    others = [answer.latency_ms for answer in answers if not by_specialist(answer)]
    p50, p99 = percentiles([answer.latency_ms for answer in ours])
    upstream_p50, upstream_p99 = percentiles([answer.latency_ms for answer in upstream])
    return {
        "p50_ms": p50,
        "p99_ms": p99,
        "n_served": len(ours),
        "n_not_sure": len(others),
        "served_share": len(ours) / len(answers),
        "not_sure_p50_ms": percentiles(others)[0] if len(others) > 1 else None,
        "upstream_p50_ms": upstream_p50,
        "upstream_p99_ms": upstream_p99,
        "n_errors": sum(answer.status != 200 for answer in [*answers, *upstream]),
    }


def by_specialist(answer: Answer) -> bool:
    """Say whether a specialist answered."""
    return answer.headers.get("x-slimdown-served-by", "upstream") != "upstream"


async def ask_in_turn(port: int, calls: Sequence[bytes], seconds: float) -> list[Answer]:
    """Send the calls one at a time, over again until the time is up, after a few to warm up."""
    line = await dial(port)
    for call in calls[:N_WARM_UP]:
        await line.ask(call)
    answers: list[Answer] = []
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline or len(answers) < len(calls):
        answers.append(await line.ask(calls[len(answers) % len(calls)]))
    line.hang_up()
    return answers


async def _until_served(port: int, calls: Sequence[bytes], specialists: Running) -> None:
    line: Line = await dial(port)
    deadline = time.monotonic() + _SERVED_TIMEOUT_S
    for call in _forever(calls):
        answer = await line.ask(call)
        if by_specialist(answer):
            line.hang_up()
            return
        if time.monotonic() > deadline:
            said = json.dumps(answer.headers)
            raise RuntimeError(f"no specialist answers: {said}\n{specialists.tail()}")
        await asyncio.sleep(0.1)


def _forever(calls: Sequence[bytes]) -> Iterator[bytes]:
    while True:
        yield from calls
