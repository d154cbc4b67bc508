"""Moves what the write-ahead log holds into the database file, off the writer's path.

A log that was moved whole is begun anew by the next writer, who then syncs its header; SQLite
leaves that to whoever comes first. So that it is never the gateway's event loop, a reader of our
own pins the log, and is let go only where this thread begins the log anew itself. Knows nothing
of tables, and nothing of who writes.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import apsw

_EVERY_S = 1.0
_LATEST_S = 10.0  # until it is moved, a row of the gateway's does not outlive a power cut
_WORTHWHILE_PAGES = 1_000
_LONG_PAGES = 32_768  # 64 MiB: from here on writers are held up for once, to begin the log anew
_FEW_PAGES = 256  # so few are moved while writers wait
_PASSES = 6
_BUSY_MS = 20  # how long a log that readers keep from being begun anew may hold writers up
_SYNC_FAILED = (apsw.SQLITE_IOERR_FSYNC, apsw.SQLITE_IOERR_DIR_FSYNC)


class Checkpoints:
    """A thread, with connections of its own, that checkpoints the log of one database."""

    def __init__(self, connect: Callable[[], apsw.Connection]) -> None:
        """Begin; ``connect`` opens another connection to the database, or raises."""
        self.fault = ""  # set for good once the disk has failed to keep what was committed
        self.begins_anew = False  # while set, writers of this process must come again later
        self._connection, self._pin = connect(), connect()
        self._connection.transaction_mode = "IMMEDIATE"
        self._handle = _handle_of(self._connection.filename)
        self._n_pages = self._n_moved = self._n_seen = 0
        self._moved_at = time.monotonic()
        self._write_header()
        self._connection.set_busy_timeout(_BUSY_MS)
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
            try:
                self._look()
            except apsw.IOError as error:
                if error.extendedresult in _SYNC_FAILED:  # type: ignore[attr-defined]
                    self.fault = str(error)
                    break
            except apsw.Error:
                pass  # busy or full: nothing is lost, the log keeps it until the next time
        self._pin.close(True)
        self._connection.close(True)

    def _look(self) -> None:
        n_pages, is_idle = self._n_pages, self._n_pages == self._n_seen
        self._n_seen = n_pages
        if n_pages < self._n_moved:  # another process began the log anew
            self._n_moved = 0
        grown = n_pages - self._n_moved
        late = time.monotonic() - self._moved_at > _LATEST_S
        if grown >= _WORTHWHILE_PAGES or (grown and late):
            self._move()
        if n_pages >= (_WORTHWHILE_PAGES if is_idle else _LONG_PAGES):
            self._begin_anew()

    def _move(self) -> None:
        """Move what there is now; what is written meanwhile stays, and with it the pin."""
        self._let_go()
        self._pin.execute("BEGIN")
        self._pin.execute("SELECT count(*) FROM sqlite_schema").fetchall()
        _, self._n_moved = self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        self._moved_at = time.monotonic()

    def _begin_anew(self) -> None:
        for _ in range(_PASSES):
            if self._n_pages - self._n_moved <= _FEW_PAGES:
                break
            self._move()
        # SQLite syncs the file only with a log that is moved whole, and writers wait for that one:
        # what came before is synced now, while they go on.
        if self._handle is not None:
            os.fsync(self._handle)
        self.begins_anew = True
        try:
            self._let_go()
            self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_RESTART)
            self._write_header()
        finally:
            self.begins_anew = False

    def _let_go(self) -> None:
        if self._pin.in_transaction:
            self._pin.execute("ROLLBACK")

    def _write_header(self) -> None:
        """Write something that changes nothing: a log's first writer syncs its header."""
        with self._connection:
            self._connection.pragma("user_version", self._connection.pragma("user_version"))
        self._n_pages = self._n_moved = self._n_seen = 1


def _handle_of(path: str) -> int | None:
    """Return a descriptor that SQLite has of a file, where the system tells (Linux).

    One of our own would not do: its closing would end SQLite's locks (fcntl(2)).
    """
    wanted = os.path.realpath(path)
    folder = Path("/proc/self/fd")
    for name in os.listdir(folder) if folder.is_dir() else ():
        with contextlib.suppress(OSError):  # closed meanwhile, as the listing's own is
            if os.readlink(folder / name) == wanted:
                return int(name)
    return None
