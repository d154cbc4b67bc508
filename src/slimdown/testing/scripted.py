"""What a scripted upstream does with a request: steps, and scripts made of them.

A script says what goes out on the socket, byte for byte, and when. Knows no socket.
"""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from slimdown.types import JsonObject


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """A request as it came: ``path`` with its query, header lines in order with the case they had,
    the body without its framing, and when it was whole (seconds, `time.monotonic`)."""

    method: str
    path: str
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    at: float

    def header(self, name: str) -> str | None:
        """Return the first value under a name, whatever its case, or None."""
        wanted = name.lower().encode()
        found = (value for key, value in self.headers if key.lower() == wanted)
        value = next(found, None)
        return None if value is None else value.decode("latin-1")

    @property
    def json(self) -> Any:
        """The body as JSON; raises `msgspec.DecodeError` where it is none."""
        return msgspec.json.decode(self.body)


class Step(msgspec.Struct, frozen=True):
    """One thing that a scripted upstream does; after the last it awaits the next request."""


class Say(Step, frozen=True):
    """Write these bytes as they are, in one write, and wait until the socket took them."""

    data: bytes


class Wait(Step, frozen=True):
    """Say nothing for so many seconds."""

    seconds: float


class Close(Step, frozen=True):
    """End the connection in good order (FIN), whatever was promised."""


class Reset(Step, frozen=True):
    """Break the connection off (RST)."""


class Hang(Step, frozen=True):
    """Say nothing for ever; ends when the client closes or the upstream stops."""


Script = Sequence[Step] | Callable[[Seen], Sequence[Step]]
"""The steps that answer a request, or what chooses them for it."""

HeaderLines = Iterable[tuple[str, str]]

_JSON = "application/json"


def answer(
    body: Any, status: int = 200, headers: HeaderLines = (), *, content_type: str = _JSON
) -> list[Step]:
    """Return the script of a plain reply with a length; what is not bytes is sent as JSON."""
    data = body if isinstance(body, bytes) else msgspec.json.encode(body)
    lines = [("content-type", content_type), *headers, ("content-length", str(len(data)))]
    return [Say(head(status, lines) + data)]


def sse(
    events: Iterable[str | bytes | JsonObject],
    gap_s: float = 0,
    *,
    done: bool = True,
    chunked: bool = True,
    headers: HeaderLines = (),
) -> list[Step]:
    """Return the script of an event stream, a write for each event, ``gap_s`` before each.

    A str or an object is the data of an event, bytes go out as they are. Not ``chunked``, the
    stream ends with the connection. ``done`` adds ``[DONE]`` and the end of the body; without it
    the script stops after the last event, for more steps to be added: `Close`, `Reset`, `Hang`.
    """
    framing = ("transfer-encoding", "chunked") if chunked else ("connection", "close")
    lines = [("content-type", "text/event-stream"), *headers, framing]
    steps: list[Step] = [Say(head(200, lines))]
    for event in [*events, "[DONE]"] if done else events:
        data = _event(event)
        steps += [Wait(gap_s)] if gap_s else []
        steps.append(Say(chunk(data) if chunked else data))
    if done:
        steps.append(Say(chunk(b"")) if chunked else Close())
    return steps


def refuse() -> list[Step]:
    """Return the script of an upstream that breaks off once it has read the request."""
    return [Reset()]


def head(status: int, lines: HeaderLines) -> bytes:
    """Return a status line and header lines, with the blank line after them."""
    reason = http.client.responses.get(status, "Unknown")
    named = "".join(f"{name}: {value}\r\n" for name, value in lines)
    return f"HTTP/1.1 {status} {reason}\r\n{named}\r\n".encode("latin-1")


def chunk(data: bytes) -> bytes:
    """Return bytes as one chunk of a chunked body (RFC 9112, 7.1); none end the body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def _event(event: str | bytes | JsonObject) -> bytes:
    if isinstance(event, bytes):
        return event
    text = event if isinstance(event, str) else msgspec.json.encode(event).decode()
    return f"data: {text}\n\n".encode()
