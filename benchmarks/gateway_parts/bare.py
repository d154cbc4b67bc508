"""The least that a gateway in Python does: parse the request, ask, parse the answer, pass it on.

uvicorn with uvloop and httptools before, aiohttp behind; nothing is recorded, decided or checked.
It is the floor under slimdown's figures. Run: python bare.py UPSTREAM PORT
"""

from __future__ import annotations

import sys
from typing import Any

import aiohttp
import msgspec
import uvicorn


class Bare:
    """The application: one chat path, streams passed on as they come."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream.removesuffix("/v1")
        self._client: aiohttp.ClientSession | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        if scope["method"] != "POST":
            await _answer(send, 404, b"{}")
            return
        msgspec.json.decode(body)
        await self._relay(scope["path"], body, send)

    async def _relay(self, path: str, body: bytes, send: Any) -> None:
        if self._client is None:
            connector = aiohttp.TCPConnector(limit=0)
            self._client = aiohttp.ClientSession(connector=connector, auto_decompress=False)
        headers = {"content-type": "application/json"}
        async with self._client.post(self._upstream + path, data=body, headers=headers) as reply:
            if reply.content_type != "text/event-stream":
                answer = await reply.read()
                msgspec.json.decode(answer)
                await _answer(send, reply.status, answer)
                return
            await send({"type": "http.response.start", "status": reply.status, "headers": EVENTS})
            async for piece in reply.content.iter_any():
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b""})


EVENTS = [(b"content-type", b"text/event-stream")]


async def _answer(send: Any, status: int, body: bytes) -> None:
    length = str(len(body)).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", length)]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


if __name__ == "__main__":
    uvicorn.run(
        Bare(sys.argv[1]),
        port=int(sys.argv[2]),
        loop="uvloop",
        http="httptools",
        lifespan="off",
        log_level="warning",
        access_log=False,
    )
