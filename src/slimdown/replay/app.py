"""The ASGI application that stands in for an LLM: it answers what was recorded, and nothing else.

It answers chat completions, Responses and Anthropic's messages, streamed or not, whatever dialect
a call was recorded in. It keeps no key, checks none, and asks nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Literal

import msgspec

from slimdown.capture.wire import endpoint_of
from slimdown.capture.wire_parts import lightened
from slimdown.replay.asgi import (
    EVENTS,
    Receive,
    Scope,
    Send,
    gone_within,
    live,
    read,
    reply,
    start,
)
from slimdown.replay.dialects import DIALECTS, Dialect
from slimdown.replay.index import ReplayIndex
from slimdown.replay.recorded import Recorded, error_body
from slimdown.types import Call, JsonObject

OnMiss = Literal["error", "nearest"]

MISS = "replay_miss"
"""Code of the error that answers a request which was never recorded."""

_REFUSED = "invalid_request_error"
_NOT_REPLAYED = (
    "this is not replayed. Answered are POST to /v1/chat/completions, /v1/responses and "
    "/v1/messages, and GET /v1/models."
)
_INVALID = (msgspec.DecodeError, UnicodeError, RecursionError)


class ReplayApp:
    """Answers from recorded calls; `n_given` counts answers, `n_missed` what was not recorded.

    ``speed`` divides the recorded latency: 1 takes the time that the call took, 10 a tenth of it,
    0 none at all. For ``on_miss`` and ``model_check`` see `ReplayIndex`.
    """

    def __init__(
        self,
        calls: Iterable[Call],
        *,
        on_miss: OnMiss = "error",
        speed: float = 0.0,
        model_check: bool = False,
    ) -> None:
        """Read all calls once; they are not kept."""
        self.index = ReplayIndex(calls, nearest=on_miss == "nearest", model_check=model_check)
        self.n_given = 0
        self.n_missed = 0
        self._seconds_per_ms = 0.001 / speed if speed > 0 else 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        if scope["type"] == "lifespan":
            await live(receive, send)
            return
        method, path = scope["method"], scope["path"]
        dialect = DIALECTS.get(endpoint_of(method, path) or "")
        if dialect is not None:
            await self._answer(dialect, receive, send)
        elif method == "GET" and path.endswith("/models"):
            await reply(send, 200, _models(self.index.models))
        else:
            await reply(send, 404, error_body(_NOT_REPLAYED, "not_found", _REFUSED))

    async def _answer(self, dialect: Dialect, receive: Receive, send: Send) -> None:
        body = await read(receive)
        request = _decoded(body)
        if request is None:
            fault = error_body("the body is not a JSON object.", "invalid_json", _REFUSED)
            await reply(send, 400, dialect.error(fault))
            return
        # Large parts are told by their hash, as which they were recorded.
        light, _ = lightened(request, len(body))
        found = self.index.find(dialect.chat_request(light))
        if found is None:
            self.n_missed += 1
            await reply(send, 404, dialect.error(_missed(self.index)))
            return
        self.n_given += 1
        if found.status < 400 and request.get("stream") is True:
            await self._stream(dialect, found, request, receive, send)
        elif not await gone_within(receive, found.latency_ms * self._seconds_per_ms):
            await reply(send, found.status, _whole(dialect, found, request))

    async def _stream(
        self, dialect: Dialect, found: Recorded, request: JsonObject, receive: Receive, send: Send
    ) -> None:
        events = dialect.events(msgspec.json.decode(found.body), request)
        due = [at * self._seconds_per_ms for at in times_of(found, len(events))]
        loop = asyncio.get_running_loop()
        began, started = loop.time(), False
        for event, at in zip(events, due, strict=True):
            if await gone_within(receive, began + at - loop.time()):
                return
            if not started:
                await send(start(200, EVENTS))
                started = True
            await send({"type": "http.response.body", "body": event, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


def times_of(found: Recorded, n_events: int) -> list[float]:
    """Return when each event of a stream is due, in recorded milliseconds from the request.

    The first is due with the first byte where its time is known, else after one share of the whole
    like every other; the last with the end.
    """
    end = found.latency_ms
    first = min(found.first_ms, end) if found.first_ms else end / max(n_events, 1)
    step = (end - first) / max(n_events - 1, 1)
    return [first + step * place for place in range(n_events)]


def _whole(dialect: Dialect, found: Recorded, request: JsonObject) -> JsonObject | bytes:
    if dialect is DIALECTS["chat"]:
        return found.body  # as recorded, and the way that is taken most
    value = msgspec.json.decode(found.body)
    return dialect.error(value) if found.status >= 400 else dialect.body(value, request)


def _missed(index: ReplayIndex) -> JsonObject:
    message = (
        f"none of the {index.n_answers:,} recorded calls {index.likeness}, and nobody else was "
        "asked. Record such a call and replay it too, or let the nearest one answer (on_miss)."
    )
    return error_body(message, MISS, _REFUSED)


def _models(names: list[str]) -> JsonObject:
    same = {"object": "model", "created": 0, "owned_by": "slimdown-replay"}
    return {"object": "list", "data": [{"id": name, **same} for name in names]}


def _decoded(body: bytes) -> JsonObject | None:
    try:
        value = msgspec.json.decode(body)
    except _INVALID:
        return None
    return value if isinstance(value, dict) else None
