"""A load of all that a gateway meets: plain calls, streams, served calls, hang-ups, bad upstreams.

Each kind has some callers; a caller sends one call after the other, each of them new, and dials
again every few calls, so that connections come and go.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway_parts.line import Line, chat_request, dial

CALLERS = {
    "plain": 6,
    "stream": 6,
    "hang_up": 3,
    "error": 2,
    "cut": 2,
    "stall": 1,
    "served": 2,
}
"""How many callers of each kind; "served" only where there are calls for a specialist."""

_PAUSE_S = 0.02
_CALLS_A_LINE = 20
_PATIENCE_S = 20.0
_HEADERS = {"Authorization": "Bearer sk-soak"}


@dataclass
class Seen:
    """How the calls ended: counts by "KIND OUTCOME", and those that nobody expected."""

    ended: Counter[str] = field(default_factory=Counter)
    unexpected: Counter[str] = field(default_factory=Counter)

    @property
    def n_answered(self) -> int:
        """Calls whose answer came whole."""
        return sum(n for key, n in self.ended.items() if key.endswith(" whole"))

    def note(self, kind: str, outcome: str) -> None:
        """Count a call."""
        self.ended[f"{kind} {outcome}"] += 1
        if outcome not in EXPECTED[kind]:
            self.unexpected[f"{kind} {outcome}"] += 1


EXPECTED: Mapping[str, tuple[str, ...]] = {
    "plain": ("200 whole",),
    "stream": ("200 whole",),
    "served": ("200 whole",),
    "hang_up": ("left",),
    "error": ("500 whole",),
    "cut": ("broken", "200 unfinished"),
    "stall": ("broken", "200 unfinished"),
}
"""A stream that broke behind the gateway must not look whole in front of it."""


async def load(
    port: int,
    seconds: float,
    served: Sequence[dict[str, Any]],
    seen: Seen,
    sample: Callable[[], None],
) -> None:
    """Load a gateway for so long, and call ``sample`` every two seconds."""
    deadline = time.monotonic() + seconds
    numbers = itertools.count()
    kinds = [kind for kind, n in CALLERS.items() for _ in range(n) if kind != "served" or served]

    def bodies(kind: str) -> dict[str, Any]:
        number = next(numbers)
        return served[number % len(served)] if kind == "served" else body(kind, number)

    async def sampled() -> None:
        while time.monotonic() < deadline:
            sample()
            await asyncio.sleep(2.0)

    async def caller(kind: str) -> None:
        while time.monotonic() < deadline:
            await one_line(port, kind, bodies, seen, deadline)

    await asyncio.gather(sampled(), *(caller(kind) for kind in kinds))


async def one_line(
    port: int, kind: str, bodies: Callable[[str], dict[str, Any]], seen: Seen, deadline: float
) -> None:
    """Send some calls over one connection, until it ends or the time is up."""
    line = await dial(port)
    for _ in range(_CALLS_A_LINE):
        outcome = await ended(line, kind, chat_request(_HEADERS, bodies(kind)))
        seen.note(kind, outcome)
        await asyncio.sleep(_PAUSE_S)
        if outcome in ("broken", "left", "silent") or time.monotonic() > deadline:
            break
    line.hang_up()


async def ended(line: Line, kind: str, request: bytes) -> str:
    """Send one call and say how it ended, as in `EXPECTED`."""
    try:
        async with asyncio.timeout(0.05 if kind == "hang_up" else _PATIENCE_S):
            answer = await line.ask(request)
    except TimeoutError:
        return "left" if kind == "hang_up" else "silent"
    except ConnectionError:
        return "broken"
    is_stream = "event-stream" in answer.headers.get("content-type", "")
    is_whole = not is_stream or b"data: [DONE]" in answer.body
    return f"{answer.status} {'whole' if is_whole else 'unfinished'}"


def body(kind: str, number: int) -> dict[str, Any]:
    """Return a request of a kind; no two are the same."""
    messages = [
        {"role": "system", "content": "Sort the ticket into one of the queues. " * 20},
        {"role": "user", "content": f"Ticket {number}: the parcel is late."},
    ]
    request: dict[str, Any] = {"model": "gpt-4o-mini", "messages": messages, "user": kind}
    if kind not in ("plain", "error"):
        request |= {"stream": True, "max_tokens": 10}
    return request
