"""Asks the specialist runtime, within a budget: it answers, it refuses, or it counts as down.

The runtime is another process, an OpenAI-compatible server on a Unix socket or a port. What it
says is not believed before its shape was checked. Knows nothing of routes and thresholds.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Sequence
from pathlib import Path

import aiohttp
from yarl import URL

from slimdown.backends.breaker import Breaker, State
from slimdown.backends.reply import DOWN, RuntimeAnswer, RuntimeRefusal, reply_of
from slimdown.errors import RuntimeUnavailable

OFFER_HEADER = "x-slimdown-offer"
"""Names the specialists that may answer, by id, separated by commas."""

N_FAILURES = 1
"""Failures in a row after which nobody waits for the runtime: one caller has waited already."""

OPEN_S = 1.0
"""Seconds after which a failing runtime is asked whether it is back; no caller waits for that."""

_MOST_CONNECTIONS = 256  # as many as a runtime lets wait; file descriptors are few
_LARGEST_ANSWER = 8 << 20
_LARGE_BODY = 1 << 20
_FAILURES = (aiohttp.ClientError, OSError, TimeoutError, asyncio.IncompleteReadError)


class RuntimeClient:
    """Speaks with one runtime from one event loop."""

    def __init__(
        self, address: Path | str, *, budget_s: float = 0.25, breaker: Breaker | None = None
    ) -> None:
        """Take a socket's path or a base URL; ``budget_s`` bounds the seconds that one call waits.

        Nothing is opened before the first question.
        """
        self._socket = str(address) if isinstance(address, Path) else None
        base = "http://localhost" if self._socket else str(address).rstrip("/").removesuffix("/v1")
        self._url = URL(f"{base}/v1/chat/completions")
        self._budget_s = budget_s
        self._breaker = breaker or Breaker(N_FAILURES, OPEN_S)
        self._session: aiohttp.ClientSession | None = None
        self._ping: asyncio.Task[None] | None = None

    @property
    def state(self) -> State:
        """Return the breaker's state: "open" while nobody waits for the runtime."""
        return self._breaker.state

    async def open(self) -> None:
        """Make ready within the running loop; the first question would do it too."""
        self._opened()

    async def ask(self, body: bytes, offered: Sequence[str]) -> RuntimeAnswer | RuntimeRefusal:
        """Send a caller's own request; ``offered`` are the ids of specialists that may answer.

        Raises `RuntimeUnavailable` where the runtime is down, slower than the budget or talks
        nonsense; at once where it has just been so some times in a row.
        """
        was_closed = self._breaker.state == "closed"
        entry = self._breaker.enter()
        if entry is None or not was_closed:
            if entry is not None:
                self._ping = asyncio.get_running_loop().create_task(self._pinged(entry))
            raise RuntimeUnavailable(DOWN.format("it failed just before, and is left alone"))
        ok: bool | None = None
        try:
            answer = await self._within(self._budget_s, body, offered)
            ok = True
        except RuntimeUnavailable:
            ok = False
            raise
        finally:  # a caller who goes away in the middle is no verdict
            self._breaker.leave(entry, ok)
        return answer

    async def ask_patiently(
        self, body: bytes, offered: Sequence[str], budget_s: float
    ) -> RuntimeAnswer | RuntimeRefusal:
        """Ask where nobody waits: never while the breaker is open, and without a verdict for it."""
        if self._breaker.state != "closed":
            raise RuntimeUnavailable(DOWN.format("it failed just before, and is left alone"))
        return await self._within(budget_s, body, offered)

    async def _pinged(self, entry: int) -> None:
        """Find out whether the runtime is back; no caller has to wait for that."""
        ok = False
        health = self._url.with_path("/healthz")
        try:
            async with asyncio.timeout(self._budget_s), self._opened().get(health) as response:
                ok = response.status == 200
        except _FAILURES:
            ok = False
        finally:
            self._breaker.leave(entry, ok)

    async def close(self) -> None:
        """Close the connections; a later question opens them again."""
        if self._ping is not None:
            self._ping.cancel()
            await asyncio.gather(self._ping, return_exceptions=True)
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _within(
        self, budget_s: float, body: bytes, offered: Sequence[str]
    ) -> RuntimeAnswer | RuntimeRefusal:
        try:
            async with asyncio.timeout(budget_s):
                status, content = await self._post(body, offered)
        except _FAILURES as error:
            raise RuntimeUnavailable(DOWN.format(type(error).__name__)) from error
        return reply_of(status, content, offered)

    async def _post(self, body: bytes, offered: Sequence[str]) -> tuple[int, bytes]:
        headers = {"content-type": "application/json", OFFER_HEADER: ",".join(offered)}
        # aiohttp writes a large body piece by piece only from a file.
        data = io.BytesIO(body) if len(body) > _LARGE_BODY else body
        async with self._opened().post(
            self._url, data=data, headers=headers, allow_redirects=False
        ) as response:
            content = b""
            async for part in response.content.iter_any():
                content += part
                if len(content) > _LARGEST_ANSWER:
                    raise RuntimeUnavailable(DOWN.format("its answer has no end"))
            return response.status, content

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            most = _MOST_CONNECTIONS
            self._session = aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(self._socket, limit=most)
                if self._socket
                else aiohttp.TCPConnector(limit=most),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),
                skip_auto_headers=("user-agent", "accept-encoding", "accept"),
            )
        return self._session
