"""ASGI in a few functions: read a body, reply at once, wait as long as the client stays.

Source: the ASGI specification, HTTP and lifespan. Knows nothing of what is said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import msgspec

from slimdown.types import JsonObject

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

JSON = b"application/json"
EVENTS = b"text/event-stream; charset=utf-8"


async def read(receive: Receive) -> bytes:
    """Return the body of a request."""
    parts: list[bytes] = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):  # a client that left has no more either
            return b"".join(parts)


async def gone_within(receive: Receive, seconds: float) -> bool:
    """Wait so long; return at once, with True, if the client leaves meanwhile."""
    if seconds <= 0:
        return False
    try:
        message = await asyncio.wait_for(receive(), seconds)
    except TimeoutError:
        return False
    return bool(message["type"] == "http.disconnect")


async def reply(send: Send, status: int, body: JsonObject | bytes) -> None:
    """Send a whole reply of JSON; bytes are JSON already."""
    data = body if isinstance(body, bytes) else msgspec.json.encode(body)
    await send(start(status, JSON, len(data)))
    await send({"type": "http.response.body", "body": data})


def start(status: int, content_type: bytes, length: int | None = None) -> JsonObject:
    """Return the message that begins a reply, chunked where its length is not known."""
    headers = [(b"content-type", content_type)]
    headers += [] if length is None else [(b"content-length", str(length).encode())]
    return {"type": "http.response.start", "status": status, "headers": headers}


async def live(receive: Receive, send: Send) -> None:
    """Take part in the server's start and end, with nothing to do at either."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
