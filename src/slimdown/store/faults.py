"""From SQLite's and the system's errors to ours: what happened, what was kept, what to do.

Knows no tables; every place that touches the database file runs inside `translated`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from slimdown.errors import StoreError, StoreLocked, StoreUnwritable

_UNWRITABLE = (
    apsw.FullError,
    apsw.ReadOnlyError,
    apsw.IOError,
    apsw.CantOpenError,
    apsw.PermissionsError,
)


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn an `apsw.Error` or `OSError` raised inside into the `StoreError` that explains it."""
    try:
        yield
    except _UNWRITABLE as error:
        raise unwritable(path, str(error)) from error
    except apsw.BusyError as error:
        raise StoreLocked(
            f"{path} is held by another process ({error}). What was stored before is kept. "
            "Wait for it to end, then run this again."
        ) from error
    except apsw.Error as error:
        raise damaged(path, str(error)) from error
    except OSError as error:
        raise unwritable(path, error.strerror or str(error)) from error


def unwritable(path: Path, cause: str) -> StoreUnwritable:
    """Return the error for a full disk, a read-only or failing file system, or a wrong owner."""
    return StoreUnwritable(
        f"{path} cannot be written ({cause}). All calls stored before are kept, none by half. "
        "Free disk space, or check that you own the folder and may write to it; then run this "
        "again: calls that are already stored are skipped."
    )


def moved(path: Path) -> StoreUnwritable:
    """Return the error for a file that was moved or deleted while it was open."""
    return StoreUnwritable(
        f"{path} was moved or deleted while it was open. Nothing more was written to it; if it was "
        "moved, what was stored before is kept there. Put the folder back, then run this again: "
        "calls that are already stored are skipped."
    )


def not_kept(path: Path, cause: str) -> StoreUnwritable:
    """Return the error for a disk that failed to keep what was written, which ends all writing.

    To sync again would tell nothing: the kernel reports pages that it lost only once.
    """
    return StoreUnwritable(
        f"the disk failed to keep what was written to {path} ({cause}). Nothing more is written; "
        "what was written last may be lost if the machine stops. Check the disk, copy the "
        "workspace to a sound one, then start again."
    )


def damaged(path: Path, cause: str) -> StoreError:
    """Return the error for a file that SQLite cannot read as a database of ours."""
    return StoreError(
        f"{path} cannot be read as a slimdown database ({cause}). Nothing was changed. "
        "Put back a copy of the workspace folder, or move this file away and import your logs "
        "again."
    )
