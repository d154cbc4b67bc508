"""Moves what the write-ahead log holds into the database file, off the writer's path.

A log that was moved whole is begun anew by the next writer; without that it would grow for as
long as there is traffic. Knows nothing of tables, and nothing of who writes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import apsw

_EVERY_S = 1.0
_LATEST_S = 10.0  # until it is moved, a row of the gateway's does not outlive a power cut
_WORTHWHILE_PAGES = 1_000
_LONG_PAGES = 16_384  # 64 MiB: from here on writers are held up for once, to begin the log anew
_FEW_PAGES = 256  # so few are moved while writers wait
_PASSES = 6
_BUSY_MS = 20  # how long writers may be held up by a log that readers keep from being begun anew
_SYNC_FAILED = (apsw.SQLITE_IOERR_FSYNC, apsw.SQLITE_IOERR_DIR_FSYNC)


class Checkpoints:
    """A thread, with a connection of its own, that checkpoints the log of one database."""

    def __init__(self, connect: Callable[[], apsw.Connection]) -> None:
        """Begin; ``connect`` opens another connection to the database, or raises."""
        self._connection = connect()
        self._connection.set_busy_timeout(_BUSY_MS)
        self._n_pages = self._n_moved = 0
        self._moved_at = time.monotonic()
        self.fault = ""  # set for good once the disk has failed to keep what was committed
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="checkpoints", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop, once what is under way is done."""
        self._stopped.set()
        self._thread.join()

    def committed(self, connection: apsw.Connection, name: str, n_pages: int) -> int:
        """Take note of the log's length in pages; set as the writer's `wal_hook`."""
        self._n_pages = n_pages
        return apsw.SQLITE_OK

    def _run(self) -> None:
        while not self._stopped.wait(_EVERY_S):
            self._look()
        self._connection.close()

    def _look(self) -> None:
        # The log is shorter than what was moved of it where it was begun anew.
        grown = self._n_pages - self._n_moved if self._n_pages >= self._n_moved else self._n_pages
        late = time.monotonic() - self._moved_at > _LATEST_S
        if self.fault or not (grown >= _WORTHWHILE_PAGES or (grown and late)):
            return
        try:
            self._move()
        except apsw.IOError as error:
            if error.extendedresult in _SYNC_FAILED:  # type: ignore[attr-defined]
                self.fault = str(error)
        except apsw.Error:
            pass  # busy or full: nothing is lost, the log keeps it until the next time

    def _move(self) -> None:
        self._passive()
        if self._n_pages < _LONG_PAGES:
            return
        for _ in range(_PASSES):
            if self._n_pages - self._n_moved <= _FEW_PAGES:
                break
            self._passive()
        # Moves the few that are left while no writer writes, so that the next begins anew.
        _, self._n_moved = self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_RESTART)

    def _passive(self) -> None:
        _, self._n_moved = self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        self._moved_at = time.monotonic()
