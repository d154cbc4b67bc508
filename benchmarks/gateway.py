"""What the gateway costs, beside its peers: LiteLLM, Portkey, a bare ASGI proxy, and no gateway.

A gateway runs alone on core 0; the upstream and the load share core 1, so two cores are needed,
and a quiet machine (the noise before each run is in the result). Ours records and encrypts, into a
new workspace each time; the peers record nothing. Needs `scripts/setup bench`.

Parts: throughput (calls a second and latency at 1 and 32 connections), stream (time to first token
and order of 64 streams), specialists (latency of served calls), faults (what a dead or frozen
runtime costs a call), memory (idle), profile (where the time goes). The last four are of our
gateway alone; specialists, faults and memory train specialists first, or take those in --trained.

Run: python benchmarks/gateway.py [--parts throughput,stream] [--gateways direct,slimdown]
     [--seconds 8] [--rounds 3] [--trained FOLDER]
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from gateway_parts import contestants, load, streams, throughput
from gateway_parts.faults import measure_fault
from gateway_parts.memory import measure_memory
from gateway_parts.profile import measure_profile
from gateway_parts.specialists import measure_served
from gateway_parts.summary import medians, print_table, rounded, with_added, with_ratios
from gateway_parts.training import RECIPES, Trained, trained
from record import FOLDER, write_result

Row = dict[str, Any]


class Session:
    """One run of this benchmark: its options, and what its parts share, made when first needed."""

    def __init__(self, options: argparse.Namespace, stack: ExitStack) -> None:
        self.options = options
        self._stack = stack
        self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="slimdown-")))
        self._port: int | None = None

    def upstream_port(self) -> int:
        """Return the port of the upstream with one constant answer."""
        if self._port is None:
            _, self._port = self._stack.enter_context(load.upstream(self._folder))
        return self._port

    def streaming_port(self) -> int:
        """Return the port of the streaming upstream."""
        return self._stack.enter_context(streams.streaming_upstream(self._folder))

    def trained(self) -> list[Trained]:
        """Return a workspace of each recipe, made now unless it is there."""
        folder = Path(self.options.trained) if self.options.trained else self._folder
        return [trained(recipe, folder) for recipe in RECIPES]

    def gateways(self) -> list[contestants.Contestant]:
        """Return the gateways asked for, once for every round; tell which are not installed."""
        found = []
        for contestant in contestants.CONTESTANTS:
            if self.options.gateways and contestant.name.lower() not in self.options.gateways:
                continue
            if contestant.needs.exists():
                found.append(contestant)
            else:
                print(f"{contestant.name}: not installed; run `scripts/setup bench`")
        return found * int(self.options.rounds)


def loads(session: Session) -> list[Row]:
    """Load every gateway in turn."""
    port, seconds = session.upstream_port(), session.options.seconds
    runs = told(throughput.measure(one, port, seconds) for one in session.gateways())
    rows = with_added(medians(runs), [f"{p}_ms_{c}" for p in ("p50", "p99") for c in (1, 32)])
    return with_ratios(rows, ["calls_per_s_1", "calls_per_s_32"])


def stream(session: Session) -> list[Row]:
    """Stream through every gateway in turn."""
    port, seconds = session.streaming_port(), session.options.seconds
    runs = told(streams.measure_streams(one, port, seconds) for one in session.gateways())
    return with_added(medians(runs), ["first_token_p50_ms", "first_token_p99_ms", "transit_p50_ms"])


def specialists(session: Session) -> list[Row]:
    """Have specialists answer."""
    port, seconds = session.upstream_port(), session.options.seconds
    return told(measure_served(made, port, seconds) for made in session.trained())


def faults(session: Session) -> list[Row]:
    """Break the runtime of the first specialist."""
    made, port = session.trained()[0], session.upstream_port()
    seconds = session.options.seconds
    return told(measure_fault(made, port, fault, seconds) for fault in ("killed", "frozen"))


def memory(session: Session) -> list[Row]:
    """Look at idle processes."""
    return told(measure_memory(session.trained(), session.upstream_port()))


def profile(session: Session) -> list[Row]:
    """Sample our gateway under load."""
    return told(measure_profile(session.upstream_port(), session.options.seconds))


PARTS: dict[str, Callable[[Session], list[Row]]] = {
    "throughput": loads,
    "stream": stream,
    "specialists": specialists,
    "faults": faults,
    "memory": memory,
    "profile": profile,
}


def told(found: Any) -> list[Row]:
    """Return the rows, each printed as it comes."""
    rows = []
    for row in found:
        rows.append(row)
        print(json.dumps(rounded(row)), flush=True)
    return rows


def main(options: argparse.Namespace) -> None:
    """Measure the parts asked for; keep the last result's rows of the others."""
    load_before = round(os.getloadavg()[0], 2)
    fresh: list[Row] = []
    with ExitStack() as stack:
        session = Session(options, stack)
        for name in options.parts:
            rows = [{"part": name, **rounded(row)} for row in PARTS[name](session)]
            print_table(name, rows)
            fresh += rows
    kept = [row for row in previous() if row["part"] not in options.parts]
    extra = {"load_1m_before": load_before, "seconds": options.seconds, "rounds": options.rounds}
    print(json.dumps({"written": write_result("gateway", kept + fresh, extra).name}))


def previous() -> list[Row]:
    """Return the rows of the last result, each with the date and commit it was measured at."""
    path = FOLDER / "gateway.json"
    if not path.exists():
        return []
    last = json.loads(path.read_text("utf-8"))
    return [{"date": last["date"], "commit": last["commit"], **row} for row in last["rows"]]


def names(text: str) -> Sequence[str]:
    """Return a list of names, in lower case."""
    return [name.strip().lower() for name in text.split(",")]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--parts", type=names, default=list(PARTS))
    parser.add_argument("--gateways", type=names, default=[])
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--trained")
    main(parser.parse_args())
