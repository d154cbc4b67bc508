"""An upstream that says exactly what its script says, byte for byte, and remembers what it saw.

Speaks HTTP/1.1 on a loopback port from a thread of its own. It knows no dialect; whether a reply
is well formed is the script's affair.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self, cast

import msgspec

from slimdown.testing.connection import Connection
from slimdown.testing.scripted import Hang, Script, Seen, Step


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
        self._open: set[Connection] = set()

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

    def opened(self, connection: Connection) -> None:
        """Take note of a connection (from within, as the next three)."""
        self.n_connections += 1
        self._open.add(connection)

    def closed(self, connection: Connection) -> None:
        """Take note of a connection's end."""
        self._open.discard(connection)

    def next_steps(self, seen: Seen) -> Sequence[Step]:
        """Take note of a request, and return what its script does."""
        with self._changed:
            if not self._scripts:
                script: Script = [Hang()]
            else:
                script = self._scripts[min(self._n_played, len(self._scripts) - 1)]
            self._n_played += 1
            self.requests.append(seen)
            self._changed.notify_all()
        return script(seen) if callable(script) else script

    def aborted(self, seen: Seen) -> None:
        """Take note of a client that left too early."""
        with self._changed:
            self.aborts.append(Abort(seen, time.monotonic()))
            self._changed.notify_all()

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await self._loop.create_server(
            lambda: Connection(self), sock=self._socket, ssl=self._tls
        )
        self._started.set()
        await self._stop.wait()
        server.close()
        playing = [connection.shut() for connection in self._open]
        await asyncio.gather(*playing, return_exceptions=True)


def _as_list(script: Script | Sequence[Script]) -> list[Script]:
    if callable(script):
        return [script]
    if script and isinstance(script[0], Step):
        return [cast("Sequence[Step]", script)]
    return list(cast("Sequence[Script]", script))
