"""uvicorn's HTTP protocol with what a gateway needs beyond it and ASGI has no word for.

A call's task learns at once that its client has gone (no task of its own has to watch for that);
a request that takes too long to arrive, and an answer that is not taken, end their connection; so
does a head without end. What is no HTTP is told so in OpenAI's shape. Knows nothing of models.
"""

from __future__ import annotations

import contextlib
import fcntl
import termios
import time
from array import array
from collections import deque
from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from slimdown.gateway.offer import head_without_offer
from slimdown.gateway.replies import Problem

TASK = "slimdown.task"
"""The key under which a request's scope names the task to cancel when the client goes."""

MOST_HEAD_BYTES = 64 << 10
"""How much a client may send that is neither a whole head nor a piece of a body."""

_TARGETS = (b"/", b"http://", b"https://")
_VERSIONS = ("1.1", "1.0")
# Trailers are no part of a head: they may be discarded (RFC 9110, 6.5.1).
_DISCARDED: deque[tuple[bytes, bytes]] = deque(maxlen=0)


class GatewayProtocol(HttpToolsProtocol):
    """One client's connection."""

    _since: float | None = None  # when the request began that is still to come, or is coming
    _n_unread = 0  # bytes that came since the last beginning of a request or piece of a body
    _is_deaf = False
    _n_unsent = 0
    _moved_at = 0.0  # when the client last took bytes, or had none to take

    def connection_made(self, transport: Any) -> None:
        """Expect a request from now on."""
        super().connection_made(transport)
        self._cycles: deque[Any] = deque()
        self._since = self._moved_at = time.monotonic()

    def data_received(self, data: bytes) -> None:
        """Read on, unless something came that is no HTTP."""
        if self._is_deaf:
            return
        self._unset_keepalive_if_required()
        self._n_unread += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            self._decline(data[offer.args[0] :])
        except httptools.HttpParserError:
            self.send_400_response("")
        else:
            if self._n_unread > MOST_HEAD_BYTES and self._since is not None:
                self._end_with(_LONG_HEAD)

    def on_message_begin(self) -> None:
        """Expect the rest of a request."""
        super().on_message_begin()
        self._since = time.monotonic()
        self._n_unread = 0

    def on_headers_complete(self) -> None:
        """Begin with a request whose head is whole; what it raises is told as no HTTP."""
        if self.parser.should_upgrade():
            return  # `HttpParserUpgrade` follows
        is_known = self.parser.get_http_version() in _VERSIONS
        if not (is_known and self.url.startswith(_TARGETS)):
            raise ValueError("a version or target that is not served")
        super().on_headers_complete()
        self.headers = cast("list[tuple[bytes, bytes]]", _DISCARDED)
        while self._cycles and self._cycles[0].response_complete:
            self._cycles.popleft()
        self._cycles.append(self.cycle)

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body."""
        self._n_unread = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Stop the clock: the request is whole."""
        if self.parser.should_upgrade():
            return
        self._since = None
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the tasks of calls whose client has gone."""
        super().connection_lost(exc)
        for cycle in self._owed():
            cycle.disconnected = True
            task = cycle.scope.get(TASK)
            if task is not None:
                task.cancel()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP; the connection ends, since its framing is in doubt.

        What was whole before it is answered first, and nothing is read any more.
        """
        owed = self._owed()
        if owed and not owed[-1].more_body:
            owed[-1].keep_alive = False
            self._is_deaf = True
        else:
            self._end_with(_NOT_HTTP)

    def end_if_stuck(self, now: float, patience_s: float) -> None:
        """End a connection that sends no whole request, or takes no byte, for so many seconds."""
        n_unsent = self.transport.get_write_buffer_size()
        if n_unsent:
            n_unsent += _n_queued(self.transport)
        if not 0 < self._n_unsent <= n_unsent:
            self._moved_at = now
        self._n_unsent = n_unsent
        if now - self._moved_at > patience_s:
            self.transport.abort()
        elif self._since is not None and now - self._since > patience_s and len(self._owed()) < 2:
            self._since = None
            self._end_with(_TOO_SLOW)

    def resume_writing(self) -> None:
        """Note that the client takes what it is sent."""
        self._moved_at = time.monotonic()
        super().resume_writing()

    def _owed(self) -> list[Any]:
        """Return the requests that wait for an answer, or the rest of it, oldest first."""
        return [cycle for cycle in self._cycles if not cycle.response_complete]

    def _decline(self, rest: bytes) -> None:
        """Read a request that offers another protocol once more, as if it did not."""
        head = head_without_offer(self.parser.get_method(), self.url, self.headers)
        if head is None:
            self._end_with(_NOT_HTTP)
            return
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.data_received(head + rest)

    def _end_with(self, problem: Problem) -> None:
        """Tell the client why, unless it would take that for an answer's part, and close."""
        owed = self._owed()
        if not owed or (len(owed) == 1 and not owed[0].response_started):
            body = problem.body()
            head = (
                b"content-type: application/json\r\nconnection: close\r\n"
                b"content-length: %d\r\n\r\n" % len(body)
            )
            self.transport.write(STATUS_LINE[problem.status] + head + body)
        for cycle in owed:
            cycle.disconnected = True
        self.transport.close()


def _n_queued(transport: Any) -> int:
    """Return how many bytes the kernel has taken that the client has not: it may be megabytes.

    Linux tells (tcp(7), SIOCOUTQ); where the system does not, none are counted.
    """
    number = array("i", [0])
    with contextlib.suppress(OSError):
        fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, number, True)
    return number[0]


_NOT_HTTP = Problem(
    400,
    "invalid_http",
    "This is no valid HTTP/1.1 request; nothing was sent upstream. The connection is closed.",
)
_LONG_HEAD = Problem(
    431,
    "headers_too_large",
    f"The request's head is longer than {MOST_HEAD_BYTES:,} bytes; nothing was sent upstream. The "
    "connection is closed.",
)
_TOO_SLOW = Problem(
    408,
    "request_timeout",
    "The request was not whole in time (gateway.client_timeout_s); it was not sent upstream and "
    "not recorded. Send it again.",
)
