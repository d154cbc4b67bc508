"""One client's connection to a scripted upstream: HTTP/1.1 in, steps out.

Knows no scripts: it asks its listener what to do with each request, and tells it who hung up.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Sequence
from typing import Protocol, cast

import httptools

from slimdown.testing.scripted import Close, Hang, Reset, Say, Seen, Step, Wait

_ENDED = (Close, Reset)


class Listener(Protocol):
    """Whom a connection serves."""

    def opened(self, connection: Connection) -> None:
        """Take note of a connection that a client made."""

    def closed(self, connection: Connection) -> None:
        """Take note of its end."""

    def next_steps(self, seen: Seen) -> Sequence[Step]:
        """Return what to do with a request."""

    def aborted(self, seen: Seen) -> None:
        """Take note that the client left before that was done."""


class Connection(asyncio.Protocol):
    """One client's connection: reads requests, and plays their scripts one after the other."""

    def __init__(self, listener: Listener) -> None:
        """Take who is to be asked for scripts and told what happens."""
        self._listener = listener
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: asyncio.Queue[Seen] = asyncio.Queue()
        self._playing: Seen | None = None
        self._writable = asyncio.Event()
        self._target, self._body = b"", bytearray()
        self._headers: list[tuple[bytes, bytes]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin (asyncio)."""
        self._transport = cast("asyncio.Transport", transport)
        # asyncio does so only for sockets that name their protocol; without it, a write waits for
        # the client's acknowledgement of the one before.
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._writable.set()
        self._listener.opened(self)
        self._task = asyncio.get_running_loop().create_task(self._play_all())

    def data_received(self, data: bytes) -> None:
        """Read on; what is no HTTP ends the connection (asyncio)."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.close()

    def eof_received(self) -> None:
        """Take the client's end of sending as its leaving (asyncio)."""
        self._gone()

    def connection_lost(self, exc: Exception | None) -> None:
        """End (asyncio)."""
        self._gone()
        self._listener.closed(self)

    def pause_writing(self) -> None:
        """Hold further writes back: the socket takes no more (asyncio)."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Let writes go on (asyncio)."""
        self._writable.set()

    def on_url(self, url: bytes) -> None:
        """Take a piece of the target (httptools)."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header line (httptools)."""
        self._headers.append((name, value))

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body, without its framing (httptools)."""
        self._body += body

    def on_message_complete(self) -> None:
        """Put the request in line (httptools)."""
        seen = Seen(
            method=self._parser.get_method().decode(),
            path=self._target.decode("latin-1"),
            headers=tuple(self._headers),
            body=bytes(self._body),
            at=time.monotonic(),
        )
        self._target, self._body, self._headers = b"", bytearray(), []
        self._waiting.put_nowait(seen)

    def shut(self) -> asyncio.Task[None]:
        """Break off, and return the task that thereby ends."""
        self._playing = None
        self._task.cancel()
        self._transport.abort()
        return self._task

    def _gone(self) -> None:
        if self._playing is not None:
            self._listener.aborted(self._playing)
            self._playing = None
        self._task.cancel()

    async def _play_all(self) -> None:
        while not self._transport.is_closing():
            self._playing = await self._waiting.get()
            for step in self._listener.next_steps(self._playing):
                if isinstance(step, _ENDED):
                    self._playing = None
                await self._play(step)
            self._playing = None

    async def _play(self, step: Step) -> None:
        match step:
            case Say(data):
                self._transport.write(data)
                await self._writable.wait()
            case Wait(seconds):
                await asyncio.sleep(seconds)
            case Hang():
                await asyncio.Event().wait()
            case Close():
                self._transport.close()
            case Reset():
                _linger_no_more(self._transport)
                self._transport.abort()


def _linger_no_more(transport: asyncio.Transport) -> None:
    """Make the close of the socket a reset: it waits for nothing (SO_LINGER of zero seconds)."""
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
