"""Writes groups of exchanges and evidence to the store, and opens it again after a fault.

Runs wherever its caller runs it, one group at a time. Knows nothing of event loops, of budgets,
or of who waits for a row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from slimdown.errors import KeyProblem, SlimdownError, StoreError
from slimdown.exchange import Exchange
from slimdown.store import Store
from slimdown.types import Call, Evidence

Make = Callable[[Exchange], Call]
"""Turns what went over the wire into a call."""

Entry = Exchange | Evidence
"""What can be written."""


class Scribe:
    """A store that is kept open, and what turns exchanges into its calls."""

    def __init__(self, open_store: Callable[[], Store], make: Make) -> None:
        """Take how the store is opened; `open` opens it."""
        self._open_store = open_store
        self._make = make
        self._store: Store | None = None

    def open(self) -> None:
        """Open the store unless it is open; raises what opening it raises."""
        if self._store is None:
            self._store = self._open_store()

    def close(self) -> None:
        """Close the store, if it is open."""
        store, self._store = self._store, None
        if store is not None:
            store.close()

    def write(self, entries: Sequence[Entry]) -> None:
        """Commit all entries; raises `StoreError` or `KeyProblem` if none of them is stored."""
        self.open()
        assert self._store is not None, "open sets it or raises"
        calls = [self._call(entry) for entry in entries if isinstance(entry, Exchange)]
        evidence = [entry for entry in entries if isinstance(entry, Evidence)]
        if calls:
            self._store.add_live(calls)
        if evidence:
            self._store.add_evidence(evidence)

    def _call(self, exchange: Exchange) -> Call:
        try:
            return self._make(exchange)
        except Exception as error:  # noqa: BLE001 - a fault in reading must not lose the row
            return unrecordable(exchange.call_id, error)


def unrecordable(call_id: str, error: Exception) -> Call:
    """Return the row of a call that could not be read: that it was, and the kind of the error."""
    return Call(id=call_id, request={}, error=f"unrecordable: {type(error).__name__}")


FAULTS = (StoreError, KeyProblem)
"""What a store that cannot be written raises."""

__all__ = ["FAULTS", "Entry", "Make", "Scribe", "SlimdownError", "unrecordable"]
