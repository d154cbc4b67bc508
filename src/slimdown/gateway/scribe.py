"""Writes groups of exchanges and evidence to the store, and opens it again after a fault.

Runs wherever its caller runs it, one `write` at a time. Knows nothing of event loops, of budgets,
or of who waits for a row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from slimdown.errors import KeyProblem, SlimdownError, StoreError, StoreLocked, StoreUnwritable
from slimdown.exchange import Exchange
from slimdown.store import Store
from slimdown.types import Call, Evidence

Make = Callable[[Exchange], Call]
"""Turns what went over the wire into a call."""

Entry = Exchange | Call | Evidence
"""What can be written: an exchange is read first, a call is one that was read already."""

_WHOLE_STORE = (StoreLocked, StoreUnwritable, KeyProblem)
"""Faults that no call is to blame for."""


class Scribe:
    """A store that is kept open, and what turns exchanges into its calls."""

    def __init__(self, open_store: Callable[[], Store], make: Make) -> None:
        """Take how the store is opened; `open`, or the first `write`, opens it."""
        self._open_store = open_store
        self._make = make
        self._store: Store | None = None
        self._was_locked = False

    def open(self) -> Store:
        """Return the store, opened if it is not; raises what opening it raises."""
        if self._store is None:
            self._store = self._open_store()
        return self._store

    def close(self) -> None:
        """Close the store, if it is open."""
        store, self._store = self._store, None
        if store is not None:
            store.close()

    def write(self, entries: Sequence[Entry]) -> None:
        """Commit all entries, those that are known already aside.

        Raises `SlimdownError`, and nothing else, where not all of them are stored; to write them
        again is then right.
        """
        try:
            store = self.open()
            if self._was_locked:
                store.add_live([])  # so that calls are read again only once there is a chance
            _add(store, [self._call(each) for each in entries if not isinstance(each, Evidence)])
            evidence = [each for each in entries if isinstance(each, Evidence)]
            if evidence:
                store.add_evidence(evidence)
            self._was_locked = False
        except StoreLocked:
            self._was_locked = True
            raise
        except StoreUnwritable:
            if self._store is not None and self._store.is_replaced():
                self.close()
            raise
        except SlimdownError:
            raise
        except Exception as error:  # whatever it is, whoever waits for a row must be told
            raise StoreError(
                f"calls cannot be stored ({type(error).__name__}). They are kept in memory, and "
                "answered all the same. Please report this as a fault of slimdown."
            ) from error

    def read(self, exchange: Exchange) -> Call:
        """Return the call of an exchange; may run while another thread writes. Never raises."""
        try:
            return self._make(exchange)
        except Exception as error:  # noqa: BLE001 - a fault in reading must not lose the row
            return _unrecordable(exchange.call_id, error)

    def _call(self, entry: Exchange | Call) -> Call:
        return entry if isinstance(entry, Call) else self.read(entry)


def _add(store: Store, calls: Sequence[Call]) -> None:
    """Store calls; where one of them cannot be, the bare fact that it took place."""
    if not calls:
        return
    try:
        store.add_live(calls)
    except _WHOLE_STORE:
        raise
    except Exception as error:  # noqa: BLE001 - one call of a kind unforeseen must not stop the rest
        if len(calls) > 1:
            for call in calls:
                _add(store, [call])
        else:
            store.add_live([_unrecordable(calls[0].id, error)])


def _unrecordable(call_id: str, error: Exception) -> Call:
    # Its message could quote the call, so only the kind of the error is kept.
    return Call(id=call_id, request={}, error=f"unrecordable: {type(error).__name__}")
