"""Parts that calls share, each stored once, sealed, and found again by a keyed hash.

The hash is keyed, so who has the file alone cannot test a guess of what was said. A history of
messages is a chain: the list before it, and one more message; a resent history costs nothing.
A part that starts like an earlier one is kept as what differs from it (`templates`).
Knows nothing of calls; all writing happens inside the caller's transaction.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

import apsw
import zstandard

from slimdown.errors import SealBroken
from slimdown.seal import Sealer
from slimdown.store.recent import Recent
from slimdown.store.templates import Templates, stand

HASH_BYTES = 16
_REMEMBERED_STEPS = 1 << 15  # about 10 MB of memory, to spare look-ups of recent histories
_REMEMBERED_BYTES = 16 << 20  # parts kept in memory, to spare hashing or opening recent ones again
_ENTRY_BYTES = 400  # about what a remembered part takes besides its own bytes


class KeyedHash:
    """BLAKE2b (RFC 7693) under a key derived from the workspace's key."""

    def __init__(self, key: bytes) -> None:
        """Take the workspace's key."""
        derived = hmac.digest(key, b"slimdown/store/1/keyed-hash", "sha256")
        self._keyed = hashlib.blake2b(key=derived, digest_size=HASH_BYTES)

    def __call__(self, data: bytes) -> bytes:
        """Return the 16-byte keyed hash of ``data``."""
        keyed = self._keyed.copy()  # a third less than to begin with the key again
        keyed.update(data)
        return keyed.digest()


class Parts:
    """The part and history tables of one database."""

    def __init__(self, connection: apsw.Connection, sealer: Sealer, hashed: KeyedHash) -> None:
        """Use the tables of ``connection``."""
        self._connection = connection
        self._cursor = connection.cursor()  # one for all: a new one costs as much as a query
        self._sealer = sealer
        self._hashed = hashed
        self._stored: Recent[bytes, tuple[int, bytes]] = Recent(_REMEMBERED_BYTES)
        self._templates = Templates()
        self._steps: Recent[tuple[int, int], int] = Recent(_REMEMBERED_STEPS)
        self._opened: Recent[int, tuple[bytes, bytes]] = Recent(_REMEMBERED_BYTES)

    def forget(self) -> None:
        """Drop what is remembered; to be called when a transaction is rolled back."""
        self._stored.clear()
        self._steps.clear()
        self._templates.forget()

    def put(self, data: bytes) -> tuple[int, bytes]:
        """Store a part unless it is there; return its number and its hash."""
        stored = self._stored.get(data)
        if stored is None:
            stored = self._put(data)
            self._stored.put(data, stored, len(data) + _ENTRY_BYTES)
        return stored

    def put_history(self, parts: Sequence[int]) -> int:
        """Store a list of part numbers; return its number, 0 for the empty list."""
        history = 0
        for part in parts:
            step = (history, part)
            history = self._steps.get(step) or self._put_step(step)
        return history

    def get(self, number: int) -> tuple[bytes, bytes]:
        """Return a part's hash and bytes; raises `SealBroken` if it is gone or altered."""
        known = self._opened.get(number)
        if known is None:
            known = self._open(number)
            self._opened.put(number, known, len(known[1]) + _ENTRY_BYTES)
        return known

    def history(self, number: int) -> list[int]:
        """Return the part numbers of a history, first message first."""
        rows = self._connection.execute(_HISTORY, (number,)).fetchall()
        return [part for (part,) in reversed(rows)]

    def _put(self, data: bytes) -> tuple[int, bytes]:
        digest = self._hashed(data)
        number: int | None = self._cursor.execute(_FIND, (digest,)).get
        if number is None:
            number = self._insert(digest, data)
        return number, digest

    def _insert(self, digest: bytes, data: bytes) -> int:
        leaning = self._templates.lean(data)
        base, kept = (None, data) if leaning is None else (leaning.base, leaning.packed)
        sealed = self._sealer.seal(kept, _about(digest))
        self._cursor.execute(_INSERT, (digest, base, sealed))
        number = self._connection.last_insert_rowid()
        if leaning is None:
            self._templates.add(number, data)
        return number

    def _put_step(self, step: tuple[int, int]) -> int:
        history: int | None = self._cursor.execute(_FIND_STEP, step).get
        if history is None:
            self._cursor.execute("INSERT INTO history (before, part) VALUES (?, ?)", step)
            history = self._connection.last_insert_rowid()
        self._steps.put(step, history)
        return history

    def _open(self, number: int) -> tuple[bytes, bytes]:
        row = self._connection.execute(_GET, (number,)).fetchone()
        if row is None:
            raise SealBroken(f"the record part/{number} is gone; the other records are kept.")
        digest, base, sealed = row
        kept = self._sealer.open(sealed, _about(digest))
        return digest, kept if base is None else self._standing(kept, base, digest)

    def _standing(self, packed: bytes, base: int, digest: bytes) -> bytes:
        """Return a part that leans on a base; the hash tells whether it is the right one."""
        try:
            data = stand(packed, self.get(base)[1])
        except (zstandard.ZstdError, RecursionError):  # another base, or a circle of them
            data = b""
        if self._hashed(data) != digest:
            raise SealBroken(
                f"the record {_about(digest)} does not fit the one that it leans on; "
                "the other records are kept."
            )
        return data


_FIND = "SELECT number FROM part WHERE hash = ?"
_INSERT = "INSERT INTO part (hash, base, sealed) VALUES (?, ?, ?)"
_FIND_STEP = "SELECT number FROM history WHERE before = ? AND part = ?"
# As blobs, whatever type a damaged file gives them.
_GET = """
SELECT ifnull(CAST(hash AS BLOB), x''), base, ifnull(CAST(sealed AS BLOB), x'')
FROM part WHERE number = ?
"""
# A list is always newer than the list before it; the condition ends a loop in a damaged file.
_HISTORY = """
WITH RECURSIVE chain (number, before, part) AS (
    SELECT number, before, part FROM history WHERE number = ?
    UNION ALL
    SELECT h.number, h.before, h.part FROM chain c JOIN history h ON h.number = c.before
    WHERE h.number < c.number
)
SELECT part FROM chain
"""


def _about(digest: bytes) -> str:
    return f"part/1/{digest.hex()}"
