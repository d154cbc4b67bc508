"""`slimdown gateway` as a process of its own, to be signalled, starved and killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import msgspec
from gateways import ENVIRON, Running

from slimdown.testing import INTERRUPTIBLE, free_port

PATIENCE_S = 30.0


class Process(msgspec.Struct, frozen=True):
    """A gateway's process, what it serves, and the file that its output goes to."""

    popen: subprocess.Popen[bytes]
    gateway: Running
    output: Path

    def signal(self, number: signal.Signals) -> None:
        self.popen.send_signal(number)

    def ended(self) -> int:
        """Wait for its end; return its exit code."""
        return self.popen.wait(PATIENCE_S)

    @property
    def said(self) -> str:
        return self.output.read_text()


@contextmanager
def own_process(
    folder: Path, upstream: str = "", environ: Mapping[str, str] | None = None
) -> Iterator[Process]:
    """Start a gateway in ``folder``, with these further variables, and wait until it serves."""
    port, workspace = free_port(), folder / "workspace"
    argv = [sys.executable, "-c", INTERRUPTIBLE, "gateway", "--port", str(port)]
    argv += ["--workspace", str(workspace), *(["--upstream", upstream] if upstream else [])]
    output = folder / f"output-{port}"
    everything = {**os.environ, **ENVIRON, **(environ or {})}
    with output.open("wb") as file:
        popen = subprocess.Popen(argv, stdout=file, stderr=file, env=everything, cwd=folder)
    made = Process(popen, Running(f"http://127.0.0.1:{port}", workspace), output)
    try:
        _until_it_serves(made)
        yield made
    finally:
        popen.kill()
        popen.wait()


def _until_it_serves(made: Process) -> None:
    end = time.monotonic() + PATIENCE_S
    while True:
        assert made.popen.poll() is None, made.said
        assert time.monotonic() < end, "the gateway did not come up"
        try:
            httpx.get(f"{made.gateway.url}/healthz", timeout=PATIENCE_S)
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
