"""A workspace: the verbs as methods. Reads the store, calls a stage, writes the store."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from slimdown.errors import UsageError
from slimdown.report.model import Report
from slimdown.seal import KEY_BYTES, encode_key, load_sealer
from slimdown.seams import Progress
from slimdown.settings import Settings
from slimdown.store import CallRow, Role, Store
from slimdown.types import Call, RouteTable, Stage
from slimdown.workspace.bench import Bench
from slimdown.workspace.importing import (
    ImportReport,
    RejectedLine,
    Rejects,
    import_logs,
    read_rejects,
)
from slimdown.workspace.pipeline import LATEST, REPORT, run_pipeline
from slimdown.workspace.routing import RouteLine, Wish, lines_of, promote, roll_back

__all__ = ["ImportReport", "RejectedLine", "RouteLine", "Workspace", "temporary_workspace"]


class Workspace:
    """One workspace folder, open; a context manager."""

    def __init__(
        self,
        folder: Path,
        settings: Settings,
        environ: Mapping[str, str],
        *,
        write: bool,
        role: Role = "batch",
    ) -> None:
        """Open ``folder``; `open` takes it from the settings."""
        self.folder = folder
        self.settings = settings
        self._store = Store.open(folder, environ, write=write, role=role)
        self._sealer = load_sealer(environ, create=False)

    @classmethod
    def open(
        cls,
        settings: Settings,
        environ: Mapping[str, str] | None = None,
        *,
        write: bool = True,
        role: Role = "batch",
    ) -> Workspace:
        """Open the workspace that the settings name; a writer makes it on first use.

        ``role`` "short" is for moves of routes: it waits for no run and makes no workspace.

        Raises what `Store.open` does: `StoreLocked`, `StoreUnwritable`, `KeyProblem`, `StoreError`.
        """
        environ = os.environ if environ is None else environ
        return cls(Path(settings.workspace), settings, environ, write=write, role=role)

    def __enter__(self) -> Self:
        """Return the workspace itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the workspace."""
        self._store.close()

    def import_logs(
        self, paths: Sequence[Path], *, log_format: str = "auto", progress: Progress
    ) -> ImportReport:
        """Add the calls of logs; the same log twice adds nothing."""
        rejects = Rejects(self._rejects_folder, self._sealer)
        return import_logs(self._store, rejects, paths, log_format=log_format, progress=progress)

    def rejects(self) -> Iterator[tuple[RejectedLine, bytes]]:
        """Yield the lines that imports could not read, with what was kept of each."""
        return read_rejects(self._rejects_folder, self._sealer)

    @property
    def n_calls(self) -> int:
        """How many calls there are."""
        return self._store.count()

    def rows(self, *, limit: int, offset: int = 0) -> list[CallRow]:
        """Return plain facts of calls, oldest first."""
        return self._store.list_calls(limit, offset)

    def call(self, id_or_prefix: str) -> Call:
        """Return one call; raises `UsageError` if no call, or more than one, has this id."""
        return self._store.call(id_or_prefix)

    def run(self, progress: Progress) -> Report:
        """Find tasks, train, certify or refuse; what has not changed is not done again."""
        if not self.n_calls:
            raise UsageError(
                f"the workspace {self.folder} holds no calls yet; nothing was done. "
                "Add a log you have: `slimdown import PATH`."
            )
        return run_pipeline(self._bench, progress)

    def report(self) -> Report:
        """Return the report of the last run; raises `UsageError` before the first."""
        kept = self._store.result(REPORT, LATEST)
        if kept is None:
            raise UsageError(
                f"nothing was run yet in {self.folder}, so there is nothing to report. "
                "Run `slimdown run` first."
            )
        return msgspec.convert(kept, Report)

    def promote(
        self,
        task: str,
        stage: Stage,
        *,
        share: float = 1.0,
        specialist: str | None = None,
        reason: str = "",
        author: str = "unknown",
    ) -> RouteTable:
        """Move a task's specialist to a stage; return the route table then in force.

        ``task`` is a name, an id, or the start of one; ``specialist`` an id or its start, the best
        of the last run unless given. Raises `GateNotMet` where evidence is missing, `UsageError`
        for a task, specialist or share that cannot be, `RouteConflict` where another change came
        between.
        """
        wish = Wish(
            task=task,
            stage=stage,
            share=share,
            specialist=specialist,
            reason=reason,
            author=author,
        )
        return promote(self._bench, wish)

    def rollback(self, task: str, *, reason: str = "", author: str = "unknown") -> RouteTable:
        """Give a task the route it had before, or retire it; return the table then in force."""
        return roll_back(self._bench, task, reason=reason, author=author)

    def routes(self) -> RouteTable:
        """Return the route table in force; version 0, without routes, if there was none yet."""
        return self._store.routes()

    def route_lines(self) -> tuple[RouteLine, ...]:
        """Return the routes in force, each with the change that it came by."""
        return lines_of(self._store.route_history())

    def route_history(self) -> list[RouteTable]:
        """Return every route table there has been, newest first."""
        return self._store.route_history()

    @property
    def _bench(self) -> Bench:
        return Bench(
            store=self._store,
            folder=self.folder / "specialists",
            sealer=self._sealer,
            settings=self.settings,
        )

    @property
    def _rejects_folder(self) -> Path:
        return self.folder / "rejects"


@contextmanager
def temporary_workspace(settings: Settings) -> Iterator[Workspace]:
    """Yield a workspace that is gone afterwards, sealed with a key that is nowhere kept."""
    environ = {"SLIMDOWN_KEY": encode_key(os.urandom(KEY_BYTES))}
    with tempfile.TemporaryDirectory(prefix="slimdown-") as folder:
        path = Path(folder) / "workspace"
        with Workspace(path, settings, environ, write=True) as workspace:
            yield workspace
