"""An upstream that says exactly what its script says, byte for byte, and remembers what it saw.

Speaks HTTP/1.1 on a loopback port from a thread of its own. It knows no dialect; whether a reply
is well formed is the script's affair.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self, cast

import httptools
import msgspec

from slimdown.testing.scripted import Close, Hang, Reset, Say, Script, Seen, Step, Wait

_ENDED = (Close, Reset)


class Abort(msgspec.Struct, frozen=True):
    """A request whose connection the client ended before its script did, and when it did so
    (seconds, `time.monotonic`)."""

    request: Seen
    at: float


class ScriptedUpstream:
    """A context manager: answers each request by a script while it is entered.

    ``script`` is one script for all requests, or a list of them for one request each, in the order
    of their arrival; the last is used again. Without a script (an empty list) nothing is answered.
    A ``port`` of 0 is a free one. With ``tls`` it speaks HTTPS.
    """

    def __init__(
        self,
        script: Script | Sequence[Script],
        *,
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Take the script; nothing listens before the upstream is entered."""
        self.requests: list[Seen] = []
        self.aborts: list[Abort] = []
        self.n_connections = 0
        self._scripts = _as_list(script)
        self._n_played = 0
        self._changed = threading.Condition()
        self._tls = tls
        self.port = port
        self._thread = threading.Thread(target=self._run, name="scripted-upstream", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._started = threading.Event()
        self._open: set[_Connection] = set()

    @property
    def url(self) -> str:
        """The base URL, as a client of OpenAI's takes it."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> Self:
        """Start to answer; raises `OSError` where the port is taken."""
        self._socket = socket.create_server(("127.0.0.1", self.port))
        self.port = self._socket.getsockname()[1]
        self._thread.start()
        self._started.wait()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop: break off what is open, and end the thread."""
        loop, stop = self._loop, self._stop
        if loop is not None and stop is not None:
            loop.call_soon_threadsafe(stop.set)
        self._thread.join()

    def play(self, script: Script | Sequence[Script]) -> None:
        """Answer by this from the next request on."""
        with self._changed:
            self._scripts, self._n_played = _as_list(script), 0

    def wait_for_requests(self, n: int = 1, timeout: float = 10) -> list[Seen]:
        """Return the requests once there are ``n`` or more; raises `TimeoutError`."""
        self._wait(lambda: len(self.requests) >= n, timeout, f"{n} requests")
        return list(self.requests)

    def wait_for_abort(self, n: int = 1, timeout: float = 10) -> Abort:
        """Return the ``n``-th abort once it has come; raises `TimeoutError`."""
        self._wait(lambda: len(self.aborts) >= n, timeout, f"{n} aborts")
        return self.aborts[n - 1]

    def _wait(self, is_true: Callable[[], bool], timeout: float, what: str) -> None:
        with self._changed:
            if not self._changed.wait_for(is_true, timeout):
                seen = f"{len(self.requests)} requests and {len(self.aborts)} aborts came"
                raise TimeoutError(f"no {what} within {timeout} s; {seen}.")

    def _next_steps(self, seen: Seen) -> Sequence[Step]:
        with self._changed:
            if not self._scripts:
                script: Script = [Hang()]
            else:
                script = self._scripts[min(self._n_played, len(self._scripts) - 1)]
            self._n_played += 1
            self.requests.append(seen)
            self._changed.notify_all()
        return script(seen) if callable(script) else script

    def _aborted(self, seen: Seen) -> None:
        with self._changed:
            self.aborts.append(Abort(seen, time.monotonic()))
            self._changed.notify_all()

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await self._loop.create_server(
            lambda: _Connection(self), sock=self._socket, ssl=self._tls
        )
        self._started.set()
        await self._stop.wait()
        server.close()
        playing = [connection.shut() for connection in self._open]
        await asyncio.gather(*playing, return_exceptions=True)


class _Connection(asyncio.Protocol):
    """One client's connection: reads requests, and plays their scripts one after the other."""

    def __init__(self, upstream: ScriptedUpstream) -> None:
        self._upstream = upstream
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: asyncio.Queue[Seen] = asyncio.Queue()
        self._playing: Seen | None = None
        self._writable = asyncio.Event()
        self._target, self._body = b"", bytearray()
        self._headers: list[tuple[bytes, bytes]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        # asyncio does so only for sockets that name their protocol; without it, a write waits for
        # the client's acknowledgement of the one before.
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._writable.set()
        self._upstream.n_connections += 1
        self._upstream._open.add(self)
        self._task = asyncio.get_running_loop().create_task(self._play_all())

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.close()

    def eof_received(self) -> None:
        self._gone()

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone()
        self._upstream._open.discard(self)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
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
            self._upstream._aborted(self._playing)
            self._playing = None
        self._task.cancel()

    async def _play_all(self) -> None:
        while not self._transport.is_closing():
            self._playing = await self._waiting.get()
            for step in self._upstream._next_steps(self._playing):
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


def _as_list(script: Script | Sequence[Script]) -> list[Script]:
    if callable(script):
        return [script]
    if script and isinstance(script[0], Step):
        return [cast("Sequence[Step]", script)]
    return list(cast("Sequence[Script]", script))
