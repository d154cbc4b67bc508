"""A client that keeps the time of every byte: one keep-alive connection, one call at a time.

Plain asyncio and httptools, so that little of what is measured is its own.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import httptools
import uvloop

from gateway_parts.load import CHAT_PATH
from gateway_parts.processes import LOAD_CORE

Result = TypeVar("Result")


@dataclass
class Piece:
    """Body bytes as they came: in which HTTP chunk, in which read from the socket, and when."""

    chunk: int
    read: int
    at_ns: int
    data: bytes


@dataclass
class Answer:
    """One answer with its times, by the monotonic clock, which all processes share."""

    sent_ns: int
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    pieces: list[Piece] = field(default_factory=list)
    done_ns: int = 0

    @property
    def body(self) -> bytes:
        """The whole body."""
        return b"".join(piece.data for piece in self.pieces)

    @property
    def latency_ms(self) -> float:
        """From the first byte sent to the last byte read."""
        return (self.done_ns - self.sent_ns) / 1e6

    @property
    def first_ms(self) -> float:
        """From the first byte sent to the first body byte read."""
        return (self.pieces[0].at_ns - self.sent_ns) / 1e6


class Line(asyncio.Protocol):
    """One connection; also what httptools calls as it reads."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser: Any = None
        self.answer = Answer(0)
        """The last answer, as far as it has come."""
        self._done: asyncio.Future[None] | None = None
        self._now_ns = self._read = self._chunk = 0

    async def ask(self, request: bytes) -> Answer:
        """Send a request and return its answer; raises ConnectionError if the line breaks."""
        if self._transport is None or self._transport.is_closing():
            raise ConnectionError("the line is closed")
        self._parser = httptools.HttpResponseParser(self)
        self._done = asyncio.get_running_loop().create_future()
        self.answer = Answer(time.monotonic_ns())
        self._transport.write(request)
        await self._done
        return self.answer

    def hang_up(self) -> None:
        """Close the connection, in the middle of an answer or not."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transport is none by inheritance.
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_exception(exc or ConnectionError("the line was closed"))

    def data_received(self, data: bytes) -> None:
        self._now_ns = time.monotonic_ns()
        self._read += 1
        self._parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        self.answer.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_chunk_header(self) -> None:
        self._chunk += 1

    def on_body(self, data: bytes) -> None:
        self.answer.pieces.append(Piece(self._chunk, self._read, self._now_ns, data))

    def on_message_complete(self) -> None:
        self.answer.status = self._parser.get_status_code()
        self.answer.done_ns = self._now_ns
        if self._done is not None and not self._done.done():
            self._done.set_result(None)


async def dial(port: int) -> Line:
    """Return a line to a port of this machine."""
    _, line = await asyncio.get_running_loop().create_connection(Line, "127.0.0.1", port)
    return line


def chat_request(headers: Mapping[str, str], body: Mapping[str, Any]) -> bytes:
    """Return a chat request's bytes."""
    data = json.dumps(body).encode()
    lines = {"Host": "127.0.0.1", "Content-Type": "application/json", **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST {CHAT_PATH} HTTP/1.1\r\n{head}Content-Length: {len(data)}\r\n\r\n".encode() + data


def timed(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a client's coroutine on the load's core."""
    with _on_core(int(LOAD_CORE)), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


@contextmanager
def _on_core(core: int) -> Iterator[None]:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
