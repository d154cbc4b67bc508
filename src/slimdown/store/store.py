"""A workspace's calls and results: stored once, sealed, read back as they were.

Only this room touches the database. It never looks inside a prompt or an answer, and it does not
know what a stage's results mean.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import apsw
import msgspec

from slimdown.errors import SealBroken, StoreError
from slimdown.store.calls import Calls, Row
from slimdown.store.database import Database, Role
from slimdown.store.evidence import EvidenceTable
from slimdown.store.faults import translated
from slimdown.store.packing import CallRow, Packed, pack
from slimdown.store.results import Results
from slimdown.store.routes import Routes
from slimdown.types import Call, Evidence, RouteTable

_BATCH_CALLS = 256
_BATCH_BYTES = 4 << 20
_HOLD_S = 0.02  # no longer than this is the file kept from other writers, but for one large call
_BREATH_S = 0.001


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
        self._calls = Calls(database.connection, database.sealer)
        self._results = Results(database.connection, database.sealer)
        self._evidence = EvidenceTable(database.connection, database.sealer)
        self._routes = Routes(database.connection, database.sealer)

    @classmethod
    def open(
        cls,
        folder: Path,
        environ: Mapping[str, str],
        *,
        write: bool = True,
        role: Role = "batch",
    ) -> Store:
        """Open the workspace in ``folder``, made on first use by a batch writer or a gateway.

        One process may write as ``batch`` and one as ``gateway``, at the same time; ``short``
        writers, for one small change, may be any number, and make no workspace. What a gateway
        commits outlives its process; what the others commit outlives a power cut too.
        Raises `StoreLocked` while another process has the role, `StoreUnwritable`, `KeyProblem`
        if the key is missing or not the one the workspace was made with, and `StoreError` if
        there is no workspace to read, or the file is damaged or from a newer slimdown.
        """
        return cls(Database(folder, environ, role=role if write else None))

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

    def is_replaced(self) -> bool:
        """Tell whether another file lies where this one was, to be opened in its stead."""
        return self._database.is_replaced()

    def close(self) -> None:
        """Close the file and let the next writer in."""
        self._database.close()

    def add(self, calls: Iterable[Call]) -> Added:
        """Store the calls whose ids are not there yet, durably, a few hundred at a time.

        Memory does not grow with the number of calls. If ``calls`` or the process fails on the
        way, what came before is kept, each call whole, and adding them again goes on from there.
        """
        n_calls = n_new = n_bytes = 0
        batch: list[Packed] = []
        try:
            for call in calls:
                packed = pack(call)
                batch.append(packed)
                n_bytes += packed.parts.n_bytes
                if len(batch) >= _BATCH_CALLS or n_bytes >= _BATCH_BYTES:
                    full, batch, n_bytes = batch, [], 0
                    n_calls, n_new = n_calls + len(full), n_new + self._write(full)
        finally:
            n_calls, n_new = n_calls + len(batch), n_new + self._write(batch)
        return Added(n_new, n_calls - n_new)

    def add_live(self, calls: Sequence[Call]) -> int:
        """Store the calls whose ids are not there yet in one transaction; return their number.

        Raises `StoreLocked` while another process writes, for longer than the role waits.
        """
        packed = [pack(call) for call in calls]
        with self._remembering():
            return sum(map(self._calls.insert, packed))

    def add_evidence(self, evidence: Sequence[Evidence]) -> None:
        """Store pairs of answers, all or none; that of a call and specialist is stored once."""
        with self._database.transaction():
            for each in evidence:
                self._evidence.put(each)

    def evidence(self, task_id: str | None = None) -> Iterator[Evidence]:
        """Yield the evidence of a task, or all, in the order stored; may raise `SealBroken`."""
        last = 0
        while True:
            with translated(self._database.path):
                page = self._evidence.page(last, task_id)
            if not page:
                return
            yield from (each for _, each in page)
            last = page[-1][0]

    def put_routes(
        self, table: RouteTable, results: Mapping[tuple[str, str], Any] | None = None
    ) -> None:
        """Put a route table in force, with what it needs: results by stage and key; all or none.

        Raises `RouteConflict` if its version does not follow the newest.
        """
        with self._database.transaction():
            self._routes.put(table)
            for (stage, key), value in (results or {}).items():
                self._results.put(stage, key, value)

    def routes(self) -> RouteTable:
        """Return the route table in force; version 0, without routes, if there was none yet."""
        with translated(self._database.path):
            return next(iter(self._routes.newest(1)), RouteTable())

    def route_history(self) -> list[RouteTable]:
        """Return every route table there has been, newest first."""
        with translated(self._database.path):
            return self._routes.newest(-1)

    def data_version(self) -> int:
        """Return a number that changes when another connection has written; costs microseconds."""
        with translated(self._database.path):
            return int(self._database.connection.pragma("data_version"))

    def last(self) -> int:
        """Return the number of the newest record, 0 if there is none."""
        with translated(self._database.path):
            return self._calls.last()

    def newer(self, after: int, limit: int = 100) -> list[tuple[int, CallRow]]:
        """Return the facts of up to ``limit`` records numbered above ``after``, by number."""
        with translated(self._database.path):
            rows = self._calls.newer(after, limit)
            return [(row[0], self._calls.facts(row)) for row in rows]

    def count(self) -> int:
        """Return how many calls there are."""
        with translated(self._database.path):
            return self._calls.count()

    def content_version(self) -> str:
        """Return a short text that changes whenever calls are added."""
        with translated(self._database.path):
            return f"{self._calls.count()}-{self._calls.last()}"

    def calls(
        self, *, ids: Iterable[str] | None = None, on_broken: OnBroken | None = None
    ) -> Iterator[Call]:
        """Yield calls by ``started_at`` (those without one first), then in the order added.

        Each call is built anew, so the caller may change it. A call that cannot be read raises
        `SealBroken`, or is left out and told to ``on_broken``. Raises `UsageError` for an id
        that no call has. Memory does not grow with the number of calls, but for ``ids``.
        """
        for page in self._pages() if ids is None else [self._rows_of(ids)]:
            for row in page:
                try:
                    with translated(self._database.path):
                        call = self._calls.call(row)
                except (SealBroken, StoreError) as error:
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
            return self._calls.call(self._calls.starting(id_or_prefix))

    def list_calls(self, limit: int = 50, offset: int = 0) -> list[CallRow]:
        """Return the plain facts of up to ``limit`` calls, in the order of `calls`."""
        with translated(self._database.path):
            return [self._calls.facts(row) for row in self._calls.slice(limit, offset)]

    def put_result(self, stage: str, key: str, value: Any) -> None:
        """Keep a stage's result, a JSON value (Structs allowed inside), in place of the last."""
        with self._database.transaction():
            self._results.put(stage, key, value)

    def put_results(self, stage: str, results: Mapping[str, Any]) -> None:
        """Keep several results of a stage, all of them or none."""
        with self._database.transaction():
            for key, value in results.items():
                self._results.put(stage, key, value)

    def result(self, stage: str, key: str) -> Any:
        """Return what `put_result` kept under this key, or None."""
        with translated(self._database.path):
            return self._results.get(stage, key)

    def results(self, stage: str) -> dict[str, Any]:
        """Return all results of a stage by key, in the order first kept."""
        with translated(self._database.path):
            return self._results.all(stage)

    def delete_result(self, stage: str, key: str) -> None:
        """Remove a result; nothing happens if there is none."""
        with self._database.transaction():
            self._results.delete(stage, key)

    def compact(self) -> None:
        """Give space that is no longer used back to the file system."""
        with translated(self._database.path):
            self._database.connection.execute("VACUUM")
            self._database.connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)

    def _write(self, batch: Sequence[Packed]) -> int:
        """Store a batch, with gaps for other writers; return how many were new."""
        n_new = n_done = 0
        while n_done < len(batch):
            if n_done:
                time.sleep(_BREATH_S)
            until = time.monotonic() + _HOLD_S
            with self._remembering():
                while n_done < len(batch) and time.monotonic() < until:
                    n_new += self._calls.insert(batch[n_done])
                    n_done += 1
        return n_new

    @contextmanager
    def _remembering(self) -> Iterator[None]:
        """Write in one transaction; forget what was stored on the way if it fails."""
        begun = False
        try:
            with self._database.transaction():
                begun = True
                yield
        except BaseException:  # what was not committed must not be remembered, whatever happened
            if begun:
                self._calls.forget()
            raise

    def _pages(self) -> Iterator[list[Row]]:
        """Yield all rows, a page at a time, so that no read transaction stays open between."""
        last = (b"", -1)
        while True:
            with translated(self._database.path):
                page = self._calls.page(last)
            if not page:
                return
            yield page
            last = (page[-1][2], page[-1][0])

    def _rows_of(self, ids: Iterable[str]) -> list[Row]:
        with translated(self._database.path):
            rows = [self._calls.named(call_id) for call_id in dict.fromkeys(ids)]
        return sorted(rows, key=lambda row: (row[2], row[0]))
