"""Child processes, each alone on its core, with the memory and processor time of their trees.

Linux only: what is measured comes from /proc. Knows no gateway.
"""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

GATEWAY_CORE, LOAD_CORE = "0", "1"
READY_TIMEOUT_S = 120.0
_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Running:
    """A process and all that it started; they share a session, by which they are found."""

    def __init__(
        self, command: Sequence[str], core: str, environ: Mapping[str, str], log: Path
    ) -> None:
        """Start the command on one core; what it prints goes to ``log``."""
        self.log = log
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                ["taskset", "-c", core, *command],
                env={**os.environ, **environ},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_ready(self, port: int, path: str = "/") -> None:
        """Wait until it answers HTTP, with whatever status; raises RuntimeError if it does not."""
        deadline = time.monotonic() + READY_TIMEOUT_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            if answers(port, path):
                return
            time.sleep(0.1)
        raise RuntimeError(f"{self.process.args!r} is not ready:\n{self.tail()}")

    def tail(self) -> str:
        """Return the end of what it printed."""
        return self.log.read_text("utf-8", "replace")[-2_000:]

    def resident_mb(self) -> float:
        """Return the resident memory of the tree in MB (10^6 bytes); shared pages count again."""
        pages = 0
        for pid in self.pids():
            try:
                pages += int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
            except (FileNotFoundError, ProcessLookupError):  # it has just ended
                continue
        return pages * _PAGE / 1e6

    def cpu_s(self) -> float:
        """Return the processor time that the living processes of the tree have used."""
        return sum(cpu_s(pid) for pid in self.pids())

    def n_files(self) -> int:
        """Return how many files and sockets the tree has open."""
        total = 0
        for pid in self.pids():
            try:
                total += len(os.listdir(f"/proc/{pid}/fd"))
            except (FileNotFoundError, ProcessLookupError):  # it has just ended
                continue
        return total

    def pids(self) -> list[int]:
        """Return the tree's process ids."""
        numbers = (int(name) for name in os.listdir("/proc") if name.isdigit())
        return [pid for pid in numbers if _stat(pid, 5) == self.process.pid]

    def kill(self) -> None:
        """End the whole tree at once, as a crash would."""
        for pid in self.pids():
            _signal(pid, signal.SIGKILL)
        self.process.wait()

    def pause(self, stopped: bool) -> None:
        """Freeze the tree, or let it go on."""
        for pid in self.pids():
            _signal(pid, signal.SIGSTOP if stopped else signal.SIGCONT)

    def stop(self, patience_s: float = 15.0) -> None:
        """Ask the tree to end, and end it if it does not."""
        for pid in self.pids():
            _signal(pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(patience_s)
        self.kill()


@contextmanager
def running(
    command: Sequence[str], core: str, log: Path, environ: Mapping[str, str] | None = None
) -> Iterator[Running]:
    """Run a command on one core while the block lasts."""
    started = Running(command, core, environ or {}, log)
    try:
        yield started
    finally:
        started.stop()


def answers(port: int, path: str = "/") -> bool:
    """Say whether something on this port answers HTTP."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True


def free_port() -> int:
    """Return a port that nothing listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def cpu_s(pid: int) -> float:
    """Return the processor time that a process has used, 0 if it has ended."""
    return ((_stat(pid, 13) or 0) + (_stat(pid, 14) or 0)) / _TICKS_PER_S


def busy_share(over_s: float = 1.0) -> float:
    """Return the share of all cores' time that was used just now: the noise before a run."""
    before = _cpu_ticks()
    time.sleep(over_s)
    after = _cpu_ticks()
    total = sum(after) - sum(before)
    idle = sum(after[3:5]) - sum(before[3:5])
    return round(1 - idle / total, 3) if total else 0.0


def _cpu_ticks() -> list[int]:
    first = Path("/proc/stat").read_text("ascii").split("\n", 1)[0]
    return [int(part) for part in first.split()[1:9]]


def _stat(pid: int, field: int) -> int | None:
    """Return a number of /proc/PID/stat, counted from 0 as proc(5) lists them; None if it ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command's name stands in brackets and may hold spaces.
    return int(text.rsplit(")", 1)[1].split()[field - 2])


def _signal(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):  # it has just ended
        os.kill(pid, number)
