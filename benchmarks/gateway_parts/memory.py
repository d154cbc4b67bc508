"""Idle memory: our gateway with nothing to route, and the runtime with a specialist loaded."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from gateway_parts.contestants import SLIMDOWN
from gateway_parts.specialists import served
from gateway_parts.throughput import gateway, place
from gateway_parts.training import Trained

IDLE_S = 5.0


def measure_memory(made: Sequence[Trained], upstream_port: int) -> list[dict[str, Any]]:
    """Return rows {"process", "idle_mb"}; a specialist has answered a few calls before."""
    rows = []
    with place(upstream_port) as where, gateway(SLIMDOWN, where) as started:
        assert started is not None
        time.sleep(IDLE_S)
        rows.append({"process": "gateway, no routes", "idle_mb": started.resident_mb()})
    for one in made:
        with served(one, upstream_port) as (_, started, specialists):
            time.sleep(IDLE_S)
            for name, process in (("gateway", started), ("runtime", specialists)):
                about = f"{name}, one {one.recipe.rung} specialist"
                rows.append({"process": about, "idle_mb": process.resident_mb()})
    return rows
