"""Follows the workspace from a thread: route tables as they change, specialists as they are wanted.

A newly routed specialist is loaded before its table counts. Whatever cannot be read, the last
good state stays in force, and ``problem`` says why.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

import msgspec

from slimdown.errors import SlimdownError
from slimdown.route import Assigner
from slimdown.runtime.loading import load, refreshed
from slimdown.runtime.routing import Routing, routing_of
from slimdown.runtime.shelf import Shelf
from slimdown.seal import Sealer, load_sealer
from slimdown.settings import Settings
from slimdown.store import Store
from slimdown.types import RouteTable, TaskSet

LOOK_EVERY_S = 0.25
"""A change of routes is seen this soon."""

_LOAD_S = 5.0

_NOTHING = Routing(RouteTable(version=-1), Assigner((), None))
_TASKS, _LATEST = "tasks", "latest"


class Follower:
    """Keeps a shelf and a routing as the workspace has them."""

    def __init__(self, settings: Settings, environ: Mapping[str, str], shelf: Shelf) -> None:
        """Follow the workspace that the settings name, which need not be there yet."""
        self._folder = Path(settings.workspace)
        self._preferred = settings.encoder
        self._environ = environ
        self._shelf = shelf
        self._routing = _NOTHING
        self._problem = "the workspace was not looked at yet."
        self._store: Store | None = None
        self._sealer: Sealer | None = None
        self._seen = -1
        self._in_force = (-1, "")
        self._place: tuple[int, int] | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="follower", daemon=True)

    @property
    def routing(self) -> Routing:
        """The routing in force."""
        return self._routing

    @property
    def problem(self) -> str:
        """Why the workspace cannot be followed just now; "" where it can."""
        return self._problem or self._routing.problem

    @property
    def is_ready(self) -> bool:
        """Whether the workspace was read once, and its routed specialists loaded."""
        return self._routing is not _NOTHING

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def close(self) -> None:
        """End; a specialist that is being loaded is waited for, some seconds at most."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(_LOAD_S)
        else:
            self._forget()

    def look(self) -> None:
        """Look once for what has changed; what cannot be read is told in `problem`."""
        try:
            self._look()
            self._problem = ""
        except (SlimdownError, msgspec.ValidationError) as error:
            self._problem = str(error)
            self._forget()
        except Exception as error:  # noqa: BLE001 - following must outlive whatever it reads
            self._problem = f"{type(error).__name__} while the workspace was read."
            self._forget()

    def _follow(self) -> None:
        while not self._stopping.is_set():
            self.look()
            self._stopping.wait(LOOK_EVERY_S)
        self._forget()

    def _look(self) -> None:
        store, sealer = self._opened()
        version = store.data_version()
        if version != self._seen:
            self._change(store, sealer)
            self._seen = version
        while not self._stopping.is_set() and (wanted := self._shelf.next_wanted()):
            self._shelf.put(wanted, load(store, self._folder, sealer, wanted))

    def _change(self, store: Store, sealer: Sealer) -> None:
        table = store.routes()
        tasks_id = table.tasks_id or store.result(_TASKS, _LATEST) or ""
        if (table.version, tasks_id) == self._in_force:
            return
        before = {route.specialist_id for route in self._routing.table.routes}
        routed = {route.specialist_id for route in table.routes if route.stage != "retired"}
        self._shelf.route(before | routed)
        loaded = {ready.release.specialist_id: ready for ready in self._shelf.ready()}
        for specialist_id, ready in loaded.items():
            self._shelf.put(specialist_id, refreshed(store, ready))
        for specialist_id in sorted(routed - loaded.keys()):
            self._shelf.put(specialist_id, load(store, self._folder, sealer, specialist_id))
        kept = store.result(_TASKS, tasks_id) if tasks_id else None
        tasks = msgspec.convert(kept, TaskSet) if kept else TaskSet(embedder="", tasks=())
        self._routing = routing_of(table, tasks, self._preferred)
        self._shelf.route(routed)
        self._in_force = (table.version, tasks_id)

    def _opened(self) -> tuple[Store, Sealer]:
        place = _identity(self._folder)
        if place != self._place:  # the folder was moved, or another one is there now
            self._forget()
            self._place, self._in_force = place, (-1, "")
        if self._store is None or self._sealer is None:
            self._store = Store.open(self._folder, self._environ, write=False)
            self._sealer = load_sealer(self._environ, create=False)
        return self._store, self._sealer

    def _forget(self) -> None:
        """Close the store, so that the next look opens what is there then."""
        if self._store is not None:
            self._store.close()
        self._store, self._seen = None, -1


def _identity(folder: Path) -> tuple[int, int] | None:
    """Return what tells a folder from any other, None where there is none."""
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
