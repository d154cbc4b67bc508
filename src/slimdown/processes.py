"""Child processes that are started, restarted when they fall, and end when we do.

Each child's stdin is a pipe whose other end only we hold: it closes when we end, however that is,
so a child that watches it is never left behind. Children stand in process groups of their own, so
that a terminal's Ctrl-C reaches us alone and they get one SIGTERM from us. Knows nothing of what
a child does, nor where its words should go.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from types import FrameType, TracebackType
from typing import Self

import msgspec

from slimdown.errors import SlimdownError

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 5.0
STEADY_S = 30.0
"""A child that was up this long is started again after the first pause, not a longer one."""

DRAIN_S = 45.0
"""What children get to finish in: more than the 30 s in which the gateway ends its calls itself."""

_FINAL_CODES = (2, 4)
"""A command that leaves with these was given wrong settings or a wrong key: so will the next."""

_PROBE_EVERY_S = 0.05
_PROBE_TIMEOUT_S = 1.0
_LONGEST_LINE = 1 << 16
_LAST_WORDS_S = 1.0

Told = Callable[[str], None]
"""Takes a line of what a child said, or of what became of it."""

Address = Path | tuple[str, int]
"""Where a child listens: a Unix socket, or a host and a port."""


class ChildEnded(SlimdownError):
    """A child ended and another start would not help; ``code`` is its exit code."""

    def __init__(self, name: str, code: int, *, was_ready: bool) -> None:
        """Say which child ended, and how."""
        when = "and cannot go on" if was_ready else "before it was ready"
        super().__init__(
            f"the {name} ended {when} ({_how(code)}); what it said stands above. "
            "All calls recorded so far are kept. Start again once its cause is gone."
        )
        self.code = code


def end_with_parent(stop: Callable[[], None]) -> None:
    """Call ``stop`` when standard input closes: our parent holds its other end while it lives."""

    def watch() -> None:
        while os.read(0, 4096):
            pass
        stop()

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


class Child(msgspec.Struct, frozen=True):
    """A command to be kept running: its short name, its arguments, its whole environment."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]


class _Ended(msgspec.Struct, frozen=True):
    child: str
    code: int
    was_ready: bool


class _Signalled(msgspec.Struct, frozen=True):
    number: int


_Events = SimpleQueue[_Ended | _Signalled]


