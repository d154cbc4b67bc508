"""Where our gateway's time goes under load: py-spy samples it from outside, 200 times a second.

C code has no frames of its own: its time is its Python caller's, so "asyncio" is the event loop
with what it sends and receives, and "slimdown/store" holds SQLite. Threads that wait are left out.
Needs py-spy (`scripts/setup bench`).
"""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from gateway_parts.contestants import LITELLM, SLIMDOWN
from gateway_parts.load import run_wrk
from gateway_parts.processes import LOAD_CORE
from gateway_parts.throughput import WARM_UP_S, gateway, place

PY_SPY = LITELLM.with_name("py-spy")
CONNECTIONS = 32
N_FUNCTIONS = 25
_WAITS = ("Condition.wait (threading.py)", "Event.wait (threading.py)")
_FRAME = re.compile(r"(?P<function>.+) \((?P<file>.+?)(?::\d+)?\)$")


def measure_profile(upstream_port: int, seconds: float) -> list[dict[str, Any]]:
    """Load our gateway and sample it; rows by thread, by area and by function, shares of all."""
    with place(upstream_port) as where, gateway(SLIMDOWN, where) as started:
        assert started is not None
        headers = SLIMDOWN.caller_headers(where)
        out = where.folder / "samples"
        run_wrk(where.port, headers, CONNECTIONS, WARM_UP_S)
        with ThreadPoolExecutor(1) as pool:
            load = pool.submit(run_wrk, where.port, headers, CONNECTIONS, seconds + 2)
            sample(started.process.pid, out, seconds)
            load.result()
        return profile_rows(out.read_text("utf-8", "replace"))


def sample(pid: int, out: Path, seconds: float) -> None:
    """Write py-spy's collapsed stacks of a process to ``out``."""
    command = ["taskset", "-c", LOAD_CORE, str(PY_SPY), "record", "--pid", str(pid), "--threads"]
    command += ["--duration", f"{seconds:.0f}", "--rate", "200", "--format", "raw"]
    subprocess.run([*command, "--output", str(out)], capture_output=True, check=True)


def profile_rows(samples: str) -> list[dict[str, Any]]:
    """Return rows {"by", "name", "share"} from collapsed stacks."""
    threads: Counter[str] = Counter()
    areas: Counter[str] = Counter()
    functions: Counter[str] = Counter()
    for frames, count in stacks(samples):
        threads[frames[0]] += count
        areas[area(frames[1:])] += count
        functions[frames[-1]] += count
    return [
        {"by": by, "name": name, "share": count / counted.total()}
        for by, counted in (("thread", threads), ("area", areas), ("function", functions))
        for name, count in counted.most_common(N_FUNCTIONS)
    ]


def stacks(samples: str) -> Iterator[tuple[list[str], int]]:
    """Yield each stack at work, outermost first: thread, "function (file)"; and its samples."""
    for line in samples.splitlines():
        text, _, count = line.rpartition(" ")
        thread, *frames = text.split(";")
        plain = [re.sub(r":\d+\)$", ")", frame) for frame in frames]
        if plain[-1] not in _WAITS:
            yield [thread.partition(": ")[2], *plain], int(count)


def area(frames: list[str]) -> str:
    """Return the package of the innermost frame, for ours with its room: "slimdown/store"."""
    for frame in reversed(frames):
        match = _FRAME.match(frame)
        parts = Path(match["file"]).parts if match else ()
        if "slimdown" in parts:
            return "/".join(parts[parts.index("slimdown") :][:2])
        if len(parts) > 1:
            return parts[0]
    return "standard library"
