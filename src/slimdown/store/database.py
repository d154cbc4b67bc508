"""Opens a workspace's database file: folder, lock, schema, key; or says why it cannot be opened.

Knows nothing of calls. The write-ahead log lets readers go on while others write; SQLite's own
lock lets one transaction write at a time, whoever's it is. Two lock files keep apart those who
would do the same work twice: two imports or runs, two gateways.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import apsw
import msgspec

from slimdown.errors import KeyProblem, SealBroken, StoreError, StoreLocked
from slimdown.seal import Sealer, load_sealer
from slimdown.store import schema
from slimdown.store.checkpoints import Checkpoints
from slimdown.store.faults import moved, not_kept, translated
from slimdown.store.lock import WriterLock

FILE = "slimdown.db"

Role = Literal["batch", "gateway", "short"]
"""What a writer writes for: imports and runs, live recording, or one small change."""

_KEY_CHECK = "store/1/key-check"
# A call changes a page or two of each of seven trees: smaller ones make for a shorter log.
_PAGE_BYTES = 2_048
_BUSY_MS = 5_000  # readers meet a short exclusive lock only while a log is reset or recovered
_FULL, _NORMAL = 2, 1  # what is committed outlives a power cut, or only the process by itself
_KEPT_LOG_BYTES = 64 << 20  # a log that had to grow beyond it is cut when it is begun anew


class _Conduct(msgspec.Struct, frozen=True):
    """How a writer of one role behaves: its lock file and the words for what it does, how long it
    waits for others' transactions, how SQLite syncs its commits, and its page cache."""

    lock_file: str | None
    work: str
    busy_ms: int
    synchronous: int
    cache_kib: int
    syncs_after: bool = False


_CONDUCT: dict[Role, _Conduct] = {
    # It syncs after its commits: SQLite would keep other writers out for as long as that takes.
    "batch": _Conduct("slimdown.lock", "writing to", _BUSY_MS, _NORMAL, 64_000, syncs_after=True),
    # Its event loop must not wait here for another's transaction: whoever writes tries again.
    "gateway": _Conduct("gateway.lock", "the gateway of", 0, _NORMAL, 32_000),
    "short": _Conduct(None, "", _BUSY_MS, _FULL, 8_000),
}


