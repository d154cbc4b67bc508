"""Deadlines for many calls at once, at the price of two assignments a call.

A timer of its own for each wait costs a tenth of a call's time. Here one timer looks at all waits
every 50 ms, which is how late a deadline may be. For one event loop; knows nothing of HTTP.
"""

from __future__ import annotations

import asyncio
import time
from types import TracebackType
from typing import Any, Self

TICK_S = 0.05
"""Seconds between two looks; the most that a deadline is late on an idle loop."""

_LATE_S = 0.5  # a look later than this: the process was stopped, or the loop held up


class Limit:
    """A context: what awaits inside is cancelled past the deadline, and leaves as `TimeoutError`.

    The task is cancelled once at most.
    """

    __slots__ = ("_patience", "_task", "deadline", "expired")

    def __init__(self, patience: Patience, seconds: float) -> None:
        """Expire ``seconds`` from now, once entered."""
        self._patience = patience
        self._task: asyncio.Task[Any] | None = None
        self.deadline = time.monotonic() + seconds
        self.expired = False

    def __enter__(self) -> Self:
        """Begin to be looked at."""
        self._task = asyncio.current_task()
        self._patience.waits.add(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End; raises `TimeoutError` in place of the cancellation that was ours."""
        self._patience.waits.discard(self)
        task, self._task = self._task, None
        if not self.expired or task is None:
            return
        # A second cancellation, the client's going, is not ours to swallow.
        if task.uncancel() == 0 and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def expire(self) -> None:
        """Cancel the task that waits inside."""
        if self._task is not None and not self.expired:
            self.expired = True
            self._task.cancel()


class Patience:
    """All waits under way."""

    def __init__(self) -> None:
        """Begin without any; `start` begins to look at them."""
        self.waits: set[Limit] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0

    def start(self) -> None:
        """Look at the waits from now on, on the running loop."""
        self._due = time.monotonic() + TICK_S
        self._timer = asyncio.get_running_loop().call_later(TICK_S, self._look)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def limit(self, seconds: float) -> Limit:
        """Return a context that lasts ``seconds`` at most."""
        return Limit(self, seconds)

    def _look(self) -> None:
        now = time.monotonic()
        late_s = now - self._due
        if late_s > _LATE_S:
            # What came meanwhile is not read yet: who could not listen may not speak of silence.
            for wait in self.waits:
                wait.deadline += late_s
        for wait in [wait for wait in self.waits if wait.deadline < now]:
            wait.expire()
        self.start()
