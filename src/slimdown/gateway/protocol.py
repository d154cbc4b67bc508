"""uvicorn's HTTP protocol with three things that a gateway needs and ASGI has no word for.

A call's task learns at once that its client has gone (no task of its own has to watch for that);
a request that takes too long to arrive ends its connection; what is no HTTP is told so in OpenAI's
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

    _since: float | None = None

    def connection_made(self, transport: Any) -> None:
        """Expect a request from now on."""
        super().connection_made(transport)
        self._since = time.monotonic()

    def on_message_begin(self) -> None:
        """Expect the rest of a request."""
        super().on_message_begin()
        self._since = time.monotonic()

    def on_message_complete(self) -> None:
        """Stop the clock: the request is whole."""
        self._since = None
        super().on_message_complete()

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
        self._end_with(_NOT_HTTP)

    def end_if_slow(self, before: float) -> None:
        """End a connection whose request began before then and is not whole yet."""
        if self._since is not None and self._since < before:
            self._since = None
            self._end_with(_TOO_SLOW)

    def _end_with(self, problem: Problem) -> None:
        """Tell the client why, unless an answer has begun, and close."""
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            body = problem.body()
            head = (
                b"content-type: application/json\r\nconnection: close\r\n"
                b"content-length: %d\r\n\r\n" % len(body)
            )
            self.transport.write(STATUS_LINE[problem.status] + head + body)
        self.transport.close()


_NOT_HTTP = Problem(
    400,
    "invalid_http",
    "This is no valid HTTP/1.1 request; nothing was sent upstream. The connection is closed.",
)
_TOO_SLOW = Problem(
    408,
    "request_timeout",
    "The request was not whole in time (gateway.client_timeout_s); it was not sent upstream and "
    "not recorded. Send it again.",
)
