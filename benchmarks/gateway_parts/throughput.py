"""Every gateway under the same load, round after round: latency, calls a second, memory.

One gateway runs at a time, alone on its core; the rounds go through all of them in turn, so that a
noisy minute falls on each.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gateway_parts.contestants import Contestant, Place
from gateway_parts.load import Load, first_answer, run_wrk
from gateway_parts.processes import GATEWAY_CORE, Running, busy_share, free_port, running
from slimdown.seal import encode_key
from slimdown.store import Store

CONNECTIONS = (1, 32)
WARM_UP_S = 2.0
SETTLE_S = 2.0


@contextmanager
def place(upstream_port: int) -> Iterator[Place]:
    """Yield a place in a new folder, with a key of its own."""
    with tempfile.TemporaryDirectory(prefix="slimdown-bench-") as folder:
        environ = {"SLIMDOWN_KEY": encode_key(os.urandom(32))}
        yield Place(free_port(), upstream_port, Path(folder), environ)


@contextmanager
def gateway(contestant: Contestant, where: Place) -> Iterator[Running | None]:
    """Run a gateway on its core until the block ends; None for the upstream itself."""
    if contestant.command is None:
        yield None
        return
    log = where.folder / "gateway.log"
    environ = contestant.environ(where)
    with running(contestant.command(where), GATEWAY_CORE, log, environ) as started:
        started.wait_ready(where.port, contestant.ready)
        yield started


def measure(contestant: Contestant, upstream_port: int, seconds: float) -> dict[str, Any]:
    """Start a gateway, load it at each number of connections, and return what was seen."""
    row: dict[str, Any] = {"gateway": contestant.name, "load_1m": round(os.getloadavg()[0], 2)}
    with place(upstream_port) as where:
        n_answered = 1
        with gateway(contestant, where) as started:
            row["busy_before"] = busy_share(SETTLE_S)
            row["idle_mb"] = started and started.resident_mb()
            first_answer(port_of(where, started), contestant.caller_headers(where))
            for connections in CONNECTIONS:
                seen, figures = _loaded(contestant, where, started, connections, seconds)
                n_answered += seen
                row |= {f"{key}_{connections}": value for key, value in figures.items()}
            row["resident_mb"] = started and started.resident_mb()
        if contestant.records:
            row |= parity(where, n_answered)
    return row


def port_of(where: Place, started: Running | None) -> int:
    """Return the port to call: the gateway's, or the upstream's where there is none."""
    return where.port if started else where.upstream_port


def _loaded(
    contestant: Contestant, where: Place, started: Running | None, connections: int, seconds: float
) -> tuple[int, dict[str, Any]]:
    """Return how many calls were answered well, the warm-up's too, and the figures."""
    port = port_of(where, started)
    headers = contestant.caller_headers(where)
    warm = run_wrk(port, headers, connections, WARM_UP_S)
    cpu_before = started.cpu_s() if started else 0.0
    load = run_wrk(port, headers, connections, seconds)
    cpu = started.cpu_s() - cpu_before if started else None
    well = warm.n_calls - warm.n_errors + load.n_calls - load.n_errors
    return well, {**figures(load), "cpu_us": cpu and cpu / max(load.n_calls, 1) * 1e6}


def figures(load: Load) -> dict[str, Any]:
    """Return one load's figures, latencies in milliseconds."""
    return {
        "p50_ms": load.p50_us / 1e3,
        "p90_ms": load.p90_us / 1e3,
        "p99_ms": load.p99_us / 1e3,
        "calls_per_s": load.calls_per_s,
        "n_calls": load.n_calls,
        "n_errors": load.n_errors,
    }


def parity(where: Place, n_answered: int) -> dict[str, Any]:
    """Compare stored calls with answers.

    wrk leaves at most one call a connection unfinished at the end of a run; those may be stored
    without having been counted. A stored call too few is a lost one.
    """
    with Store.open(where.folder / "workspace", where.environ, write=False) as store:
        n_stored = store.count()
    return {
        "n_answered": n_answered,
        "n_stored": n_stored,
        "n_lost": max(0, n_answered - n_stored),
        "n_unfinished_at_most": 2 * sum(CONNECTIONS),
    }
