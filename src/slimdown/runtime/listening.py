"""Where the runtime listens: a port of loopback, or a Unix socket."""

from __future__ import annotations

import socket
from pathlib import Path

from slimdown.errors import UsageError

BACKLOG = 512
"""Connections that may wait to be taken."""


def on_port(port: int) -> socket.socket:
    """Listen on a port of 127.0.0.1 (0: a free one); raises `UsageError` if it cannot be had."""
    try:
        return socket.create_server(("127.0.0.1", port), backlog=BACKLOG)
    except OSError as error:
        raise UsageError(
            f"port {port} cannot be listened on ({error.strerror}). Nothing was started. Choose "
            "another with --port, or stop what is there."
        ) from error


def on_socket(path: Path) -> socket.socket:
    """Listen on a Unix socket, its owner's alone, in place of one that nobody answers on.

    Raises `UsageError` if the path cannot be had, or somebody answers there.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if _answers(path):
            raise UsageError(
                f"a runtime answers at {path} already. Nothing was started. Use it, or stop it "
                "first."
            )
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if path.is_socket():
            path.unlink()
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise UsageError(
            f"{path} cannot be listened on ({error}). Nothing was started. Name a shorter path in "
            "a folder of yours with --socket, or a --port."
        ) from error
    except UsageError:
        listener.close()
        raise
    return listener


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        return True
