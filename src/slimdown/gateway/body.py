"""An upstream's body as it comes, HTTP chunk by HTTP chunk, within bounds of time."""

from __future__ import annotations

import time

import aiohttp

from slimdown.gateway.patience import Patience


class Body:
    """The body of one response."""

    __slots__ = ("_content", "_ends_at", "_idle_s", "_patience")

    def __init__(
        self, response: aiohttp.ClientResponse, patience: Patience, idle_s: float, longest_s: float
    ) -> None:
        """Wait ``idle_s`` for each piece and ``longest_s`` for all, both in seconds."""
        self._content = response.content
        self._patience = patience
        self._idle_s = idle_s
        self._ends_at = time.monotonic() + longest_s

    async def next(self) -> bytes:
        """Return the next piece, b"" at the end.

        Raises `TimeoutError` if the upstream falls silent or goes on for too long, and what
        aiohttp raises if it breaks off.
        """
        content = self._content
        while not content.at_eof():
            if time.monotonic() > self._ends_at:
                raise TimeoutError
            with self._patience.limit(self._idle_s):
                piece, _ = await content.readchunk()
            if piece:
                return piece
        return b""