class Supervisor:
    """Keeps children running; a context manager that stops them."""

    def __init__(self, told: Told) -> None:
        """Have no children yet; ``told`` is called from several threads, a line at a time."""
        self._told = told
        self._events: _Events = SimpleQueue()
        self._kept: dict[str, _Kept] = {}

    def __enter__(self) -> Self:
        """Return the supervisor itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop all children."""
        self.stop()

    def start(self, child: Child) -> None:
        """Start a child; once it was ready it is started again whenever it ends."""
        self._kept[child.name] = _Kept(child, self._told, self._events)

    def process_id(self, name: str) -> int | None:
        """Return the process id of a child's present run, None between two."""
        return self._kept[name].process_id

    def wait_ready(self, name: str, is_ready: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until a child is ready; False if a signal asked us to stop meanwhile.

        Raises `ChildEnded` if a child ended, or was not ready in time (code 1).
        """
        deadline = time.monotonic() + timeout_s
        while not is_ready():
            if time.monotonic() > deadline:
                self._told(f"{name}: not ready after {timeout_s:.0f} s")
                raise ChildEnded(name, 1, was_ready=False)
            if self._signal_within(_PROBE_EVERY_S) is not None:
                return False
        self._kept[name].was_ready = True
        return True

    def wait(self) -> int:
        """Wait for a signal and return its number; raises `ChildEnded` as `wait_ready` does."""
        while True:
            number = self._signal_within(None)
            if number is not None:
                return number

    def stop(self, drain_s: float = DRAIN_S) -> None:
        """Ask all children to end, and kill those that have not within ``drain_s``.

        A further signal kills them at once.
        """
        for kept in self._kept.values():
            kept.end()
        deadline = time.monotonic() + drain_s
        try:
            while any(kept.is_alive for kept in self._kept.values()):
                event = _next(self._events, deadline - time.monotonic())
                if event is None or isinstance(event, _Signalled):
                    break
        finally:  # a KeyboardInterrupt too is a signal that asks for haste
            for kept in self._kept.values():
                kept.kill()
            self._kept.clear()

    @contextmanager
    def heeding_signals(self) -> Iterator[None]:
        """Take SIGINT and SIGTERM as wishes to stop, and SIGHUP, a terminal that left, as none."""

        def heed(number: int, _frame: FrameType | None) -> None:
            self._events.put(_Signalled(number))

        before = {number: signal.signal(number, heed) for number in (signal.SIGINT, signal.SIGTERM)}
        before[signal.SIGHUP] = signal.signal(signal.SIGHUP, signal.SIG_IGN)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _signal_within(self, timeout_s: float | None) -> int | None:
        event = _next(self._events, timeout_s)
        if isinstance(event, _Ended):
            raise ChildEnded(event.child, event.code, was_ready=event.was_ready)
        return event.number if event else None


class _Kept:
    """One child, and the thread that starts it again."""

    def __init__(self, child: Child, told: Told, events: _Events) -> None:
        self.was_ready = False
        self._child, self._told, self._events = child, told, events
        self._ending = threading.Event()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._keep, name=child.name, daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        process = self._process
        return self._thread.is_alive() and process is not None and process.poll() is None

    @property
    def process_id(self) -> int | None:
        process = self._process
        return process.pid if process else None

    def end(self) -> None:
        with self._lock:
            self._ending.set()
            if self._process:
                self._process.terminate()

    def kill(self) -> None:
        with self._lock:
            if self._process:
                self._process.kill()
        self._thread.join(2 * _LAST_WORDS_S)

    def _keep(self) -> None:
        pause = FIRST_PAUSE_S
        while True:
            began = time.monotonic()
            code = self._run()
            if self._ending.is_set() or not self.was_ready or code in _FINAL_CODES:
                break
            pause = FIRST_PAUSE_S if time.monotonic() - began >= STEADY_S else pause
            self._told(f"{self._child.name} ended ({_how(code)}); starting it again")
            if self._ending.wait(pause):
                break
            pause = min(2 * pause, LONGEST_PAUSE_S)
        self._events.put(_Ended(self._child.name, code, self.was_ready))

    def _run(self) -> int:
        """Run the child once; return its exit code, negative for a signal's number."""
        try:
            process = self._started()
        except OSError as error:
            self._told(f"{self._child.name} cannot be started: {error.strerror}")
            return 1
        if process is None:
            return 0
        words = threading.Thread(target=self._pass_on, args=(process,), daemon=True)
        words.start()
        code = process.wait()
        with self._lock:
            self._process = None
        words.join(_LAST_WORDS_S)
        if process.stdin:
            process.stdin.close()
        return code

    def _started(self) -> subprocess.Popen[bytes] | None:
        with self._lock:  # so that none is started after `end`
            if self._ending.is_set():
                return None
            self._process = subprocess.Popen(
                self._child.argv,
                env=self._child.env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
            return self._process

    def _pass_on(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        with process.stdout as stream:
            while line := stream.readline(_LONGEST_LINE):
                self._told(f"{self._child.name}: {line.decode('utf-8', 'replace').rstrip()}")


def answers(address: Address, path: str) -> int | None:
    """Return the status with which an HTTP server answers GET ``path``; None if none answers."""
    family = socket.AF_UNIX if isinstance(address, Path) else socket.AF_INET
    if isinstance(address, tuple) and ":" in address[0]:
        family = socket.AF_INET6
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    try:
        with socket.socket(family, socket.SOCK_STREAM) as client:
            client.settimeout(_PROBE_TIMEOUT_S)
            client.connect(str(address) if isinstance(address, Path) else address)
            client.sendall(request.encode("ascii"))
            words = client.recv(64).split(None, 2)
    except OSError:
        return None
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else None


def _next(events: _Events, timeout_s: float | None) -> _Ended | _Signalled | None:
    try:
        return events.get(timeout=None if timeout_s is None else max(timeout_s, 0.0))
    except Empty:
        return None


def _how(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
