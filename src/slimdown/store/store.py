"""A workspace's calls and results: stored once, sealed, read back as they were.

Only this room touches the database. It never looks inside a prompt or an answer, and it does not
know what a stage's results mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from slimdown.errors import SealBroken, UsageError
from slimdown.store import packing
from slimdown.store.database import Database
from slimdown.store.faults import translated
from slimdown.store.packing import CallRow, Envelope, Packed
from slimdown.store.parts import KeyedHash, Parts
from slimdown.types import Call

_BATCH_CALLS = 1_000
_BATCH_BYTES = 16 << 20
_PAGE = 256
PREFIX_CHARACTERS = 8
"""How much of an id is needed to find its call."""


class Added(msgspec.Struct, frozen=True):
    """How many of the calls given were new, and how many were there already."""

    n_new: int
    n_known: int


class Broken(msgspec.Struct, frozen=True):
    """A call that cannot be read: the number of its record, and why."""

    record: int
    reason: str


OnBroken = Callable[[Broken], None]
"""Told each call that is left out because it cannot be read."""


class Store:
    """One workspace's database, open; a context manager that closes it."""

    def __init__(self, database: Database) -> None:
        """Use an open database; `open` is the usual way here."""
        self._database = database
        self._connection = database.connection
        self._sealer = database.sealer
        self._hashed = KeyedHash(database.sealer.key)
        self._parts = Parts(database.connection, database.sealer, self._hashed)

    @classmethod
    def open(cls, folder: Path, environ: Mapping[str, str], *, write: bool = True) -> Store:
        """Open the workspace in ``folder``, made on first use by a writer.

        Raises `StoreLocked` while another process writes, `StoreUnwritable`, `KeyProblem` if the
        key is missing or not the one the workspace was made with, and `StoreError` if there is
        no workspace to read, or the file is damaged or from a newer slimdown.
        """
        return cls(Database(folder, environ, write=write))

    def __enter__(self) -> Self:
        """Return the store itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the store."""
        self.close()

    def close(self) -> None:
        """Close the file and let the next writer in."""
        self._database.close()

    def add(self, calls: Iterable[Call]) -> Added:
        """Store the calls whose ids are not there yet, durably, about a thousand at a time.

        Memory does not grow with the number of calls. If ``calls`` or the process fails on the
        way, what came before is kept, each call whole, and adding them again goes on from there.
        """
        n_new = n_known = 0
        batch: list[Packed] = []
        n_bytes = 0
        try:
            for call in calls:
                packed = packing.pack(call)
                batch.append(packed)
                n_bytes += packed.parts.n_bytes
                if len(batch) >= _BATCH_CALLS or n_bytes >= _BATCH_BYTES:
                    full, batch, n_bytes = batch, [], 0
                    added = self._write(full)
                    n_new, n_known = n_new + added.n_new, n_known + added.n_known
        finally:
            added = self._write(batch)
        return Added(n_new + added.n_new, n_known + added.n_known)

    def count(self) -> int:
        """Return how many calls there are."""
        with translated(self._database.path):
            return int(self._connection.execute("SELECT count(*) FROM call").get)

    def content_version(self) -> str:
        """Return a short text that changes whenever calls are added."""
        with translated(self._database.path):
            last = self._connection.execute("SELECT max(number) FROM call").get
        return f"{self.count()}-{last or 0}"

    def calls(
        self, *, ids: Iterable[str] | None = None, on_broken: OnBroken | None = None
    ) -> Iterator[Call]:
        """Yield calls by ``started_at`` (those without one first), then in the order added.

        Each call is built anew, so the caller may change it. A call that cannot be read raises
        `SealBroken`, or is left out and told to ``on_broken``. Raises `UsageError` for an id
        that no call has.
        """
        pages = self._pages() if ids is None else [self._rows_of(ids)]
        for page in pages:
            for row in page:
                try:
                    with translated(self._database.path):
                        call = self._call(row)
                except SealBroken as error:
                    if on_broken is None:
                        raise
                    on_broken(Broken(row[0], str(error)))
                else:
                    yield call

    def call(self, id_or_prefix: str) -> Call:
        """Return the call with this id, or whose id alone starts so (8 characters or more).

        Raises `UsageError` if there is none, or more than one.
        """
        with translated(self._database.path):
            row = self._row("hash = ?", self._hashed(_id_bytes(id_or_prefix)))
            return self._call(row) if row else self._by_prefix(id_or_prefix)

    def list_calls(self, limit: int = 50, offset: int = 0) -> list[CallRow]:
        """Return the plain facts of up to ``limit`` calls, in the order of `calls`."""
        query = f"{_SELECT} ORDER BY started_at, number LIMIT ? OFFSET ?"
        with translated(self._database.path):
            rows = self._connection.execute(query, (limit, offset)).fetchall()
            return [_facts(row, self._envelope(row)) for row in rows]

    def put_result(self, stage: str, key: str, value: Any) -> None:
        """Keep a stage's result, a JSON value (Structs allowed inside), in place of the last."""
        digest = self._hashed(_id_bytes(key))
        data = msgspec.json.encode([key, value])
        sealed = self._sealer.seal(data, _result_about(stage, digest))
        with self._database.transaction():
            self._connection.execute(_PUT_RESULT, (stage, digest, sealed))

    def result(self, stage: str, key: str) -> Any:
        """Return what `put_result` kept under this key, or None."""
        digest = self._hashed(_id_bytes(key))
        with translated(self._database.path):
            query = "SELECT sealed FROM result WHERE stage = ? AND hash = ?"
            sealed: Any = self._connection.execute(query, (stage, digest)).get
        return None if sealed is None else self._open_result(stage, digest, sealed)[1]

    def results(self, stage: str) -> dict[str, Any]:
        """Return all results of a stage by key, in the order first kept."""
        query = "SELECT hash, sealed FROM result WHERE stage = ? ORDER BY number"
        with translated(self._database.path):
            rows: list[Any] = self._connection.execute(query, (stage,)).fetchall()
        return dict(self._open_result(stage, digest, sealed) for digest, sealed in rows)

    def delete_result(self, stage: str, key: str) -> None:
        """Remove a result; nothing happens if there is none."""
        with self._database.transaction():
            query = "DELETE FROM result WHERE stage = ? AND hash = ?"
            self._connection.execute(query, (stage, self._hashed(_id_bytes(key))))

    def _write(self, batch: Sequence[Packed]) -> Added:
        if not batch:
            return Added(0, 0)
        try:
            with self._database.transaction():
                n_new = sum(map(self._insert, batch))
        except BaseException:  # what was not committed must not be remembered, whatever happened
            self._parts.forget()
            raise
        return Added(n_new, len(batch) - n_new)

    def _insert(self, packed: Packed) -> bool:
        call, parts = packed.call, packed.parts
        name = self._hashed(_id_bytes(call.id))
        if self._connection.execute("SELECT 1 FROM call WHERE hash = ?", (name,)).get:
            return False
        put = self._parts.put
        rest, digest = put(parts.rest)
        digests = [digest]
        tools, answer, history = None, None, None
        if parts.tools is not None:
            tools, digest = put(parts.tools)
            digests.append(digest)
        if parts.answer is not None:
            answer, digest = put(parts.answer)
            digests.append(digest)
        if parts.messages is not None:
            stored = [put(message) for message in parts.messages]
            history = self._parts.put_history([number for number, _ in stored])
            digests.extend(digest for _, digest in stored)
        envelope = packing.encode_envelope(packed, self._hashed(b"".join(digests)))
        sealed = self._sealer.seal(envelope, _call_about(name))
        facts = packing.facts(call)
        row = (
            name,
            self._prefix(call.id),
            facts.started_at or "",
            facts.model,
            facts.latency_ms,
            facts.n_messages,
            facts.prompt_tokens,
            facts.completion_tokens,
            facts.status,
            history,
            tools,
            rest,
            answer,
            sealed,
        )
        self._connection.execute(_INSERT, row)
        return True

    def _pages(self) -> Iterator[list[_Row]]:
        """Yield all rows in order, a page at a time, so that no snapshot stays open between."""
        query = f"{_SELECT} WHERE (started_at, number) > (?, ?) {_ORDER} LIMIT {_PAGE}"
        last: tuple[str, int] = ("", -1)
        while True:
            with translated(self._database.path):
                rows: list[_Row] = self._connection.execute(query, last).fetchall()
            if not rows:
                return
            yield rows
            last = (rows[-1][3], rows[-1][0])

    def _rows_of(self, ids: Iterable[str]) -> list[_Row]:
        rows = []
        with translated(self._database.path):
            for call_id in dict.fromkeys(ids):
                row = self._row("hash = ?", self._hashed(_id_bytes(call_id)))
                if row is None:
                    raise UsageError(_unknown(call_id))
                rows.append(row)
        return sorted(rows, key=lambda row: (row[3], row[0]))

    def _row(self, condition: str, value: bytes) -> _Row | None:
        row: _Row | None = self._connection.execute(
            f"{_SELECT} WHERE {condition}", (value,)
        ).fetchone()
        return row

    def _by_prefix(self, prefix: str) -> Call:
        if len(prefix) < PREFIX_CHARACTERS:
            raise UsageError(
                f"no call has the id {prefix!r}, and {PREFIX_CHARACTERS} characters are needed "
                "to find one by how it starts. `slimdown calls` lists them."
            )
        rows = self._connection.execute(f"{_SELECT} WHERE prefix = ?", (self._prefix(prefix),))
        found: _Row | None = None
        for row in rows:
            if not self._envelope(row).id.startswith(prefix):
                continue
            if found is not None:
                raise UsageError(f"several calls have ids that start with {prefix!r}; give more.")
            found = row
        if found is None:
            raise UsageError(_unknown(prefix))
        return self._call(found)

    def _prefix(self, call_id: str) -> int:
        digest = self._hashed(b"prefix/" + _id_bytes(call_id[:PREFIX_CHARACTERS]))
        return int.from_bytes(digest[:4], "big")

    def _envelope(self, row: _Row) -> Envelope:
        return packing.decode_envelope(self._sealer.open(row[-1], _call_about(row[1])))

    def _call(self, row: _Row) -> Call:
        envelope = self._envelope(row)
        history, tools, rest, answer = row[10:14]
        get = self._parts.get
        shared = [get(number) for number in (rest, tools, answer) if number is not None]
        messages = None
        if history is not None:
            messages = [get(number) for number in self._parts.history(history)]
            shared.extend(messages)
        if self._hashed(b"".join(digest for digest, _ in shared)) != envelope.digest:
            raise SealBroken(
                f"the parts of call {envelope.id} are not those it was stored with; "
                "the other calls are kept."
            )
        parts = packing.Parts(
            messages=None if messages is None else [data for _, data in messages],
            tools=None if tools is None else get(tools)[1],
            rest=get(rest)[1],
            answer=None if answer is None else get(answer)[1],
        )
        return packing.unpack(envelope, _facts(row, envelope), parts)

    def _open_result(self, stage: str, digest: bytes, sealed: bytes) -> tuple[str, Any]:
        key, value = msgspec.json.decode(self._sealer.open(sealed, _result_about(stage, digest)))
        return key, value


