"""What a runtime that died or froze costs a call: on the first hit, and once it is left alone.

The same calls are sent with `x-slimdown-route: off` first; what a fault adds is what a call takes
beyond their median.
"""

from __future__ import annotations

import statistics
import time
from typing import Any, Literal

from gateway_parts.line import Answer, dial, timed
from gateway_parts.processes import Running, busy_share
from gateway_parts.specialists import OFF, ask_in_turn, by_specialist, requests, served
from gateway_parts.streams import percentiles
from gateway_parts.training import Trained

Fault = Literal["killed", "frozen"]
_OFF_S = 2.0
_SLOW_MS = 10.0
"""Far more than an open breaker may cost, far less than the budget of a specialist's answer."""


def measure_fault(
    made: Trained, upstream_port: int, fault: Fault, seconds: float
) -> dict[str, Any]:
    """Break the runtime under a served task; return one row.

    ``first`` is the call that finds out. ``slow`` are those that waited for the runtime too: a few
    until it is left alone, and one whenever it is tried again. ``open`` are all others. Every call
    must have been answered by the upstream.
    """
    with served(made, upstream_port) as (place, _, specialists):
        busy = busy_share()
        usual = timed(ask_in_turn(place.port, requests(made, OFF), _OFF_S))
        usual_p50, usual_p99 = percentiles([answer.latency_ms for answer in usual])
        _break(specialists, fault)
        answers = timed(_at_once(place.port, requests(made), seconds))
        if fault == "frozen":
            specialists.pause(False)
    times = [answer.latency_ms - usual_p50 for answer in answers]
    slow = [number for number, ms in enumerate(times) if ms > _SLOW_MS]
    rest = [ms for ms in times[1:] if ms <= _SLOW_MS]
    return {
        "fault": fault,
        "busy_before": busy,
        "upstream_p50_ms": usual_p50,
        "upstream_p99_ms": usual_p99,
        "first_added_ms": times[0],
        "worst_added_ms": max(times),
        "n_slow": len(slow),
        "last_slow": slow[-1] if slow else None,
        "open_added_p50_ms": statistics.median(rest),
        "open_added_p99_ms": percentiles(rest)[1],
        "n_calls": len(times),
        "n_errors": sum(answer.status != 200 for answer in answers),
        "n_served": sum(by_specialist(answer) for answer in answers),
    }


async def _at_once(port: int, calls: list[bytes], seconds: float) -> list[Answer]:
    """Send the calls one at a time without a warm-up: the first one meets the fault."""
    line = await dial(port)
    answers: list[Answer] = []
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answers.append(await line.ask(calls[len(answers) % len(calls)]))
    line.hang_up()
    return answers


def _break(specialists: Running, fault: Fault) -> None:
    if fault == "killed":
        specialists.kill()
    else:
        specialists.pause(True)
