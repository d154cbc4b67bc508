"""What shadows answered, sealed, found again by its task's keyed hash.

A specialist has one answer to a call: told again, it is not stored again. Knows nothing of what
the evidence says; writing happens inside the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apsw
import msgspec

from slimdown.seal import Sealer
from slimdown.store.parts import KeyedHash
from slimdown.types import Evidence

_PAGE = 256


class EvidenceTable:
    """The evidence table of one database."""

    def __init__(self, connection: apsw.Connection, sealer: Sealer) -> None:
        """Use the table of ``connection``."""
        self._connection = connection
        self._sealer = sealer
        self._hashed = KeyedHash(sealer.key)

    def put(self, evidence: Evidence) -> None:
        """Store a pair of answers unless that of its call and specialist is there."""
        task = self._task(evidence.task_id)
        names = [evidence.call_id, evidence.specialist_id]
        digest = self._hashed(b"evidence/" + msgspec.json.encode(names))
        sealed = self._sealer.seal(msgspec.json.encode(evidence), _about(digest, task))
        self._connection.execute(_PUT, (digest, task, sealed))

    def page(self, after: int, task_id: str | None) -> list[tuple[int, Evidence]]:
        """Return the next pairs of a task, or of all, with their numbers, in the order stored."""
        if task_id is None:
            rows: list[Any] = self._connection.execute(_ALL, (after,)).fetchall()
        else:
            rows = self._connection.execute(_OF_TASK, (after, self._task(task_id))).fetchall()
        return list(self._opened(rows))

    def _opened(self, rows: list[Any]) -> Iterator[tuple[int, Evidence]]:
        for number, digest, task, sealed in rows:
            data = self._sealer.open(sealed, _about(digest, task))
            yield number, msgspec.json.decode(data, type=Evidence)

    def _task(self, task_id: str) -> bytes:
        return self._hashed(b"task of evidence/" + task_id.encode())


# As blobs, whatever type a damaged file gives them.
_BLOBS = ", ".join(f"ifnull(CAST({name} AS BLOB), x'')" for name in ("hash", "task", "sealed"))
_ALL = f"SELECT number, {_BLOBS} FROM evidence WHERE number > ? ORDER BY number LIMIT {_PAGE}"
_OF_TASK = (
    f"SELECT number, {_BLOBS} FROM evidence WHERE number > ? AND task = ? "
    f"ORDER BY number LIMIT {_PAGE}"
)
_PUT = "INSERT INTO evidence (hash, task, sealed) VALUES (?, ?, ?) ON CONFLICT (hash) DO NOTHING"


def _about(digest: bytes, task: bytes) -> str:
    return f"evidence/1/{task.hex()}/{digest.hex()}"
