"""The runtime's HTTP interface, as one raw ASGI application.

``POST /v1/chat/completions`` takes a caller's own request; the header ``x-slimdown-offer`` names
the specialists that may answer (ids, separated by commas), else ``model`` names the one. Streams
are the gateway's: ``stream`` is answered as plain JSON. ``GET /v1/models``, ``/healthz``,
``/readyz`` and ``/metrics`` tell about it. It does not know what a specialist is.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from slimdown.runtime.desk import Desk
from slimdown.runtime.follower import Follower
from slimdown.runtime.guard import require_program
from slimdown.runtime.refused import (
    NO_SPECIALIST,
    NO_SUCH_PLACE,
    NOT_JSON,
    TOO_LARGE,
    WRONG_METHOD,
    Refused,
)
from slimdown.runtime.shelf import Shelf
from slimdown.types import JsonObject

OFFER = b"x-slimdown-offer"
MOST_OFFERED = 32

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
Scope = dict[str, Any]

_METRICS = "/metrics"
_CHAT = ("/v1/chat/completions", "/chat/completions")
_DECODER = msgspec.json.Decoder(JsonObject)


class _Gone(Exception):
    """Whoever asked has closed the connection."""


class RuntimeApp:
    """Answers HTTP requests by a desk's answers; `start` and `close` run its threads."""

    def __init__(self, shelf: Shelf, follower: Follower, *, most_bytes: int) -> None:
        """Take what knows specialists and routes; a body may have ``most_bytes``."""
        self.desk = Desk(shelf, lambda: follower.routing)
        self._shelf = shelf
        self._follower = follower
        self._most_bytes = most_bytes
        self._refused: Counter[str] = Counter()

    def start(self) -> None:
        """Begin to follow the workspace and to answer."""
        self._follower.start()
        self.desk.start()

    def close(self) -> None:
        """End the threads, once what waits is answered."""
        self.desk.close()
        self._follower.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; see ASGI 3."""
        assert scope["type"] == "http"
        try:
            require_program(scope)
            status, body = await self._reply(scope, receive)
        except Refused as refused:
            self._refused[refused.why.code] += 1
            status, body = refused.why.status, refused.why.body
        except _Gone:
            return
        kind = b"text/plain; version=0.0.4" if scope["path"] == _METRICS else b"application/json"
        headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body))]
        if status == 503:
            headers.append((b"retry-after", b"1"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _reply(self, scope: Scope, receive: Receive) -> tuple[int, bytes]:
        path, method = scope["path"], scope["method"]
        if path in _CHAT:
            if method != "POST":
                raise Refused(WRONG_METHOD)
            return 200, await self._chat(scope, receive)
        pages = {
            _METRICS: self._metrics,
            "/v1/models": self._models,
            "/healthz": self._health,
            "/readyz": self._readiness,
        }
        if path not in pages:
            raise Refused(NO_SUCH_PLACE)
        if method not in ("GET", "HEAD"):
            raise Refused(WRONG_METHOD)
        status, value = pages[path]()
        return status, value if isinstance(value, bytes) else msgspec.json.encode(value)

    async def _chat(self, scope: Scope, receive: Receive) -> bytes:
        body = await _body(receive, self._most_bytes)
        try:
            request = _DECODER.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Refused(NOT_JSON) from None
        offered = _offered(scope, request)
        answering = asyncio.ensure_future(self.desk.ask(request, offered))
        # Who has gone is not answered: under a gateway's budget the others would wait for nobody.
        leaving = asyncio.ensure_future(_gone(receive))
        leaving.add_done_callback(lambda _: answering.cancel())
        try:
            return await answering
        except asyncio.CancelledError:
            if leaving.done():
                raise _Gone from None
            raise
        finally:
            leaving.cancel()

    def _models(self) -> tuple[int, Any]:
        listed = [
            {
                "id": ready.release.specialist_id,
                "object": "model",
                "created": 0,
                "owned_by": "slimdown",
                "slimdown": {"task": ready.release.task.name, "rung": ready.release.rung},
            }
            for ready in self._shelf.ready()
        ]
        return 200, {"object": "list", "data": listed}

    def _health(self) -> tuple[int, Any]:
        return 200, self._facts("ok")

    def _readiness(self) -> tuple[int, Any]:
        if self._follower.is_ready:
            return 200, self._facts("ready")
        return 503, self._facts("not ready")

    def _metrics(self) -> tuple[int, Any]:
        refused = {f'refused_total{{code="{code}"}}': n for code, n in self._refused.items()}
        figures = {
            "answered_total": self.desk.n_answered,
            "batches_total": self.desk.n_batches,
            "waiting": self.desk.n_waiting,
            "loaded": len(self._shelf.ready()),
            **refused,
        }
        lines = [f"slimdown_runtime_{name} {value}\n" for name, value in figures.items()]
        return 200, "".join(lines).encode()

    def _facts(self, status: str) -> JsonObject:
        return {
            "status": status,
            "problem": self._follower.problem,
            "route_table": max(self._follower.routing.table.version, 0),
            "n_loaded": len(self._shelf.ready()),
            "not_loaded": [unready.why.message for unready in self._shelf.unready()],
            "n_answered": self.desk.n_answered,
            "n_batches": self.desk.n_batches,
        }


def _offered(scope: Scope, request: JsonObject) -> list[str]:
    given = b",".join(value for name, value in scope["headers"] if name == OFFER)
    offered = [each.strip() for each in given.decode("latin-1").split(",") if each.strip()]
    model = request.get("model")
    if not offered and isinstance(model, str) and model:
        offered = [model]
    if not offered or len(offered) > MOST_OFFERED:
        raise Refused(NO_SPECIALIST)
    return offered


async def _body(receive: Receive, most_bytes: int) -> bytes:
    parts, n_bytes, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Gone
        part = message.get("body", b"")
        n_bytes += len(part)
        if n_bytes > most_bytes:
            raise Refused(TOO_LARGE)
        parts.append(part)
        more = message.get("more_body", False)
    return b"".join(parts)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
