"""The workspace's database: calls and derived results in one sealed SQLite file."""

from slimdown.store.database import Role
from slimdown.store.packing import CallRow
from slimdown.store.store import Added, Broken, OnBroken, Store

__all__ = ["Added", "Broken", "CallRow", "OnBroken", "Role", "Store"]
