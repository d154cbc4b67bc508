"""Call ids: 128 bits that sort by time, whatever the wall clock does while we run.

Like UUID version 7 (RFC 9562): 48 bits of milliseconds, then random bits. Within one process ids
never go back, even if the clock does.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable


class CallIds:
    """Makes call ids, 32 hexadecimal digits each."""

    def __init__(self, clock: Callable[[], int] = time.time_ns) -> None:
        """Take the time in nanoseconds since the epoch from ``clock``."""
        self._clock = clock
        self._last_ms = 0
        self._random = b""
        self._used = 0

    def next(self) -> str:
        """Return an id that no other call has and that sorts after all before it, ties aside."""
        now = self._clock() // 1_000_000
        self._last_ms = max(now, self._last_ms)
        if self._used >= len(self._random):
            # One system call for many ids: each takes ten bytes.
            self._random, self._used = os.urandom(2560), 0
        piece = self._random[self._used : self._used + 10]
        self._used += 10
        return f"{self._last_ms & 0xFFFFFFFFFFFF:012x}{piece.hex()}"
