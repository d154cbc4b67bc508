"""What stages found out, sealed, by stage and key: tasks, assignments, evaluations, certificates.

Keys are found by keyed hash, since a key may be a name made of what calls say. Knows nothing of
what a result means; writing happens inside the caller's transaction.
"""

from __future__ import annotations

from typing import Any

import apsw
import msgspec

from slimdown.seal import Sealer
from slimdown.store.parts import KeyedHash


class Results:
    """The result table of one database."""

    def __init__(self, connection: apsw.Connection, sealer: Sealer) -> None:
        """Use the table of ``connection``."""
        self._connection = connection
        self._sealer = sealer
        self._hashed = KeyedHash(sealer.key)

    def put(self, stage: str, key: str, value: Any) -> None:
        """Keep a JSON value (Structs allowed inside) in place of the last one."""
        digest = self._hashed(key.encode())
        sealed = self._sealer.seal(msgspec.json.encode([key, value]), _about(stage, digest))
        self._connection.execute(_PUT, (stage, digest, sealed))

    def get(self, stage: str, key: str) -> Any:
        """Return what was kept, or None."""
        digest = self._hashed(key.encode())
        query = f"SELECT {_SEALED} FROM result WHERE stage = ? AND hash = ?"
        sealed: Any = self._connection.execute(query, (stage, digest)).get
        return None if sealed is None else self._open(stage, digest, sealed)[1]

    def all(self, stage: str) -> dict[str, Any]:
        """Return all results of a stage by key, in the order first kept."""
        query = f"SELECT {_HASH}, {_SEALED} FROM result WHERE stage = ? ORDER BY number"
        rows: list[Any] = self._connection.execute(query, (stage,)).fetchall()
        return dict(self._open(stage, digest, sealed) for digest, sealed in rows)

    def delete(self, stage: str, key: str) -> None:
        """Remove a result; nothing happens if there is none."""
        query = "DELETE FROM result WHERE stage = ? AND hash = ?"
        self._connection.execute(query, (stage, self._hashed(key.encode())))

    def _open(self, stage: str, digest: bytes, sealed: bytes) -> tuple[str, Any]:
        key, value = msgspec.json.decode(self._sealer.open(sealed, _about(stage, digest)))
        return key, value


# As blobs, whatever type a damaged file gives them.
_HASH, _SEALED = (f"ifnull(CAST({column} AS BLOB), x'')" for column in ("hash", "sealed"))
_PUT = (
    "INSERT INTO result (stage, hash, sealed) VALUES (?, ?, ?) "
    "ON CONFLICT (stage, hash) DO UPDATE SET sealed = excluded.sealed"
)


def _about(stage: str, digest: bytes) -> str:
    return f"result/1/{stage}/{digest.hex()}"
