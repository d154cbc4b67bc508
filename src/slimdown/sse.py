"""Server-sent events as a pure function of bytes: a parser to be fed, an encoder, an end test.

Follows "Interpreting an event stream" of the WHATWG HTML standard (section 9.2.6). Does no I/O,
and knows no dialect beyond the lines by which each ends its stream.
"""

from __future__ import annotations

import re

import msgspec

MAX_EVENT_BYTES = 16 << 20
"""What one event may hold, in bytes, before it is taken for an attack."""

END_WINDOW_BYTES = 64
"""How much of what came before `ends_stream` has to be given, so that no line is missed."""

_BOM = b"\xef\xbb\xbf"
_ANY_BREAK = re.compile(rb"\r\n|\r|\n")

# Anchored at a line's start: JSON escapes line breaks, so that no text of a model can hold one.
_END = re.compile(
    rb"[\r\n](?:data: ?\[DONE\]"
    rb"|event: ?(?:message_stop|error|response\.(?:completed|failed|incomplete))[\r\n]"
    rb'|data: ?\{"type": ?"(?:message_stop|error|response\.(?:completed|failed|incomplete))")'
)


class SSEOverflow(ValueError):
    """An event is longer than the parser was told to bear; nothing of it is given out."""


class Event(msgspec.Struct, frozen=True):
    """One dispatched event: its data lines joined by line feeds, its type, the last id seen."""

    data: str
    event: str = ""
    id: str = ""


class SSEParser:
    """Turns the bytes of an event stream into events, wherever they are cut.

    Takes time linear in the bytes and holds at most one event of ``max_event_bytes``. Bytes that
    are not UTF-8 become U+FFFD; ``retry`` and unknown fields are ignored.
    """

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        """Start at the beginning of a stream."""
        self._bound = max_event_bytes
        self._line = bytearray()
        self._data: list[bytes] = []
        self._n_data = 0
        self._event = ""
        self._id = ""
        self._after_cr = False
        self._at_start = True

    @property
    def n_pending(self) -> int:
        """Bytes of an event that is not finished; what `close` left, once it was called."""
        return self._n_data + len(self._line)

    def feed(self, data: bytes) -> list[Event]:
        """Return the events that these bytes complete, in order; raises `SSEOverflow`."""
        if not data:
            return []
        if self._after_cr and data[0] == 0x0A:
            data = data[1:]  # the second half of a CRLF whose first half ended the line
        self._after_cr = data[-1:] == b"\r"
        if b"\r" in data:
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, rest = data.split(b"\n")
        events: list[Event] = []
        for line in lines:
            if self._line:
                self._line += line
                line = bytes(self._line)  # noqa: PLW2901 - the line as a whole
                self._line.clear()
            self._take(line, events)
        self._line += rest
        self._check()
        return events

    def close(self) -> list[Event]:
        """Return the last event where only its blank line is missing, as clients take it too.

        The standard would discard it; `n_pending` goes on telling that it was unfinished.
        """
        n_pending = self.n_pending
        events: list[Event] = []
        if self._line:
            self._take(bytes(self._line), events)
        self._take(b"", events)
        self._line.clear()
        self._n_data = n_pending
        return events

    def _take(self, line: bytes, events: list[Event]) -> None:
        if self._at_start:
            line = line.removeprefix(_BOM)
            self._at_start = False
        if not line:
            self._dispatch(events)
            return
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
            self._n_data += len(line) + 1
            self._check()
        elif name == b"event":
            self._event = value.decode("utf-8", "replace")
        elif name == b"id" and b"\0" not in value:
            self._id = value.decode("utf-8", "replace")

    def _dispatch(self, events: list[Event]) -> None:
        if self._data:
            text = b"\n".join(self._data).decode("utf-8", "replace")
            events.append(Event(text, self._event, self._id))
            self._data = []
        self._n_data = 0
        self._event = ""

    def _check(self) -> None:
        if self.n_pending > self._bound:
            raise SSEOverflow(f"an event of more than {self._bound} bytes")


def encode(data: str | bytes, event: str = "") -> bytes:
    """Return one event as bytes; data with line breaks becomes several data lines."""
    raw = data.encode() if isinstance(data, str) else data
    lines = _ANY_BREAK.split(raw) if b"\n" in raw or b"\r" in raw else [raw]
    assert "\n" not in event and "\r" not in event
    head = b"event: %s\n" % event.encode() if event else b""
    return head + b"".join(b"data: %s\n" % line for line in lines) + b"\n"


def ends_stream(window: bytes) -> bool:
    """Tell whether the bytes hold the beginning of a dialect's last event.

    That is ``[DONE]`` of chat completions, ``message_stop`` of Anthropic's messages, the
    ``response.completed``, ``failed`` or ``incomplete`` of Responses, and ``error`` of both. Give
    the last `END_WINDOW_BYTES` of what came before and then the new bytes; begin a stream's first
    window with a line break. The last event may go on in later bytes: hold back all that follows.
    """
    if b"[DONE]" in window or b"message_stop" in window:
        return _END.search(window) is not None
    if b"response." in window or b"error" in window:
        return _END.search(window) is not None
    return False
