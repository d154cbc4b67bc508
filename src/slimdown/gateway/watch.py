"""Follows the store's route table in a thread of its own, so that a change is live within a second.

What is in force is swapped as one value, built off the loop. Whatever cannot be read leaves the
last good one in force; what can be read but is incomplete goes to the upstream. It only reads.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from slimdown.errors import SlimdownError
from slimdown.gateway.in_force import InForce, read
from slimdown.route import make_ready
from slimdown.store import Store
from slimdown.types import RouteTable

POLL_S = 0.25
"""Seconds between two looks at the store."""

REFRESH_S = 10.0
"""Seconds after which all is read anew over a new connection: a release may have lost its
certificate, and the file may be another one."""


class RouteWatch:
    """Keeps `current` up to date with the store."""

    def __init__(
        self,
        open_store: Callable[[], Store],
        on_change: Callable[[InForce], None] = lambda routing: None,
        *,
        poll_s: float = POLL_S,
        refresh_s: float = REFRESH_S,
    ) -> None:
        """Read what ``open_store`` opens; ``on_change`` is told, in our thread, what is new."""
        self.current = InForce()
        self.problem = ""
        self._open_store = open_store
        self._on_change = on_change
        self._poll_s = poll_s
        self._refresh_s = refresh_s
        self._store: Store | None = None
        self._seen: int | None = None
        self._opened_at = 0.0
        self._ended = threading.Event()
        self._looked = threading.Condition()
        self._n_looks = 0
        self._thread = threading.Thread(target=self._follow, name="routes", daemon=True)

    def start(self) -> None:
        """Begin to look; the first look comes at once."""
        self._thread.start()

    def close(self) -> None:
        """End, and wait until the store is closed."""
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join()

    def look_again(self, timeout_s: float = 10.0) -> None:
        """Wait until the store was looked at once more from now on, or the time is over."""
        with self._looked:
            # The look under way may have read before what the caller waits for was written.
            wanted = self._n_looks + 2
            self._looked.wait_for(lambda: self._n_looks >= wanted, timeout_s)

    def _follow(self) -> None:
        while not self._ended.is_set():
            try:
                self._look()
            except Exception as error:  # noqa: BLE001 - a thread that died would follow nothing
                self._give_up(error)
            with self._looked:
                self._n_looks += 1
                self._looked.notify_all()
            self._ended.wait(self._poll_s)
        self._shut()

    def _look(self) -> None:
        if self._store is not None and time.monotonic() - self._opened_at >= self._refresh_s:
            self._shut()
        if self._store is None:
            self._store = self._open_store()
            self._opened_at = time.monotonic()
        version = self._store.data_version()
        if version == self._seen:
            return
        table = self._store.routes()
        if self._seen is None or self.problem or table.version != self.current.table.version:
            self._adopt(self._store, table)
        self._seen = version

    def _adopt(self, store: Store, table: RouteTable) -> None:
        found, self.problem = read(store, table)
        if found.is_active:
            make_ready()
        if found != self.current:
            self.current = found
            self._on_change(found)

    def _give_up(self, error: Exception) -> None:
        """Keep what is in force, say what is wrong, and begin anew with the next look."""
        what = str(error) if isinstance(error, SlimdownError) else type(error).__name__
        self.problem = f"the route table cannot be read: {what} The routes read last stay in force."
        self._shut()

    def _shut(self) -> None:
        store, self._store, self._seen = self._store, None, None
        if store is not None:
            store.close()
