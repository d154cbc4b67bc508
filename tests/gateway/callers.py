"""A client that hides nothing: HTTP/1.1 over one connection, lines and chunks as they come."""

from __future__ import annotations

import socket
from typing import Self

import httptools
import msgspec

Lines = list[tuple[bytes, bytes]]
"""Header lines in order; of a reply, names in lower case."""

_OF_A_CONNECTION = {b"connection", b"keep-alive", b"transfer-encoding", b"te", b"upgrade"}
NOT_RETURNED = _OF_A_CONNECTION | {b"set-cookie"}
NOT_SENT = _OF_A_CONNECTION | {b"host", b"accept-encoding", b"content-length"}


class Heard(msgspec.Struct):
    """A reply as a client reads it: the parts of its body are its HTTP chunks, or all of it."""

    status: int = 0
    lines: Lines = []
    parts: list[bytes] = []

    @property
    def body(self) -> bytes:
        return b"".join(self.parts)

    def header(self, wanted: bytes) -> str:
        return next((value.decode() for name, value in self.lines if name == wanted), "")


class Caller:
    """Speaks HTTP/1.1 over one connection, and keeps what comes as it comes."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=20)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def ask(self, method: str, path: str, lines: Lines, body: bytes = b"") -> Heard:
        head = [f"{method} {path} HTTP/1.1".encode(), b"Host: 127.0.0.1"]
        head += [name + b": " + value for name, value in lines]
        head += [b"Content-Length: %d" % len(body)] if body or method == "POST" else []
        self._socket.sendall(b"\r\n".join(head) + b"\r\n\r\n" + body)
        return self.heard(has_body=method != "HEAD")

    def send(self, data: bytes) -> Heard:
        """Send a request as it stands; return the reply."""
        self._socket.sendall(data)
        return self.heard()

    def heard(self, *, has_body: bool = True) -> Heard:
        """Return the next reply; one to HEAD has no body, whatever its length says."""
        reading = _Reading(has_body)
        parser = httptools.HttpResponseParser(reading)
        while not reading.complete:
            data = self._socket.recv(1 << 16)
            assert data, "the connection ended before the reply did"
            parser.feed_data(data)
        return Heard(parser.get_status_code(), reading.lines, reading.parts)


class _Reading:
    """What httptools has told of a reply."""

    def __init__(self, has_body: bool) -> None:
        self._has_body = has_body
        self.lines: Lines = []
        self.parts: list[bytes] = []
        self.rest = b""
        self.complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.lines.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self.complete = not self._has_body

    def on_body(self, data: bytes) -> None:
        self.rest += data

    def on_chunk_complete(self) -> None:
        self._end_part()

    def on_message_complete(self) -> None:
        self._end_part()
        self.complete = True

    def _end_part(self) -> None:
        if self.rest:
            self.parts, self.rest = [*self.parts, self.rest], b""
