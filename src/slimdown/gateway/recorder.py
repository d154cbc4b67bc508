"""Stores each call before its last byte leaves, in groups, and says when it cannot.

While the store is quick and free, the event loop writes by itself at the end of each turn: that
costs a call less than waking a thread does (`benchmarks/recorder.py`). As soon as the store is
held, slow or failing, a thread writes instead, until nothing is left to do. A large call is read
by yet another, so that no other waits for it.
Whoever records waits no longer than a budget, and not at all once recording is known to fail;
what waits is written when it can be. Knows no HTTP, no routes, and not what a store is made of.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec

from slimdown.errors import SlimdownError, StoreLocked, StoreUnwritable
from slimdown.exchange import Exchange
from slimdown.gateway.scribe import Entry, Make, Scribe
from slimdown.store import Store
from slimdown.types import Call, Evidence

_GROUP = 256
_GROUP_HERE = 64  # calls that the loop writes before it turns to others: some milliseconds
_LARGE_BYTES = 256 << 10  # a call beyond it takes long to read: it would hold up the others
_SLOW_S = 0.025  # a group that took so long met a busy disk
_THERE_S = 1.0  # how long the thread goes on writing after that
_PAUSES_S = (0.05, 1.0)  # between tries where the store fails: the first, and the longest
_LOCKED_PAUSES_S = (0.001, 0.005)  # and where another process writes
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
    """Writes what the gateway saw. All methods are for the loop's thread."""

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
        self._reason = self._last_fault = ""
        self._n_waiting = self._n_written = self._n_lost = self._waiting_bytes = 0
        self._turn: list[_Waiting] = []  # what the loop writes at the end of its turn
        # Who writes: the loop alone sets this to False, the thread alone to True, both under the
        # condition; the thread only once its queue is empty.
        self._here = True
        self._changed = threading.Condition()
        self._queue: deque[_Waiting] = deque()
        self._here_from = 0.0
        self._is_closed = False
        self._closing_until: float | None = None
        self._large: set[asyncio.Future[Call]] = set()
        self._readers = ThreadPoolExecutor(1, "recorder-large")
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)

    def start(self) -> None:
        """Open the store and begin; call it on the loop.

        Raises what opening the store raises, but for `StoreUnwritable`: a full disk must not keep
        a gateway from coming up again, so that it is told by `health`, and opened when it can be.
        """
        self._loop = asyncio.get_running_loop()
        try:
            self._scribe.open()
        except StoreUnwritable as error:
            self._here = False
            self._failed(str(error))
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

    async def record(self, exchange: Exchange, *, is_alone: bool = False) -> bool:
        """Return True once the call's row is committed; False if that is not known in time.

        A call that ``is_alone`` is written at once: there is no other to share a commit with.
        Never raises. After False the row is still written if it can be.
        """
        if self._reason:
            self.note(exchange)
            return False
        done: asyncio.Future[bool] = self._loop.create_future()
        self._accept(_Waiting(exchange, _size(exchange), done), at_once=is_alone)
        return await done

    def note(self, exchange: Exchange) -> None:
        """Have a call written that nobody waits for."""
        self._accept(_Waiting(exchange, _size(exchange), None))

    def note_evidence(self, evidence: Evidence) -> None:
        """Have a shadow's answer written."""
        self._accept(_Waiting(evidence, _EVIDENCE_BYTES, None))

    async def close(self, timeout_s: float) -> None:
        """Write what waits, for as long as that may take, and close the store."""
        self._is_closed = True
        until = time.monotonic() + timeout_s
        if self._large:
            await asyncio.wait(self._large, timeout=timeout_s)
        self._readers.shutdown(wait=False)
        turn, self._turn = self._turn, []
        self._closing_until = until
        self._hand_over(turn)
        if self._thread.ident is not None:
            await asyncio.to_thread(self._thread.join, max(until - time.monotonic(), 0))
        for each in self._queue.copy():
            _settle(each.done, False)

    def _accept(self, waiting: _Waiting, *, at_once: bool = False) -> None:
        n_bytes = self._waiting_bytes + waiting.n_bytes
        if self._is_closed or n_bytes > self._max_waiting_bytes:
            self._n_lost += 1
            _settle(waiting.done, False)
            return
        self._n_waiting += 1
        self._waiting_bytes = n_bytes
        if waiting.n_bytes > _LARGE_BYTES and isinstance(waiting.entry, Exchange):
            self._read_aside(waiting, waiting.entry)
            return
        if not self._here:
            self._hand_over([waiting])
            return
        self._turn.append(waiting)
        if len(self._turn) > 1:
            return
        if at_once:
            self._write_here()
        else:
            self._loop.call_soon(self._write_here)

    def _read_aside(self, waiting: _Waiting, exchange: Exchange) -> None:
        """Have a call read by another thread, then written; that it takes long is no fault."""

        def write(read: asyncio.Future[Call]) -> None:
            self._large.discard(read)
            waiting.entry = read.result()
            self._hand_over([waiting])

        reading = self._loop.run_in_executor(self._readers, self._scribe.read, exchange)
        self._large.add(reading)
        reading.add_done_callback(write)
        if waiting.done is not None:
            self._loop.call_later(self._budget_s, _settle, waiting.done, False)

    def _write_here(self) -> None:
        """Write this turn's calls on the loop, or have the thread write them."""
        group, self._turn = self._turn[:_GROUP_HERE], self._turn[_GROUP_HERE:]
        if self._turn:
            self._loop.call_soon(self._write_here)
        if not self._here:
            self._hand_over(group)
            return
        began = time.monotonic()
        try:
            self._scribe.write([each.entry for each in group])
        except SlimdownError as error:
            self._hand_over(group)
            self._last_fault = str(error)
            if not isinstance(error, StoreLocked):
                self._failed(self._last_fault)
        else:
            self._written(group)
            ended = time.monotonic()
            if ended - began > _SLOW_S:
                self._here_from = ended + _THERE_S
                self._hand_over([])

    def _hand_over(self, group: Sequence[_Waiting]) -> None:
        """Let the thread write from now on, and see that nobody waits for long."""
        with self._changed:
            self._here = False
            self._queue.extend(group)
            self._changed.notify()
        waited_for = [each.done for each in group if each.done is not None]
        if waited_for:
            self._loop.call_later(self._budget_s, self._expire, waited_for)

    def _expire(self, waited_for: Sequence[asyncio.Future[bool]]) -> None:
        if not all(done.done() for done in waited_for):
            slow = f"a call was not stored within {self._budget_s} s; it is written when it can be."
            self._failed(self._last_fault or slow)

    def _written(self, group: Sequence[_Waiting]) -> None:
        self._reason = self._last_fault = ""
        for each in group:
            self._n_waiting -= 1
            self._n_written += 1
            self._waiting_bytes -= each.n_bytes
            _settle(each.done, True)

    def _failed(self, reason: str) -> None:
        known, self._reason = self._reason, reason
        for each in self._queue.copy():
            _settle(each.done, False)
        if not known:
            self._on_broken(reason)

    def _run(self) -> None:
        """Write what is handed over until closed: the thread's life."""
        pause_s = 0.0
        group = self._take(pause_s) if self._here else []  # writing nothing opens the store
        while group is not None:
            try:
                self._scribe.write([each.entry for each in group])
            except SlimdownError as error:
                pause_s = self._put_back(group, error, pause_s)
            else:
                pause_s = 0.0
                self._tell(self._written, group)
            group = self._take(pause_s)
        self._scribe.close()

    def _put_back(self, group: Sequence[_Waiting], error: SlimdownError, pause_s: float) -> float:
        """Keep what was not written; return how long to wait before the next try."""
        with self._changed:
            self._queue.extendleft(reversed(group))
        self._last_fault = str(error)
        # Another's transaction is soon over: `_expire` tells of one that is not.
        is_locked = isinstance(error, StoreLocked)
        if not is_locked:
            self._tell(self._failed, self._last_fault)
        first, longest = _LOCKED_PAUSES_S if is_locked else _PAUSES_S
        return min(max(2 * pause_s, first), longest)

    def _take(self, pause_s: float) -> list[_Waiting] | None:
        """Return what to write next, after a pause where the last try failed; None at the end."""
        time.sleep(pause_s)
        with self._changed:
            over = self._closing_until is not None and time.monotonic() >= self._closing_until
            if pause_s and over:
                return None
            while not pause_s and not self._queue:
                if self._closing_until is not None:
                    return None
                there_s = self._here_from - time.monotonic()
                self._here = there_s <= 0
                self._changed.wait(None if self._here else there_s)
            return [self._queue.popleft() for _ in range(min(_GROUP, len(self._queue)))]

    def _tell(self, callback: Callable[..., None], *arguments: object) -> None:
        # A loop that has ended has nobody left who waits.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(callback, *arguments)


def _settle(done: asyncio.Future[bool] | None, stored: bool) -> None:
    if done is not None and not done.done():
        done.set_result(stored)


def _size(exchange: Exchange) -> int:
    return len(exchange.request_body) + len(exchange.response_body)