_Row = tuple[Any, ...]
_COLUMNS = (
    "number, hash, prefix, started_at, model, latency_ms, n_messages, prompt_tokens, "
    "completion_tokens, status, history, tools, rest, answer, sealed"
)
_SELECT = f"SELECT {_COLUMNS} FROM call"
_ORDER = "ORDER BY started_at, number"
_INSERT = f"INSERT INTO call ({_COLUMNS}) VALUES (NULL{', ?' * 14})"
_PUT_RESULT = (
    "INSERT INTO result (stage, hash, sealed) VALUES (?, ?, ?) "
    "ON CONFLICT (stage, hash) DO UPDATE SET sealed = excluded.sealed"
)


def _facts(row: _Row, envelope: Envelope) -> CallRow:
    return CallRow(
        id=envelope.id,
        started_at=row[3] or None,
        model=row[4],
        latency_ms=row[5],
        n_messages=row[6],
        prompt_tokens=row[7],
        completion_tokens=row[8],
        status=row[9],
    )


def _id_bytes(call_id: str) -> bytes:
    return call_id.encode("utf-8", "surrogatepass")


def _call_about(name: bytes) -> str:
    return f"call/1/{name.hex()}"


def _result_about(stage: str, digest: bytes) -> str:
    return f"result/1/{stage}/{digest.hex()}"


def _unknown(call_id: str) -> str:
    return f"no call has the id {call_id!r}. `slimdown calls` lists them."
