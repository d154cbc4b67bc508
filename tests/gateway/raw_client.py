"""A client that sends exactly the bytes it is told to, as slowly as it is told to."""

from __future__ import annotations

import socket
import time
from types import TracebackType
from typing import Any, Self

import msgspec
from gateways import CHAT

PATIENCE_S = 20.0
JSON = msgspec.json.encode(CHAT)


class Reply(msgspec.Struct, frozen=True):
    """An answer as it came: header names in lower case, the body without its framing."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """The code of an error in OpenAI's shape."""
        return str(msgspec.json.decode(self.body)["error"]["code"])


class RawClient:
    """A context manager: one connection, on which nothing is sent by itself."""

    def __init__(self, url: str, *, receive_buffer: int = 0) -> None:
        """Connect; a ``receive_buffer`` in bytes makes the kernel take little ahead of us."""
        host, _, port = url.removeprefix("http://").partition(":")
        self._socket = socket.socket()
        if receive_buffer:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._socket.settimeout(PATIENCE_S)
        self._kept = b""
        try:
            self._socket.connect((host, int(port)))
        except OSError:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        """Use it."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Hang up."""
        self.close()

    def close(self) -> None:
        """Hang up at once."""
        self._socket.close()

    def send(self, data: bytes) -> Self:
        """Send these bytes as they are."""
        self._socket.sendall(data)
        return self

    def piece(self, most: int = 65536) -> bytes:
        """Return what comes next, b"" at the end of the connection, however it ends."""
        if self._kept:
            kept, self._kept = self._kept[:most], self._kept[most:]
            return kept
        try:
            return self._socket.recv(most)
        except ConnectionResetError:
            return b""

    def until(self, mark: bytes) -> bytes:
        """Return what comes, up to and including a mark; keep what follows it."""
        found = b""
        while mark not in found:
            piece = self.piece()
            assert piece, f"the connection ended before {mark!r}, after {found[-200:]!r}"
            found += piece
        end = found.index(mark) + len(mark)
        self._kept = found[end:] + self._kept
        return found[:end]

    def rest(self) -> bytes:
        """Return all that comes until the connection ends."""
        found = b""
        while piece := self.piece():
            found += piece
        return found

    def exactly(self, n: int) -> bytes:
        """Return the next ``n`` bytes."""
        found = b""
        while len(found) < n:
            piece = self.piece(n - len(found))
            assert piece, f"the connection ended {n - len(found)} bytes too early"
            found += piece
        return found

    def rest_after(self, seconds: float) -> bytes:
        """Take nothing for so long, then all that comes until the connection ends."""
        time.sleep(seconds)
        return self.rest()

    def end_sending(self) -> None:
        """Tell the other side that no more is sent."""
        self._socket.shutdown(socket.SHUT_WR)

    def reply(self, method: str = "POST") -> Reply:
        """Return the next answer, its body whole."""
        lines = self.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        pairs = (line.partition(": ")[::2] for line in lines[1:] if line)
        headers = {name.lower(): value for name, value in pairs}
        body = b"" if method == "HEAD" else self._body(headers)
        return Reply(int(lines[0].split()[1]), headers, body)

    def _body(self, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding") == "chunked":
            return b"".join(iter(self._chunk, b""))
        return self.exactly(int(headers.get("content-length", "0")))

    def _chunk(self) -> bytes:
        size = int(self.until(b"\r\n"), 16)
        return self.exactly(size + 2)[:-2]


def request(
    body: bytes = JSON,
    *lines: str,
    method: str = "POST",
    target: str = "/v1/chat/completions",
    version: str = "HTTP/1.1",
    host: str = "127.0.0.1",
) -> bytes:
    """Return a request's bytes, with a length unless ``lines`` tell of the framing."""
    framed = any(line.lower().startswith(("content-length", "transfer-enc")) for line in lines)
    length = [] if framed or not body else [f"Content-Length: {len(body)}"]
    head = [f"{method} {target} {version}", f"Host: {host}", *lines, *length, "", ""]
    return "\r\n".join(head).encode("latin-1") + body


def chat(text: str, **fields: Any) -> bytes:
    """Return the body of a chat request that says ``text``."""
    message = {"role": "user", "content": text}
    return msgspec.json.encode({**CHAT, "messages": [message], **fields})
