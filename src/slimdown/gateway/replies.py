"""What the gateway says in its own words: errors in OpenAI's shape, and small JSON answers."""

from __future__ import annotations

from typing import Any

import msgspec

from slimdown.types import JsonObject

_ENCODER = msgspec.json.Encoder()
_JSON = (b"content-type", b"application/json")
RETRY_AFTER_S = b"1"
"""Seconds after which an overloaded or not yet recording gateway is worth another try."""


class Problem(msgspec.Struct, frozen=True):
    """An answer that we give in place of the upstream's: HTTP status, stable code, sentence."""

    status: int
    code: str
    message: str
    retry: bool = False

    @property
    def kind(self) -> str:
        """OpenAI's error type for the status."""
        if self.status in (502, 503, 504):
            return "upstream_error" if self.code.startswith("upstream") else "server_error"
        return "rate_limit_error" if self.status == 429 else "invalid_request_error"

    def body(self) -> bytes:
        """Return the error as OpenAI's clients read it."""
        return _ENCODER.encode({"error": self.fields()})

    def fields(self) -> JsonObject:
        """Return what stands under ``error``."""
        return {"message": self.message, "type": self.kind, "param": None, "code": self.code}

    def event(self) -> bytes:
        """Return the error as an event for a stream that cannot go on."""
        return b"data: " + self.body() + b"\n\n"


async def reply(send: Any, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    """Send a whole answer."""
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})


async def reply_json(send: Any, status: int, value: Any) -> None:
    """Send a JSON value of ours."""
    await reply(send, status, _ENCODER.encode(value), [_JSON])


async def reply_problem(
    send: Any, problem: Problem, headers: list[tuple[bytes, bytes]], *, close: bool = False
) -> None:
    """Send an error; ``close`` where the rest of the request will not be read."""
    more = [_JSON, *headers]
    if problem.retry:
        more.append((b"retry-after", RETRY_AFTER_S))
    if close:
        more.append((b"connection", b"close"))
    await reply(send, problem.status, problem.body(), more)
