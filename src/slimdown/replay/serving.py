"""Serves a replay on a loopback port until it is told to stop."""

from __future__ import annotations

import socket

from slimdown.errors import SlimdownError
from slimdown.processes import end_with_parent
from slimdown.replay.app import ReplayApp
from slimdown.server import DrainedServer

DRAIN_S = 5
"""Seconds that answers under way get to end; a recorded hour of latency is not waited for."""


def listener_at(port: int) -> socket.socket:
    """Return a socket that listens on a loopback port, 0 for any free one.

    Raises `SlimdownError` if the port cannot be had.
    """
    try:
        return socket.create_server(("127.0.0.1", port), backlog=1024)
    except (OSError, OverflowError) as error:
        raise SlimdownError(
            f"127.0.0.1:{port} cannot be listened on ({error}). Nothing was started. "
            "Choose another with --port, or stop what is there."
        ) from error


def serve(app: ReplayApp, listener: socket.socket, *, with_parent: bool = False) -> None:
    """Answer until SIGINT or SIGTERM, or with ``with_parent`` until standard input closes."""
    server = DrainedServer(app, drain_s=DRAIN_S)
    if with_parent:
        end_with_parent(server.stop)
    server.run(sockets=[listener])