class Database:
    """An open database file, and the sealer whose key it was made with."""

    def __init__(self, folder: Path, environ: Mapping[str, str], *, role: Role | None) -> None:
        """Open ``folder``'s database; for a ``role`` make or migrate it and hold its lock.

        None reads only.
        """
        self.path = folder / FILE
        self.write = role is not None
        self._syncs_after = role is not None and _CONDUCT[role].syncs_after
        self._sync_fault = ""
        self._lock: WriterLock | None = None
        self._checkpoints: Checkpoints | None = None
        try:
            with translated(self.path):
                self._claim(folder, role)
                self.connection = _connect(self.path, role)
                self._file = _identity(self.path)
                self.sealer = self._prepare(environ)
                if role is not None:
                    self.connection.set_busy_timeout(_CONDUCT[role].busy_ms)
                if role == "gateway":
                    self._checkpoints = Checkpoints(lambda: _connect(self.path, role))
                    self.connection.set_wal_hook(self._checkpoints.committed)
        except BaseException:  # whatever the cause, the lock must not outlive the attempt
            self.close()
            raise

    def _claim(self, folder: Path, role: Role | None) -> None:
        """Make the folder and the file, and lock them, if this is a writer."""
        if role in ("batch", "gateway"):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            conduct = _CONDUCT[role]
            assert conduct.lock_file is not None, "whoever may make a workspace holds a lock"
            self._lock = WriterLock(folder / conduct.lock_file, conduct.work)
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        elif not self.path.exists():
            raise StoreError(
                f"there is no workspace in {folder}. "
                "Make one with `slimdown up` or `slimdown import`, or name the folder it is in."
            )

    def close(self) -> None:
        """Close the file and let the next writer in."""
        if self._checkpoints is not None:
            self._checkpoints.close()
            self._checkpoints = None
        connection = getattr(self, "connection", None)
        if connection is not None:
            connection.close()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make what is written inside durable as one, or none of it if an error comes out."""
        if not self.write:
            raise StoreError(f"{self.path} was opened to read only. Open it with write=True.")
        self._refuse_if_unfit()
        with translated(self.path):
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._refuse_if_moved()
                self.connection.execute("COMMIT")
            except BaseException:  # an interrupt too must leave no open transaction
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise
            if self._syncs_after:
                self._sync()

    def _refuse_if_unfit(self) -> None:
        """Raise if the disk lost what was written, or the log is being begun anew right now."""
        fault = self._sync_fault if self._checkpoints is None else self._checkpoints.fault
        if fault:
            raise not_kept(self.path, fault)
        if self._checkpoints is not None and self._checkpoints.begins_anew:
            raise StoreLocked(
                f"the log of {self.path} is being begun anew. What was stored before is kept. "
                "This takes moments, unless the disk is slow; what waits is then stored."
            )

    def _sync(self) -> None:
        """Have what is in the log outlive a power cut; where that fails, write no more."""
        # SQLite locks nothing in the log's own file, so that no lock of ours ends as it is closed.
        handle = os.open(f"{self.path}-wal", os.O_RDONLY)
        try:
            os.fsync(handle)
        except OSError as error:
            self._sync_fault = error.strerror or str(error)
            raise not_kept(self.path, self._sync_fault) from error
        finally:
            os.close(handle)

    def is_replaced(self) -> bool:
        """Tell whether another file lies where ours was."""
        return self._found() not in (None, self._file)

    def _refuse_if_moved(self) -> None:
        """Raise `StoreUnwritable` if the path names our file no more: none would find the rest."""
        if self._found() != self._file:
            raise moved(self.path)

    def _found(self) -> tuple[int, int] | None:
        try:
            return _identity(self.path)
        except FileNotFoundError:
            return None

    def _prepare(self, environ: Mapping[str, str]) -> Sealer:
        schema.refuse_unknown(self.connection, self.path)
        found = schema.version(self.connection)
        if found < len(schema.STEPS) and not self.write:
            raise StoreError(
                f"{self.path} is not made or not brought up to date yet. Nothing was changed. "
                "Run `slimdown import` once: it does both."
            )
        sealer = load_sealer(environ, create=found == 0)
        if found == 0:
            self._create(sealer)
        # Another writer may have made it since we looked, with another key.
        self._check_key(sealer)
        if found < len(schema.STEPS):
            with self.transaction():
                schema.migrate(self.connection)
        return sealer

    def _create(self, sealer: Sealer) -> None:
        with self.transaction():
            schema.migrate(self.connection)
            check = sealer.seal(b"", _KEY_CHECK)
            self.connection.execute("INSERT OR IGNORE INTO meta VALUES ('key_check', ?)", (check,))

    def _check_key(self, sealer: Sealer) -> None:
        check = self.connection.execute("SELECT value FROM meta WHERE name = 'key_check'").get
        try:
            sealer.open(check or b"", _KEY_CHECK)
        except SealBroken as error:
            raise KeyProblem(
                f"the key is not the one that {self.path} was made with. Nothing was changed. "
                "Set SLIMDOWN_KEY, or put back the key file, that this workspace was made with."
            ) from error


def _identity(path: Path) -> tuple[int, int]:
    """Return what tells a file from any other, whatever either is called."""
    found = path.stat()
    return found.st_dev, found.st_ino


def _connect(path: Path, role: Role | None) -> apsw.Connection:
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    connection.set_busy_timeout(_BUSY_MS)
    connection.pragma("trusted_schema", False)
    connection.pragma("cell_size_check", True)
    connection.pragma("temp_store", 2)  # in memory: no spill of ours ever reaches another file
    if role is None:
        connection.pragma("query_only", True)
    else:
        connection.pragma("page_size", _PAGE_BYTES)  # of a file that is yet to be made
        _begin_log(connection)
        connection.pragma("synchronous", _CONDUCT[role].synchronous)
        connection.pragma("cache_size", -_CONDUCT[role].cache_kib)
        connection.pragma("journal_size_limit", _KEPT_LOG_BYTES)
    return connection


def _begin_log(connection: apsw.Connection) -> None:
    """Have the file keep a write-ahead log, also while another process asks for the same."""
    until = time.monotonic() + _BUSY_MS / 1_000
    while True:
        try:
            connection.pragma("journal_mode", "wal")
            return
        except apsw.BusyError:  # SQLite does not wait here, whatever its busy timeout is
            if time.monotonic() > until:
                raise
        time.sleep(0.01)
