"""A caller's request as it comes in: its head, its body within bounds, and what it asks for.

What cannot be parsed is no error here: it goes upstream untouched.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from slimdown.capture.wire import Endpoint, endpoint_of
from slimdown.exchange import Headers
from slimdown.gateway.outgoing import header
from slimdown.gateway.replies import Problem
from slimdown.types import JsonObject

_DECODE = msgspec.json.Decoder().decode


class Inbound(msgspec.Struct, frozen=True, kw_only=True):
    """A whole request. ``endpoint`` is None where it is no model call; ``request`` is the decoded
    body of a model call, None where it is no JSON object."""

    call_id: str
    method: str
    path: str
    query: str
    headers: Headers
    body: bytes
    endpoint: Endpoint | None
    request: JsonObject | None

    @property
    def model(self) -> str:
        """The model asked for, "" if none is named."""
        model = self.request.get("model") if self.request else None
        return model if isinstance(model, str) else ""

    @property
    def is_routable(self) -> bool:
        """Whether a specialist may be asked: chat completions only."""
        return self.endpoint == "chat" and self.request is not None


class Gone(Exception):
    """The caller went away before the request was whole."""


class Refused(Exception):
    """The request will not be served; its `problem` says why."""

    def __init__(self, problem: Problem) -> None:
        """Take what the caller is to be told."""
        super().__init__(problem.message)
        self.problem = problem


async def read_inbound(
    scope: Any, receive: Any, call_id: str, *, most: int, patience_s: float
) -> Inbound:
    """Return the request when it is whole.

    Raises `Refused` for a body of more than ``most`` bytes or one that takes longer than
    ``patience_s`` seconds, and `Gone` if the caller leaves.
    """
    headers = scope["headers"]
    body = await _body(headers, receive, most, patience_s)
    method, path = scope["method"], scope["raw_path"].decode("latin-1")
    endpoint = endpoint_of(method, path)
    return Inbound(
        call_id=call_id,
        method=method,
        path=path,
        query=scope["query_string"].decode("latin-1"),
        headers=headers,
        body=body,
        endpoint=endpoint,
        request=_decoded(body) if endpoint else None,
    )


async def _body(headers: Headers, receive: Any, most: int, patience_s: float) -> bytes:
    length = header(headers, b"content-length")
    if (length and len(length) > 18) or (length.isdigit() and int(length) > most):
        raise Refused(_too_large(most))
    message = await _first(headers, receive, patience_s)
    if not message.get("more_body"):
        body: bytes = message["body"]
        if len(body) > most:
            raise Refused(_too_large(most))
        return body
    try:
        async with asyncio.timeout(patience_s):
            return await _rest(message["body"], receive, most)
    except TimeoutError as error:
        raise Refused(_too_slow(patience_s)) from error


async def _first(headers: Headers, receive: Any, patience_s: float) -> Any:
    if not header(headers, b"content-length") and not header(headers, b"transfer-encoding"):
        return {"body": b"", "more_body": False}
    try:
        async with asyncio.timeout(patience_s):
            message = await receive()
    except TimeoutError as error:
        raise Refused(_too_slow(patience_s)) from error
    if message["type"] == "http.disconnect":
        raise Gone
    return message


async def _rest(first: bytes, receive: Any, most: int) -> bytes:
    pieces, size, more = [first], len(first), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        pieces.append(message["body"])
        size += len(message["body"])
        if size > most:
            raise Refused(_too_large(most))
        more = message.get("more_body", False)
    return b"".join(pieces)


def _decoded(body: bytes) -> JsonObject | None:
    try:
        value = _DECODE(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _too_large(most: int) -> Problem:
    return Problem(
        413,
        "request_too_large",
        f"The request is larger than {most:,} bytes; it was not sent upstream and not recorded. "
        "Send less, or raise gateway.max_body_bytes.",
    )


def _too_slow(patience_s: float) -> Problem:
    return Problem(
        408,
        "request_timeout",
        f"The request was not whole within {patience_s:g} s; it was not sent upstream and not "
        "recorded. Send it again, or raise gateway.client_timeout_s.",
    )
