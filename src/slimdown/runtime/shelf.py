"""The specialists that are loaded, those that are wanted, and those that do not load.

Shared by the thread that answers, which takes from it, and the one that loads, which fills it.
It does not know how one is loaded.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection

import msgspec

from slimdown.evaluate.confidence import AgreementModel
from slimdown.runtime.refused import LOADING, Why
from slimdown.seams import Specialist
from slimdown.types import Release

MOST_LOADED = 16
"""Specialists that are kept beside the routed ones; each may hold a hundred megabytes."""

MOST_WANTED = 64
"""Specialists that may wait to be loaded; who asks for a further one is told that it loads."""

LOOK_AGAIN_S = 2.0
"""After this long, one that did not load is tried again when it is asked for."""


class Ready(msgspec.Struct, frozen=True):
    """A specialist that can answer."""

    release: Release
    specialist: Specialist
    agreement: AgreementModel


class Unready(msgspec.Struct, frozen=True):
    """A specialist that did not load: why, when (monotonic seconds), and its release if it has."""

    why: Why
    at: float
    release: Release | None = None


class Shelf:
    """Specialists by id; the routed ones stay, of the others those asked for last."""

    def __init__(
        self, most: int = MOST_LOADED, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Keep at most ``most`` specialists beside the routed ones."""
        self._most = most
        self._clock = clock
        self._lock = threading.Lock()
        self._wanted: OrderedDict[str, None] = OrderedDict()
        self._known: OrderedDict[str, Ready | Unready] = OrderedDict()
        self._routed: frozenset[str] = frozenset()

    def find(self, specialist_id: str) -> Ready | Unready:
        """Return a specialist, or why it is not ready; one that is not known is now wanted."""
        with self._lock:
            found = self._known.get(specialist_id)
            if isinstance(found, Ready):
                self._known.move_to_end(specialist_id)
                return found
            now = self._clock()
            is_due = found is None or now - found.at >= LOOK_AGAIN_S
            if is_due and len(self._wanted) < MOST_WANTED:
                self._wanted[specialist_id] = None
            return found or Unready(LOADING, now)

    def next_wanted(self) -> str | None:
        """Return an id that is to be loaded now, or None; it stays wanted until it is put."""
        with self._lock:
            return next(iter(self._wanted), None)

    def put(self, specialist_id: str, found: Ready | Unready) -> None:
        """Keep what loading came to."""
        with self._lock:
            self._wanted.pop(specialist_id, None)
            self._known[specialist_id] = found
            self._known.move_to_end(specialist_id)
            self._let_go()

    def route(self, ids: Collection[str]) -> None:
        """Tell which specialists are routed from now on."""
        with self._lock:
            self._routed = frozenset(ids)
            self._let_go()

    def ready(self) -> list[Ready]:
        """Return the specialists that can answer, the one asked for last at the end."""
        with self._lock:
            return [found for found in self._known.values() if isinstance(found, Ready)]

    def unready(self) -> list[Unready]:
        """Return the routed specialists that did not load."""
        with self._lock:
            routed = [self._known.get(each) for each in sorted(self._routed)]
        return [found for found in routed if isinstance(found, Unready)]

    def _let_go(self) -> None:
        others = [each for each in self._known if each not in self._routed]
        for each in others[: max(0, len(others) - self._most)]:
            del self._known[each]
