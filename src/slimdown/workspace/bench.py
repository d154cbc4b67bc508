"""Where a run works, and what it need not make again."""

from __future__ import annotations

from pathlib import Path

import msgspec

from slimdown.seal import Sealer
from slimdown.settings import Settings
from slimdown.store import Store


class Bench(msgspec.Struct, frozen=True, kw_only=True):
    """Where a run works: the store, the folder for specialists, the key, the settings."""

    store: Store
    folder: Path
    sealer: Sealer
    settings: Settings
