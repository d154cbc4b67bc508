"""What recording costs a call: time until its row is committed, and processor time, by who writes.

The recorder runs on an event loop that also does other work for each call, as a gateway does: 120
microseconds in two halves, and a wait for an upstream between them. ``loop`` is the recorder as
it is; ``thread`` has its thread write every group, the other design; ``import`` is the recorder as
it is while another process imports into the same workspace.
Run: python benchmarks/recorder.py
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from record import write_result
from slimdown.capture.wire import call_of
from slimdown.errors import StoreLocked
from slimdown.exchange import Exchange
from slimdown.gateway.recorder import Recorder
from slimdown.seal import encode_key
from slimdown.store import Store
from slimdown.testing import completion
from slimdown.types import Call

KEY = {"SLIMDOWN_KEY": encode_key(bytes(range(32)))}
SYSTEM = "You are a support triage agent. Classify the message. " * 16
ANSWER = msgspec.json.encode(completion('{"intent": "card_arrival", "urgency": "low"}'))
OTHER_WORK_S = 60e-6
RUNS = [("loop", 1, 4_000), ("thread", 1, 4_000), ("import", 1, 2_000)]
RUNS += [("loop", 32, 24_000), ("thread", 32, 24_000), ("import", 32, 8_000)]

IMPORTER = """
import os, sys
from pathlib import Path
from slimdown.store import Store
from slimdown.testing import sample_call

def calls():
    while True:
        yield sample_call(os.urandom(500).hex())

with Store.open(Path(sys.argv[1]), {"SLIMDOWN_KEY": sys.argv[2]}) as store:
    store.add(calls())
"""


def exchange(number: int) -> Exchange:
    """Return one call of an agent, 1 KB of prompt of which the end is new."""
    user = f"Ticket {number}: I still have not received my new card, I ordered over a week ago."
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": user}]
    return Exchange(
        call_id=f"{time.time_ns() // 1_000_000:012x}{os.urandom(10).hex()}",
        path="/v1/chat/completions",
        request_headers=((b"content-type", b"application/json"),),
        request_body=msgspec.json.encode({"model": "gpt-4o-mini", "messages": messages}),
        status=200,
        response_headers=((b"content-type", b"application/json"),),
        response_body=ANSWER,
        started_at=time.time(),
        latency_ms=1.0 + number / 7,
    )


def work() -> None:
    """Keep the processor busy, as parsing and writing HTTP does."""
    until = time.perf_counter() + OTHER_WORK_S
    while time.perf_counter() < until:
        pass


@contextmanager
def importing(folder: Path, *, wanted: bool) -> Iterator[None]:
    """Have another process import without end, if that is wanted."""
    if not wanted:
        yield
        return
    arguments = [sys.executable, "-c", IMPORTER, str(folder), KEY["SLIMDOWN_KEY"]]
    with subprocess.Popen(arguments) as process:
        try:
            yield
        finally:
            process.terminate()


async def measure(folder: Path, writer: str, n_clients: int, n_calls: int) -> dict[str, Any]:
    """Return one row of figures."""
    recorder = Recorder(lambda: Store.open(folder, KEY, role="gateway"), call_of, budget_s=5.0)
    if writer == "thread":
        recorder._here, recorder._here_from = False, time.monotonic() + 1e6
    recorder.start()
    waits: list[float] = []
    numbers = iter(range(n_calls))

    async def client() -> None:
        for number in numbers:
            work()
            await asyncio.sleep(random.uniform(0.0005, 0.0015) * n_clients**0.3)
            work()
            seen, began = exchange(number), time.perf_counter()
            assert await recorder.record(seen)
            waits.append(time.perf_counter() - began)

    began, cpu_began = time.perf_counter(), time.process_time()
    await asyncio.gather(*(client() for _ in range(n_clients)))
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu_began
    await recorder.close(60)
    waits.sort()
    return {
        "writer": writer,
        "clients": n_clients,
        "n_calls": n_calls,
        "calls_per_s": round(n_calls / seconds),
        "cpu_us_per_call": round(cpu_seconds / n_calls * 1e6),
        "p50_ms": round(waits[n_calls // 2] * 1e3, 3),
        "p99_ms": round(waits[n_calls * 99 // 100] * 1e3, 3),
        "longest_ms": round(waits[-1] * 1e3, 1),
    }


def parts() -> list[dict[str, Any]]:
    """Return the processor time per call of reading exchanges, and of storing calls in groups."""
    seen = [exchange(number) for number in range(8_000)]
    began = time.process_time()
    calls = [call_of(each) for each in seen]
    gc.freeze()  # a gateway holds no such heap, which the collector would walk again and again
    rows = [{"part": "exchange to call", "cpu_us_per_call": _micro(began, len(seen))}]
    for size in (1, 8, 32):
        with (
            tempfile.TemporaryDirectory() as folder,
            Store.open(Path(folder), KEY, role="gateway") as store,
        ):
            began = time.process_time()
            for start in range(0, len(calls), size):
                _store(store, calls[start : start + size])
            name = f"stored in groups of {size}"
            rows.append({"part": name, "cpu_us_per_call": _micro(began, len(calls))})
    return rows


def _store(store: Store, calls: Sequence[Call]) -> None:
    while True:
        try:
            store.add_live(calls)
            return
        except StoreLocked:  # for a moment, while the store's log is begun anew
            time.sleep(0.001)


def _micro(began: float, n_calls: int) -> float:
    return round((time.process_time() - began) / n_calls * 1e6, 1)


def main() -> None:
    """Measure, print, and write ``recorder.json``."""
    rows = parts()
    for writer, n_clients, n_calls in RUNS:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            Store.open(folder, KEY).close()
            with importing(folder, wanted=writer == "import"):
                rows.append(uvloop.run(measure(folder, writer, n_clients, n_calls)))
        print(" | ".join(str(value) for value in rows[-1].values()), flush=True)
    print(json.dumps(rows[:4]))
    extra = {"load_average": [round(load, 1) for load in os.getloadavg()]}
    print(json.dumps({"written": write_result("recorder", rows, extra).name}))


if __name__ == "__main__":
    main()
