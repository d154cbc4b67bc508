"""One writer of a kind per workspace, held by the operating system's advisory file lock.

The lock ends with the process that holds it, however that ends, so no lock can go stale; the
process id inside the file only serves the message. Readers take no lock.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from slimdown.errors import StoreLocked


class WriterLock:
    """The right to write to one workspace, as the only one that does ``work`` there."""

    def __init__(self, path: Path, work: str = "writing to") -> None:
        """Take the lock; raises `StoreLocked` if another process, or another store, has it."""
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._sign()
        except BlockingIOError as error:
            holder = os.read(self._handle, 32).decode("ascii", "replace").strip()
            os.close(self._handle)
            raise StoreLocked(
                f"process {holder or 'unknown'} is {work} {path.parent}. Nothing was changed. "
                "Wait for it to end, or stop it: what it stored is kept."
            ) from error
        except OSError:  # no space, or no locks: the file must not stay locked by our open handle
            os.close(self._handle)
            raise

    def _sign(self) -> None:
        os.ftruncate(self._handle, 0)
        os.pwrite(self._handle, f"{os.getpid()}\n".encode("ascii"), 0)

    def release(self) -> None:
        """Let the next writer in."""
        os.ftruncate(self._handle, 0)
        os.close(self._handle)
