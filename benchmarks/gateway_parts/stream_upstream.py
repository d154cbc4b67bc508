"""An LLM that streams: ``max_tokens`` chunks, one every 20 ms, each saying when it was sent.

A chunk's text is "NUMBER:NANOSECONDS", by the monotonic clock, which all processes share. For the
soak it also fails where the request's ``user`` asks for it: "error" (500), "cut" (the connection
breaks half way), "stall" (nothing more comes from half way on). Without ``stream`` it gives a
constant answer.

Run: python stream_upstream.py PORT
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any, cast

import httptools
import uvloop

INTERVAL_S = 0.02
_EVENT = {"id": "chatcmpl-bench", "object": "chat.completion.chunk", "created": 1_700_000_000}
_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
    b"x-request-id: req-bench\r\ntransfer-encoding: chunked\r\n\r\n"
)


def event(delta: dict[str, Any], finish: str | None = None) -> bytes:
    """Return one HTTP chunk that holds one event."""
    choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
    return chunk(json.dumps({**_EVENT, "model": "gpt-4o-mini", "choices": choices}).encode())


def chunk(data: bytes) -> bytes:
    """Return one HTTP chunk that holds one event with this data."""
    line = b"data: " + data + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(line), line)


class Upstream(asyncio.Protocol):
    """One connection; also what httptools calls as it reads."""

    def __init__(self) -> None:
        self._parser: Any = None
        self._body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transport is none by inheritance.
        self._transport = cast("asyncio.Transport", transport)
        self._parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._body = b""

    def on_body(self, data: bytes) -> None:
        self._body += data

    def on_message_complete(self) -> None:
        request = json.loads(self._body) if self._body else {}
        if request.get("user") == "error":
            self._answer(b"500 Internal Server Error", {"error": {"message": "as asked"}})
        elif request.get("stream"):
            wish = str(request.get("user", ""))
            self._transport.write(_HEAD + self._said(0))
            start = asyncio.get_running_loop().time()
            self._later(1, int(request.get("max_tokens", 3)), wish, start)
        else:
            message = {"role": "assistant", "content": "as asked"}
            choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
            usage = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
            answer = {"model": "gpt-4o-mini", "choices": choices, "usage": usage}
            self._answer(b"200 OK", {**_EVENT, "object": "chat.completion", **answer})

    def _answer(self, status: bytes, answer: dict[str, Any]) -> None:
        body = json.dumps(answer).encode()
        head = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        self._transport.write(head % (status, len(body)) + body)

    def _said(self, number: int) -> bytes:
        return event({"role": "assistant", "content": f"{number}:{time.monotonic_ns()} "})

    def _later(self, number: int, n_chunks: int, wish: str, start: float) -> None:
        """Send the chunk when its time comes; times count from the start, so none adds up."""
        when = start + (number * INTERVAL_S if number < n_chunks else (number - 0.9) * INTERVAL_S)
        loop = asyncio.get_running_loop()
        loop.call_at(when, self._send, number, n_chunks, wish, start)

    def _send(self, number: int, n_chunks: int, wish: str, start: float) -> None:
        is_half_way = number == n_chunks // 2
        if self._transport.is_closing() or (is_half_way and wish == "stall"):
            return
        if is_half_way and wish == "cut":
            self._transport.abort()
        elif number < n_chunks:
            self._transport.write(self._said(number))
            self._later(number + 1, n_chunks, wish, start)
        else:
            self._transport.write(event({}, "stop") + chunk(b"[DONE]") + b"0\r\n\r\n")


async def serve(port: int) -> None:
    """Answer until the process is ended."""
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
