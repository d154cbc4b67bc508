"""The demo's recorded log: an agent's calls as a gateway would have kept them, all made up.

Every call says so: ``metadata["made_for"]`` is "slimdown demo", and each response's
``system_fingerprint`` is "slimdown-demo". No LLM was asked. It holds what real logs hold too:
slips of the model, failures, answers cut short, refusals and retries.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from slimdown.demo.answers import answer_at, text_message, truth_at
from slimdown.demo.sites import Site, request_at, sites
from slimdown.demo.tickets import Ticket, make_ticket
from slimdown.types import Call, JsonObject

MADE_FOR = "slimdown demo"
FINGERPRINT = "slimdown-demo"
_START = datetime(2026, 9, 7, 6, 0, tzinfo=UTC)
_LOG_SPAN = timedelta(weeks=8)
_FAULTS = ("failed", "cut short", "refused", "asked twice")
_FAULT_WEIGHTS = (0.004, 0.003, 0.003, 0.006)
_CHARACTERS_PER_TOKEN = 4


def demo_calls(n_calls: int = 6000, seed: int = 7) -> Iterator[Call]:
    """Yield ``n_calls`` made-up calls, oldest first; the same seed yields the same calls.

    A ticket is a session that passes the agent's sites in order. Sites that can be learnt get
    about 21 % of the calls each, the random one 12 % and the human-facing one 4 %. The default
    leaves each of the five over 149 calibration calls, the fewest that can prove a 2 % floor.
    """
    random, made, number = Random(seed), 0, 0
    pace = _LOG_SPAN / max(n_calls, 1)
    clock = _START
    while made < n_calls:
        session = list(_session(make_ticket(number, random), clock, random))[: n_calls - made]
        yield from session
        made, number = made + len(session), number + 1
        clock += pace * len(session) * random.uniform(0.5, 1.5)


def write_demo_log(path: Path, n_calls: int = 6000, seed: int = 7) -> int:
    """Write the calls to ``path``, one JSON object a line; return how many."""
    written = 0
    with path.open("wb") as file:
        for call in demo_calls(n_calls, seed):
            file.write(msgspec.json.encode(call) + b"\n")
            written += 1
    return written


def write_split_log(
    older: Path, newer: Path, n_older: int = 6000, n_newer: int = 600, seed: int = 7
) -> tuple[int, int]:
    """Write the calls as `write_demo_log` does, the newest ones to a file of their own.

    No session is in both files, so that ``n_older`` may be exceeded by a few. Returns how many
    calls are in each.
    """
    counts, session = [0, 0], None
    with older.open("wb") as first, newer.open("wb") as second:
        for call in demo_calls(n_older + n_newer, seed):
            is_new = counts[1] > 0 or (counts[0] >= n_older and call.session_id != session)
            (second if is_new else first).write(msgspec.json.encode(call) + b"\n")
            counts[is_new] += 1
            session = call.session_id
    return counts[0], counts[1]


def agent_requests(calls: Iterable[Call]) -> Iterator[JsonObject]:
    """Yield what the demo's agent sends (`agent`) to make the calls anew; one in four streams."""
    for number, call in enumerate(calls):
        streaming = {"stream": True} if number % 4 == 3 else {}
        yield {"id": call.id, "session": call.session_id, "request": call.request | streaming}


def _session(ticket: Ticket, clock: datetime, random: Random) -> Iterator[Call]:
    turn = 0
    for site in sites():
        if random.random() >= site.share:
            continue
        fault = random.choices((None, *_FAULTS), (1 - sum(_FAULT_WEIGHTS), *_FAULT_WEIGHTS))[0]
        call = _call(site, ticket, (clock, turn, fault), random)
        repeats = 2 if fault == "asked twice" else 1
        for _ in range(repeats):
            yield msgspec.structs.replace(
                call, id=f"demo-{ticket.number:05d}-{turn}", started_at=_stamp(clock)
            )
            turn += 1
            clock += timedelta(milliseconds=(call.latency_ms or 0) + random.uniform(40, 900))


def _call(
    site: Site, ticket: Ticket, when: tuple[datetime, int, str | None], random: Random
) -> Call:
    clock, turn, fault = when
    request = request_at(site, ticket)
    message = answer_at(site.name, ticket, random)
    fields: dict[str, Any] = {
        "request": request,
        "session_id": f"ticket-{ticket.number:05d}",
        "metadata": {"made_for": MADE_FOR, **site.metadata},
    }
    if fault == "failed":
        error = random.choice(["429 rate limit reached", "500 the server had an error"])
        return Call(id="", error=error, latency_ms=round(random.uniform(90, 4000), 1), **fields)
    if fault == "refused":
        message = text_message("I'm sorry, but I can't help with that request.")
    response = _response(site, request, message, (clock, f"{ticket.number:05d}{turn}"))
    if fault == "cut short":
        response = _cut_short(response)
    latency_ms = _latency_ms(response["usage"], random)
    return Call(
        id="", response=response, latency_ms=latency_ms, label=truth_at(site.name, ticket), **fields
    )


def _response(
    site: Site, request: JsonObject, message: JsonObject, made: tuple[datetime, str]
) -> JsonObject:
    created, suffix = made
    asked = _tokens(request["messages"]) + _tokens(request.get("tools"))
    said = _tokens(message.get("tool_calls") or message["content"])
    finish = "tool_calls" if message.get("tool_calls") else "stop"
    return {
        "id": f"chatcmpl-demo{suffix}",
        "object": "chat.completion",
        "created": int(created.timestamp()),
        "model": site.model,
        "system_fingerprint": FINGERPRINT,
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": {
            "prompt_tokens": asked,
            "completion_tokens": said,
            "total_tokens": asked + said,
        },
    }


def _cut_short(response: JsonObject) -> JsonObject:
    content = response["choices"][0]["message"].get("content") or "I will"
    message = text_message(content[: len(content) // 2])
    return response | {"choices": [{"index": 0, "message": message, "finish_reason": "length"}]}


def _latency_ms(usage: JsonObject, random: Random) -> float:
    median: float = 320 + 0.15 * usage["prompt_tokens"] + 13 * usage["completion_tokens"]
    return round(median * random.lognormvariate(0, 0.3), 1)


def _tokens(value: Any) -> int:
    """Return a rough count, as the demo has no tokenizer: four characters to a token."""
    if value is None:
        return 0
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return max(1, len(text) // _CHARACTERS_PER_TOKEN)


def _stamp(clock: datetime) -> str:
    return clock.strftime("%Y-%m-%dT%H:%M:%S.") + f"{clock.microsecond // 1000:03d}Z"
