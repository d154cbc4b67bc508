"""The commands that `up` and the live demo keep running, and where each says that it is ready."""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import msgspec

from slimdown.cli.options import FLAG_UPSTREAM
from slimdown.cli.output import clean
from slimdown.errors import SlimdownError
from slimdown.processes import Address, Child, ChildEnded, Supervisor, answers
from slimdown.settings import RUNTIME_SOCKET, Settings

READY_S = 60.0
"""A runtime that loads several specialists on a busy machine takes a while."""

_LINES_KEPT = 50


class Kept(msgspec.Struct, frozen=True):
    """A child, and the page that answers 200 once it is ready."""

    child: Child
    address: Address
    page: str = "/readyz"


def gateway(settings: Settings, address: tuple[str, int]) -> Kept:
    """Return the gateway's command, at an address that is known to be free."""
    flags = ["--host", address[0], "--port", str(address[1]), "--workspace", settings.workspace]
    flags += ["--on-failure", settings.gateway.on_failure]
    if list(settings.upstreams) == [FLAG_UPSTREAM]:
        flags += ["--upstream", settings.upstreams[FLAG_UPSTREAM].url]
    return Kept(_child("gateway", *flags), address)


def runtime(folder: Path) -> Kept:
    """Return the runtime's command, listening on a workspace's socket."""
    path = folder / RUNTIME_SOCKET
    return Kept(_child("runtime", "--socket", str(path), "--workspace", str(folder)), path)


def replay(logs: Iterable[Path], port: int, speed: float) -> Kept:
    """Return the command of an upstream that answers from logs."""
    flags = ("--port", str(port), "--speed", str(speed))
    child = _child("replay", *flags, *map(str, logs))
    return Kept(child, ("127.0.0.1", port), "/v1/models")


def start_all(supervisor: Supervisor, wanted: Iterable[Kept]) -> bool:
    """Start children one after the other, each when the last is ready; False if asked to stop.

    Raises `ChildEnded`.
    """
    for kept in wanted:
        supervisor.start(kept.child)
        if not _wait(supervisor, kept):
            return False
    return True


@contextmanager
def kept_running(wanted: Sequence[Kept]) -> Iterator[Supervisor]:
    """Start children side by side, yield once all are ready, and stop them afterwards.

    What they say is told only if one of them ends: `ChildEnded`.
    """
    said: deque[str] = deque(maxlen=_LINES_KEPT)
    try:
        with Supervisor(said.append) as supervisor:
            for kept in wanted:
                supervisor.start(kept.child)
            for kept in wanted:
                _wait(supervisor, kept)
            yield supervisor
    except ChildEnded:
        for line in said:
            pass_on(line)
        raise


def free_port(host: str, port: int) -> int:
    """Return the port, a free one for 0; raises `SlimdownError` where it cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise SlimdownError(_objection(host, port, error)) from error
        return int(probe.getsockname()[1])


def pass_on(line: str) -> None:
    """Print what a child said on stderr, while there is one."""
    try:
        sys.stderr.write(clean(line) + "\n")
        sys.stderr.flush()
    except OSError:  # our terminal has gone, which is no reason for the children to
        return


def _child(verb: str, *flags: str) -> Child:
    # -P: a folder that is called slimdown and happens to stand here is not us.
    argv = (sys.executable, "-P", "-m", "slimdown", verb, "--with-parent", *flags)
    return Child(verb, argv, os.environ)


def _wait(supervisor: Supervisor, kept: Kept) -> bool:
    return supervisor.wait_ready(kept.child.name, partial(_is_ready, kept), READY_S)


def _is_ready(kept: Kept) -> bool:
    return answers(kept.address, kept.page) == 200


def _objection(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} of {host} is in use by another program. Nothing was started. "
            "Name another one with --port, or stop that program."
        )
    return (
        f"{host}:{port} cannot be listened on ({error.strerror}). Nothing was started. "
        "Name another place with --host and --port."
    )
