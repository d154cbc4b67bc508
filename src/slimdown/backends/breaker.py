"""A circuit breaker: after some failures in a row nobody is made to wait for what is down.

Closed, attempts pass; open, none does; half open, one does, and its end decides. It knows neither
what is attempted nor what a failure is. It belongs to one thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

State = Literal["closed", "open", "half_open"]


class Breaker:
    """Opens for ``open_s`` seconds after ``n_failures`` failures in a row."""

    def __init__(
        self, n_failures: int, open_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Start closed; ``clock`` returns seconds and never goes back."""
        self._n_failures = n_failures
        self._open_s = open_s
        self._clock = clock
        self._failed = 0
        self._until: float | None = None
        self._period = 0
        self._probe: int | None = None

    @property
    def state(self) -> State:
        """Return the state: half open from the time that a probe may pass until it has ended."""
        if self._until is None:
            return "closed"
        if self._probe is not None or self._clock() >= self._until:
            return "half_open"
        return "open"

    def enter(self) -> int | None:
        """Return the pass of one attempt, to be handed to `leave`, or None: do not attempt it."""
        if self._until is None:
            return self._period
        if self._clock() < self._until:
            return None
        # A probe whose end is never told must not keep the way shut for ever.
        self._until = self._clock() + self._open_s
        self._period += 1
        self._probe = self._period
        return self._probe

    def leave(self, entry: int, ok: bool | None) -> None:
        """Tell how an attempt ended; None where it was given up without a verdict.

        An attempt that began before the state last changed says nothing about now.
        """
        if entry != self._period:
            return
        if ok:
            self._close()
        elif ok is None:
            self._give_back()
        else:
            self._failed += 1
            if self._probe is not None or self._failed >= self._n_failures:
                self._open()

    def _close(self) -> None:
        self._failed = 0
        if self._until is not None:
            self._until = self._probe = None
            self._period += 1

    def _open(self) -> None:
        self._until = self._clock() + self._open_s
        self._probe = None
        self._period += 1

    def _give_back(self) -> None:
        if self._probe is not None:
            self._until = self._clock()
            self._probe = None
            self._period += 1
