"""Stores each call before its last byte leaves, in groups, and says when it cannot.

Whoever records waits no longer than a budget, and not at all once recording is known to fail; what
waits is written when it can be. Knows no HTTP, no routes, and nothing of what a store is made of.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable

import msgspec

from slimdown.exchange import Exchange
from slimdown.gateway.scribe import FAULTS, Entry, Make, Scribe
from slimdown.store import Store
from slimdown.types import Evidence

_GROUP = 256
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 1.0
_EVIDENCE_BYTES = 1_000  # about what one takes in memory


class RecorderHealth(msgspec.Struct, frozen=True, kw_only=True):
    """Whether calls are being stored, and why not; ``n_lost`` were dropped for want of memory."""

    ok: bool
    reason: str
    n_waiting: int
    n_written: int
    n_lost: int
    waiting_bytes: int


class _Waiting(msgspec.Struct):
    entry: Entry
    n_bytes: int
    done: asyncio.Future[bool] | None


def _say_nothing(reason: str) -> None:
    """Ignore that recording broke."""


class Recorder:
    """Writes what the gateway saw, on a thread of its own."""

    def __init__(
        self,
        open_store: Callable[[], Store],
        make: Make,
        *,
        budget_s: float = 0.25,
        max_waiting_bytes: int = 64 << 20,
        on_broken: Callable[[str], None] = _say_nothing,
    ) -> None:
        """Take how to open the store, and how an exchange becomes a call.

        ``on_broken`` is told on the loop, with the reason, when recording begins to fail.
        """
        self._scribe = Scribe(open_store, make)
        self._budget_s = budget_s
        self._max_waiting_bytes = max_waiting_bytes
        self._on_broken = on_broken
        self._waiting: deque[_Waiting] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._reason = ""
        self._n_waiting = self._n_written = self._n_lost = self._waiting_bytes = 0
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)

    def start(self) -> None:
        """Open the store and begin; call it on the loop. Raises what opening the store raises."""
        self._loop = asyncio.get_running_loop()
        self._scribe.open()
        self._thread.start()

    @property
    def health(self) -> RecorderHealth:
        """Return how recording goes."""
        return RecorderHealth(
            ok=not self._reason,
            reason=self._reason,
            n_waiting=self._n_waiting,
            n_written=self._n_written,
            n_lost=self._n_lost,
            waiting_bytes=self._waiting_bytes,
        )

    async def record(self, exchange: Exchange) -> bool:
        """Return True once the call's row is committed; False if that is not known in time.

        Never raises. After False the row is still written if it can be.
        """
        if self._reason:
            self.note(exchange)
            return False
        done: asyncio.Future[bool] = self._loop.create_future()
        if not self._enqueue(exchange, _size(exchange), done):
            return False
        timer = self._loop.call_later(self._budget_s, _settle, done, False)
        try:
            return await done
        finally:
            timer.cancel()

    def note(self, exchange: Exchange) -> None:
        """Have a call written that nobody waits for."""
        self._enqueue(exchange, _size(exchange), None)

    def note_evidence(self, evidence: Evidence) -> None:
        """Have a shadow's answer written."""
        self._enqueue(evidence, _EVIDENCE_BYTES, None)

    async def close(self, timeout_s: float) -> None:
        """Write what waits, for as long as that may take, and close the store."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        await asyncio.to_thread(self._thread.join, timeout_s)

    def _enqueue(self, entry: Entry, n_bytes: int, done: asyncio.Future[bool] | None) -> bool:
        with self._changed:
            if self._closing or self._waiting_bytes + n_bytes > self._max_waiting_bytes:
                self._n_lost += 1
                return False
            self._waiting.append(_Waiting(entry, n_bytes, done))
            self._n_waiting += 1
            self._waiting_bytes += n_bytes
            self._changed.notify()
        return True

    def _run(self) -> None:
        pause_s = 0.0
        while group := self._take(pause_s):
            try:
                self._scribe.write([each.entry for each in group])
            except FAULTS as error:
                pause_s = min(max(2 * pause_s, _FIRST_PAUSE_S), _LONGEST_PAUSE_S)
                self._loop.call_soon_threadsafe(self._failed, str(error))
                self._waiting.extendleft(reversed(group))
                if self._closing:
                    break
            else:
                pause_s = 0.0
                self._loop.call_soon_threadsafe(self._written, group)
        self._scribe.close()

    def _take(self, pause_s: float) -> list[_Waiting]:
        with self._changed:
            if pause_s:
                self._changed.wait_for(lambda: self._closing, pause_s)
            self._changed.wait_for(lambda: self._waiting or self._closing)
            return [self._waiting.popleft() for _ in range(min(_GROUP, len(self._waiting)))]

    def _written(self, group: list[_Waiting]) -> None:
        self._reason = ""
        for each in group:
            self._n_waiting -= 1
            self._n_written += 1
            self._waiting_bytes -= each.n_bytes
            _settle(each.done, True)

    def _failed(self, reason: str) -> None:
        known, self._reason = self._reason, reason
        for each in list(self._waiting):
            _settle(each.done, False)
        if not known:
            self._on_broken(reason)


def _settle(done: asyncio.Future[bool] | None, stored: bool) -> None:
    if done is not None and not done.done():
        done.set_result(stored)


def _size(exchange: Exchange) -> int:
    return len(exchange.request_body) + len(exchange.response_body)
