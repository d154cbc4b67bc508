"""An upstream's body as it comes, HTTP chunk by HTTP chunk, within bounds of time."""

from __future__ import annotations

import time

import aiohttp

from slimdown.gateway.patience import Patience

_LOOK_S = 1.0  # how long a connection that broke without a word may go unnoticed


class Endless(TimeoutError):
    """An answer that goes on for too long."""


class Body:
    """The body of one response."""

    __slots__ = ("_content", "_ends_at", "_idle_s", "_patience", "_response")

    def __init__(
        self, response: aiohttp.ClientResponse, patience: Patience, idle_s: float, longest_s: float
    ) -> None:
        """Wait ``idle_s`` for each piece and ``longest_s`` for all, both in seconds."""
        self._response = response
        self._content = response.content
        self._patience = patience
        self._idle_s = idle_s
        self._ends_at = time.monotonic() + longest_s

    async def next(self) -> bytes:
        """Return the next piece, b"" at the end.

        Raises `TimeoutError` if the upstream falls silent, its kind `Endless` if it goes on for
        too long, and what aiohttp raises if it breaks off.
        """
        content = self._content
        left_s = self._idle_s
        while not content.at_eof():
            if time.monotonic() > self._ends_at:
                raise Endless
            wait_s = min(left_s, _LOOK_S)
            try:
                with self._patience.limit(wait_s):
                    piece, _ = await content.readchunk()
            except TimeoutError:
                left_s -= wait_s
                if self._is_broken():
                    raise aiohttp.ClientPayloadError("the body's framing broke") from None
                if left_s <= 0:
                    raise
                continue
            if piece:
                return piece
        return b""

    def _is_broken(self) -> bool:
        """Tell whether nothing can come any more: aiohttp ends a connection whose chunks are no
        chunks without telling those who read its body."""
        connection = self._response.connection
        protocol = None if connection is None else connection.protocol
        return protocol is None or not protocol.is_connected()
