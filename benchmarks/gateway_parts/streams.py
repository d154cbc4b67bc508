"""Streams through every gateway: time to the first token, and 64 streams at once.

A chunk says when the upstream sent it, so its way through the gateway is timed by itself. Whether
chunks were merged is seen twice: HTTP chunks that hold several events, which only the gateway can
cause, and reads that do, which a late client causes too (compare the row "direct").
"""

from __future__ import annotations

import asyncio
import itertools
import re
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway_parts.contestants import Contestant
from gateway_parts.line import Answer, Line, chat_request, dial, timed
from gateway_parts.load import first_answer
from gateway_parts.processes import LOAD_CORE, busy_share, free_port, running
from gateway_parts.stream_upstream import INTERVAL_S
from gateway_parts.throughput import gateway, place, port_of

N_STREAMS, N_CHUNKS = 64, 100
_WARM_UP_CALLS = 50
_SAID = re.compile(rb'"content":\s*"(\d+):(\d+) "')


@dataclass(frozen=True)
class Said:
    """One chunk of the upstream's, as it arrived."""

    number: int
    sent_ns: int
    at_ns: int
    chunk: int
    read: int


@contextmanager
def streaming_upstream(folder: Path) -> Iterator[int]:
    """Run the streaming upstream; yields its port."""
    port = free_port()
    command = [sys.executable, str(Path(__file__).with_name("stream_upstream.py")), str(port)]
    with running(command, LOAD_CORE, folder / "upstream.log") as started:
        started.wait_ready(port)
        yield port


def measure_streams(contestant: Contestant, upstream_port: int, seconds: float) -> dict[str, Any]:
    """Start a gateway and stream through it; return one row."""
    with place(upstream_port) as where, gateway(contestant, where) as started:
        busy = busy_share()
        port, headers = port_of(where, started), contestant.caller_headers(where)
        first_answer(port, headers)
        row = {"gateway": contestant.name, "busy_before": busy}
        row |= timed(first_tokens(port, headers, seconds))
        return row | timed(many_streams(port, headers))


async def first_tokens(port: int, headers: Mapping[str, str], seconds: float) -> dict[str, Any]:
    """Ask one short stream after the other, and return the time to the first token."""
    request = chat_request(headers, stream_body(1))
    line = await dial(port)
    for _ in range(_WARM_UP_CALLS):
        await line.ask(request)
    deadline = time.monotonic() + seconds
    times: list[float] = []
    while time.monotonic() < deadline or len(times) < 100:
        answer = await line.ask(request)
        times.append((said_in(answer)[0].at_ns - answer.sent_ns) / 1e6)
    line.hang_up()
    p50, p99 = percentiles(times)
    return {"first_token_p50_ms": p50, "first_token_p99_ms": p99, "n_first_tokens": len(times)}


async def many_streams(port: int, headers: Mapping[str, str]) -> dict[str, Any]:
    """Run many streams at once, begun one after the other within one chunk's interval."""
    request = chat_request(headers, stream_body(N_CHUNKS))
    lines = [await dial(port) for _ in range(N_STREAMS)]

    async def one(line: Line, place_in_interval: float) -> Answer:
        await asyncio.sleep(place_in_interval * INTERVAL_S)
        return await line.ask(request)

    await asyncio.gather(*(line.ask(chat_request(headers, stream_body(2))) for line in lines))
    answers = await asyncio.gather(*(one(line, i / N_STREAMS) for i, line in enumerate(lines)))
    for line in lines:
        line.hang_up()
    return stream_figures(answers)


def stream_body(n_chunks: int) -> dict[str, Any]:
    """Return a streaming request for so many chunks."""
    content = "Tell me where my parcel is."
    messages = [{"role": "user", "content": content}]
    return {"model": "gpt-4o-mini", "stream": True, "max_tokens": n_chunks, "messages": messages}


def stream_figures(answers: Sequence[Answer]) -> dict[str, Any]:
    """Return what the streams were like: transit and jitter in milliseconds, and all that broke.

    Jitter is how far the time between two chunks of a stream is from what it was as sent.
    """
    streams = [said_in(answer) for answer in answers]
    transit = [(said.at_ns - said.sent_ns) / 1e6 for stream in streams for said in stream]
    jitter = [
        abs((b.at_ns - a.at_ns) - (b.sent_ns - a.sent_ns)) / 1e6
        for stream in streams
        for a, b in itertools.pairwise(stream)
    ]
    transit_p50, transit_p99 = percentiles(transit)
    jitter_p50, jitter_p99 = percentiles(jitter)
    return {
        "transit_p50_ms": transit_p50,
        "transit_p99_ms": transit_p99,
        "jitter_p50_ms": jitter_p50,
        "jitter_p99_ms": jitter_p99,
        "n_chunks": len(transit),
        "n_missing": N_STREAMS * N_CHUNKS - len(transit),
        "n_out_of_order": sum(_disorder(stream) for stream in streams),
        "n_merged": sum(_merged(said.chunk for said in stream) for stream in streams),
        "n_read_together": sum(_merged(said.read for said in stream) for stream in streams),
    }


def said_in(answer: Answer) -> list[Said]:
    """Return the upstream's chunks in an answer, each at the time that its last byte came."""
    body, ends, end = answer.body, [], 0
    for piece in answer.pieces:
        end += len(piece.data)
        ends.append(end)
    found, at = [], 0
    for match in _SAID.finditer(body):
        while ends[at] < match.end():
            at += 1
        piece = answer.pieces[at]
        found.append(Said(int(match[1]), int(match[2]), piece.at_ns, piece.chunk, piece.read))
    return found


def percentiles(values: Sequence[float]) -> tuple[float, float]:
    """Return the median and the 99th percentile."""
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return cuts[49], cuts[98]


def _disorder(stream: Sequence[Said]) -> int:
    return sum(said.number != place for place, said in enumerate(stream))


def _merged(places: Iterator[int]) -> int:
    """Return how many chunks arrived in one with the chunk before."""
    return sum(n - 1 for n in Counter(places).values())
