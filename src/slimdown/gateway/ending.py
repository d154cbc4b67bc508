"""Where a stream ends: whether its last event has come, and whether it was whole without one."""

from __future__ import annotations

from slimdown.gateway.outgoing import header
from slimdown.gateway.passage import Passage
from slimdown.sse import ends_stream

_OVERLAP = 64
# Some servers end a chat stream without its [DONE]; a finish reason says that all was said.
_FINISHED = (b'"finish_reason":"', b'"finish_reason": "', b'"stop_reason":"', b'"stop_reason": "')


class Ending:
    """Watches one stream for its last event, whatever pieces it comes in."""

    def __init__(self) -> None:
        """Begin at the start of a stream, which is the start of a line."""
        self._tail = b"\n"

    def reached_by(self, piece: bytes) -> bool:
        """Tell whether the last event begins in this piece or has begun before it."""
        window = self._tail + piece
        self._tail = window[-_OVERLAP:]
        return ends_stream(window)

    @staticmethod
    def is_whole(passage: Passage) -> bool:
        """Tell whether a stream that has ended without a last event had said all.

        One in a coding counts as whole here: the recorder, which reads it, tells.
        """
        if header(passage.headers, b"content-encoding"):
            return True
        body = b"".join(passage.pieces[-8:])
        return any(mark in body for mark in _FINISHED)
