"""uvicorn's HTTP protocol with three things that a gateway needs and ASGI has no word for.

A call's task learns at once that its client has gone (no task of its own has to watch for that);
a request head that takes too long ends its connection; what is no HTTP is told so in OpenAI's
shape. Knows nothing of models.
"""

from __future__ import annotations

import time
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from slimdown.gateway.replies import Problem

TASK = "slimdown.task"
"""The key under which a request's scope names the task to cancel when the client goes."""


class GatewayProtocol(HttpToolsProtocol):
    """One client's connection."""

    _head_since: float | None = None

    def connection_made(self, transport: Any) -> None:
        """Expect a request head from now on."""
        super().connection_made(transport)
        self._head_since = time.monotonic()

    def on_message_begin(self) -> None:
        """Expect the rest of a request head."""
        super().on_message_begin()
        self._head_since = time.monotonic()

    def on_headers_complete(self) -> None:
        """Stop the clock: the head is there."""
        self._head_since = None
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the task of a call whose client has gone."""
        cycle = self.cycle
        super().connection_lost(exc)
        if cycle is not None and not cycle.response_complete:
            task: Any = cycle.scope.get(TASK)
            if task is not None:
                task.cancel()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP; the connection ends, since its framing is in doubt."""
        body = _NOT_HTTP.body()
        head = (
            b"content-type: application/json\r\nconnection: close\r\n"
            b"content-length: %d\r\n\r\n" % len(body)
        )
        self.transport.write(STATUS_LINE[400] + head + body)
        self.transport.close()

    def close_if_idle(self, before: float) -> None:
        """End a connection whose request head began before then and is not there yet."""
        if self._head_since is not None and self._head_since < before:
            self.transport.close()


_NOT_HTTP = Problem(
    400,
    "invalid_http",
    "This is no valid HTTP/1.1 request; nothing was sent upstream. The connection is closed.",
)
