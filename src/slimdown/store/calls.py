"""The table of calls: plain facts in columns, the rest sealed or among the shared parts.

Writing happens inside the caller's transaction. Knows nothing of batches, locks or results.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apsw
import msgspec

from slimdown.errors import SealBroken, UsageError
from slimdown.seal import Sealer
from slimdown.store import packing
from slimdown.store.packing import CallRow, Envelope, Packed
from slimdown.store.parts import HASH_BYTES, KeyedHash, Parts
from slimdown.types import Call

PREFIX_CHARACTERS = 8
"""How much of an id is needed to find its call."""

_PREFIX_BYTES = 4
_PAGE = 256

Row = tuple[Any, ...]
"""A row of the call table, in the order of its columns; the first is the record's number."""


class Calls:
    """The call table of one database."""

    def __init__(self, connection: apsw.Connection, sealer: Sealer) -> None:
        """Use the tables of ``connection``."""
        self._connection = connection
        self._cursor = connection.cursor()  # one for all: a new one costs as much as a query
        self._sealer = sealer
        self._hashed = KeyedHash(sealer.key)
        self._parts = Parts(connection, sealer, self._hashed)

    def forget(self) -> None:
        """Drop what is remembered of parts; to be called when a transaction is rolled back."""
        self._parts.forget()

    def insert(self, packed: Packed) -> bool:
        """Store a call unless one with its id is there; tell whether it was new."""
        name = self._name(packed.facts.id)
        if self._cursor.execute("SELECT 1 FROM call WHERE hash = ?", (name,)).get:
            return False
        parts = packed.parts
        shared = (parts.rest, parts.frame, parts.tools, parts.answer)
        stored = [(None, b"") if part is None else self._parts.put(part) for part in shared]
        messages = [self._parts.put(message) for message in parts.messages or ()]
        history = None
        if parts.messages is not None:
            history = self._parts.put_history([number for number, _ in messages])
        # The digest vouches for the parts: none can be exchanged for another unnoticed.
        digest = self._hashed(b"".join(digest for _, digest in (*stored, *messages)))
        sealed = self._sealer.seal(digest + packed.envelope, _about(name))
        facts = packed.facts
        values = (
            name,
            facts.started_at or "",
            facts.model,
            facts.latency_ms,
            facts.n_messages,
            facts.prompt_tokens,
            facts.completion_tokens,
            facts.status,
            history,
            *(number for number, _ in stored),
            facts.served_by,
            sealed,
        )
        self._cursor.execute(_INSERT, values)
        return True

    def count(self) -> int:
        """Return how many calls there are."""
        return int(self._connection.execute("SELECT count(*) FROM call").get)

    def last(self) -> int:
        """Return the number of the newest record, 0 if there is none."""
        return int(self._connection.execute("SELECT max(number) FROM call").get or 0)

    def page(self, after: tuple[bytes, int]) -> list[Row]:
        """Return the next rows in order of time and number, after a row with these."""
        return self._connection.execute(_PAGE_QUERY, after).fetchall()

    def slice(self, limit: int, offset: int) -> list[Row]:
        """Return ``limit`` rows in order of time and number, ``offset`` of them left out."""
        query = f"{_SELECT} {_ORDER} LIMIT ? OFFSET ?"
        return self._connection.execute(query, (limit, offset)).fetchall()

    def newer(self, after: int, limit: int) -> list[Row]:
        """Return up to ``limit`` rows with a number above ``after``, by number."""
        query = f"{_SELECT} WHERE number > ? ORDER BY number LIMIT ?"
        return self._connection.execute(query, (after, limit)).fetchall()

    def named(self, call_id: str) -> Row:
        """Return the row of the call with this id; raises `UsageError` if there is none."""
        row = self._exact(call_id)
        if row is None:
            raise UsageError(_unknown(call_id))
        return row

    def starting(self, start: str) -> Row:
        """Return the row of the call with this id, or with the only id that starts so.

        Raises `UsageError` if there is none, or more than one, or fewer than 8 characters.
        """
        exact = self._exact(start)
        if exact is not None:
            return exact
        if len(start) < PREFIX_CHARACTERS:
            raise UsageError(
                f"no call has the id {start!r}, and {PREFIX_CHARACTERS} characters are needed "
                "to find one by how it starts. `slimdown calls` lists them."
            )
        found: Row | None = None
        for row in self._near(start):
            if not self._opened(row)[1].id.startswith(start):
                continue
            if found is not None:
                raise UsageError(f"several calls have ids that start with {start!r}; give more.")
            found = row
        if found is None:
            raise UsageError(_unknown(start))
        return found

    def facts(self, row: Row) -> CallRow:
        """Return the plain facts of a row, with the status ``broken`` if its id cannot be read."""
        try:
            return _facts(row, self._opened(row)[1].id)
        except SealBroken:
            lost = _facts(row, f"record {row[0]}")
            return msgspec.structs.replace(lost, status="broken")

    def call(self, row: Row) -> Call:
        """Return the call of a row; raises `SealBroken` if any part of it is gone or altered."""
        digest, envelope = self._opened(row)
        get = self._parts.get
        shared = [(b"", None) if number is None else get(number) for number in row[10:14]]
        history = row[9]
        steps = [] if history is None else self._parts.history(history)
        messages = [get(number) for number in steps]
        if self._hashed(b"".join(each for each, _ in (*shared, *messages))) != digest:
            raise SealBroken(
                f"the parts of call {envelope.id} are not those it was stored with; "
                "the other calls are kept."
            )
        rest, frame, tools, answer = (data for _, data in shared)
        parts = packing.Parts(
            messages=None if history is None else [data for _, data in messages],
            tools=tools,
            rest=rest or b"",
            frame=frame or b"",
            answer=answer,
        )
        return packing.unpack(envelope, _facts(row, envelope.id), parts)

    def _opened(self, row: Row) -> tuple[bytes, Envelope]:
        """Return the digest of a call's parts, and its envelope."""
        data = self._sealer.open(row[-1], _about(row[1]))
        return data[:HASH_BYTES], packing.decode_envelope(data[HASH_BYTES:])

    def _exact(self, call_id: str) -> Row | None:
        query = f"{_SELECT} WHERE hash = ?"
        row: Row | None = self._connection.execute(query, (self._name(call_id),)).fetchone()
        return row

    def _near(self, start: str) -> Iterator[Row]:
        """Yield the rows whose ids share the first 8 characters of ``start``."""
        first = self._start(start)
        bounds = (first, first + b"\xff" * HASH_BYTES)
        return iter(self._connection.execute(f"{_SELECT} WHERE hash BETWEEN ? AND ?", bounds))

    def _name(self, call_id: str) -> bytes:
        """Return the keyed hash under which a call is found, by the start of its id too."""
        start = self._start(call_id)
        return start + self._hashed(_id_bytes(call_id))[: HASH_BYTES - _PREFIX_BYTES]

    def _start(self, call_id: str) -> bytes:
        start = b"start of id/" + _id_bytes(call_id[:PREFIX_CHARACTERS])
        return self._hashed(start)[:_PREFIX_BYTES]


