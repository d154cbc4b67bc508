"""Every route table there has been, sealed, by version; the newest is in force.

Knows nothing of what routes mean; writing happens inside the caller's transaction.
"""

from __future__ import annotations

from typing import Any

import apsw
import msgspec

from slimdown.errors import RouteConflict
from slimdown.seal import Sealer
from slimdown.types import RouteTable


class Routes:
    """The table of route tables of one database."""

    def __init__(self, connection: apsw.Connection, sealer: Sealer) -> None:
        """Use the table of ``connection``."""
        self._connection = connection
        self._sealer = sealer

    def put(self, table: RouteTable) -> None:
        """Store the version that follows the newest; raises `RouteConflict` for any other."""
        newest = int(self._connection.execute("SELECT max(version) FROM route_table").get or 0)
        if table.version != newest + 1:
            raise RouteConflict(
                f"the route table is at version {newest}, so version {table.version} cannot follow "
                "it: another process changed it. Nothing was changed. See `slimdown routes`, then "
                "run this again."
            )
        sealed = self._sealer.seal(msgspec.json.encode(table), _about(table.version))
        query = "INSERT INTO route_table (version, sealed) VALUES (?, ?)"
        self._connection.execute(query, (table.version, sealed))

    def newest(self, limit: int) -> list[RouteTable]:
        """Return up to ``limit`` route tables, newest first; all of them if it is negative."""
        rows: list[Any] = self._connection.execute(_NEWEST, (limit,)).fetchall()
        return [self._opened(version, sealed) for version, sealed in rows]

    def _opened(self, version: int, sealed: bytes) -> RouteTable:
        return msgspec.json.decode(self._sealer.open(sealed, _about(version)), type=RouteTable)


# As blobs, whatever type a damaged file gives them.
_NEWEST = (
    "SELECT version, ifnull(CAST(sealed AS BLOB), x'') FROM route_table "
    "ORDER BY version DESC LIMIT ?"
)


def _about(version: int) -> str:
    return f"routes/1/{version}"
