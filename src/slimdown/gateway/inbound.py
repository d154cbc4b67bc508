"""A caller's request as it comes in: its head, its body within bounds, and what it asks for.

What cannot be parsed is no error here: it goes upstream untouched.
"""

from __future__ import annotations

from typing import Any

import msgspec

from slimdown.capture.wire import Endpoint, endpoint_of
from slimdown.capture.wire_body import json_object
from slimdown.exchange import Headers
from slimdown.gateway.outgoing import header
from slimdown.gateway.replies import Problem
from slimdown.types import JsonObject

_LONGEST_NUMBER = 18


class Inbound(msgspec.Struct, frozen=True, kw_only=True):
    """A whole request. ``endpoint`` is None where it is no model call; ``request`` is the decoded
    body of a model call, None where it is no JSON object, or too large a one to decode."""

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
    def wants_stream(self) -> bool:
        """Whether the caller asks for the answer as a stream."""
        return self.request is not None and self.request.get("stream") is True

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


async def read_inbound(scope: Any, receive: Any, call_id: str, *, most: int) -> Inbound:
    """Return the request when it is whole.

    Raises `Refused` for a body of more than ``most`` bytes, and `Gone` if the caller leaves, or is
    so slow that the protocol ends the connection.
    """
    headers = scope["headers"]
    body = await _body(headers, receive, most)
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
        request=json_object(body) if endpoint else None,
    )


async def _body(headers: Headers, receive: Any, most: int) -> bytes:
    length = header(headers, b"content-length")
    if not length and not header(headers, b"transfer-encoding"):
        return b""
    if len(length) > _LONGEST_NUMBER or (length.isdigit() and int(length) > most):
        raise Refused(_too_large(most))
    return await _rest(receive, most)


async def _rest(receive: Any, most: int) -> bytes:
    pieces: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        pieces.append(message["body"])
        size += len(message["body"])
        if size > most:
            raise Refused(_too_large(most))
        more = message.get("more_body", False)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _too_large(most: int) -> Problem:
    return Problem(
        413,
        "request_too_large",
        f"The request is larger than {most:,} bytes; it was not sent upstream and not recorded. "
        "Send less, or raise gateway.max_body_bytes.",
    )