_COLUMNS = (
    "number, hash, started_at, model, latency_ms, n_messages, prompt_tokens, "
    "completion_tokens, status, history, rest, frame, tools, answer, served_by, sealed"
)
# A damaged file may hold other types, or bytes that are no text: as blobs all can be read.
_READ = (
    "number, ifnull(CAST(hash AS BLOB), x''), CAST(started_at AS BLOB), CAST(model AS BLOB), "
    "latency_ms, n_messages, prompt_tokens, completion_tokens, CAST(status AS BLOB), history, "
    "rest, frame, tools, answer, CAST(served_by AS BLOB), ifnull(CAST(sealed AS BLOB), x'')"
)
_SELECT = f"SELECT {_READ} FROM call"
_ORDER = "ORDER BY started_at, number"
_PAGE_QUERY = f"{_SELECT} WHERE (started_at, number) > (CAST(? AS TEXT), ?) {_ORDER} LIMIT {_PAGE}"
_INSERT = f"INSERT INTO call ({_COLUMNS}) VALUES (NULL{', ?' * 15})"


def _facts(row: Row, call_id: str) -> CallRow:
    return CallRow(
        id=call_id,
        started_at=_text(row[2]) or None,
        model=_text(row[3]),
        latency_ms=row[4],
        n_messages=row[5],
        prompt_tokens=row[6],
        completion_tokens=row[7],
        status=_text(row[8]) or "",
        served_by=_text(row[14]),
    )


def _text(stored: bytes | None) -> str | None:
    return None if stored is None else stored.decode("utf-8", "replace")


def _id_bytes(call_id: str) -> bytes:
    return call_id.encode("utf-8", "surrogatepass")


def _about(name: bytes) -> str:
    return f"call/1/{name.hex()}"


def _unknown(call_id: str) -> str:
    return f"no call has the id {call_id!r}. `slimdown calls` lists them."
