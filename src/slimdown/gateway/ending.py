"""Where a stream ends: whether its last event has come, and whether it was whole without one."""

from __future__ import annotations

from slimdown.gateway.outgoing import header
from slimdown.gateway.passage import Passage
from slimdown.sse import END_WINDOW_BYTES, ends_stream

_BLANK_LINES = (b"\n\n", b"\r\r", b"\n\r\n")
# Some servers end a chat stream without its [DONE]; a finish reason says that all was said, and so
# does an error event.
_FINISHED = (
    b'"finish_reason":"',
    b'"finish_reason": "',
    b'"stop_reason":"',
    b'"stop_reason": "',
    b'data: {"error"',
    b'data:{"error"',
)


class Ending:
    """Watches one stream for its last event, whatever pieces it comes in."""

    def __init__(self) -> None:
        """Begin at the start of a stream, which is the start of a line."""
        self._tail = b"\n"
        self.has_begun = False

    def begins_in(self, piece: bytes) -> bool:
        """Take the next piece; tell whether the last event has begun by its end."""
        window = self._tail + piece
        self._tail = window[-END_WINDOW_BYTES:]
        self.has_begun = self.has_begun or ends_stream(window)
        return self.has_begun

    @property
    def is_reached(self) -> bool:
        """Whether the last event has come to its blank line, as far as the latest piece tells."""
        return self.has_begun and self._tail.endswith(_BLANK_LINES)

    @property
    def gap(self) -> bytes | None:
        """What must stand between what came and an event of ours: nothing after a blank line or at
        the start, a line break after a line; None inside a line, where no event can begin."""
        if self._tail == b"\n" or self._tail.endswith(_BLANK_LINES):
            return b""
        return b"\n" if self._tail.endswith((b"\n", b"\r")) else None

    @staticmethod
    def is_whole(passage: Passage) -> bool:
        """Tell whether a stream that has ended without a last event had said all.

        One in a coding counts as whole here: the recorder, which reads it, tells.
        """
        if header(passage.headers, b"content-encoding"):
            return True
        body = b"".join(passage.pieces[-8:])
        return any(mark in body for mark in _FINISHED)
