"""Starts the runtime on a socket or port and keeps it going until it is told to stop; then drains.

One thread answers and each of its libraries computes with one, so a single core is enough and
whoever shares the machine keeps the others.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from slimdown.processes import end_with_parent
from slimdown.runtime.listening import BACKLOG, on_port, on_socket
from slimdown.server import DrainedServer, spare_collections
from slimdown.settings import Settings

DRAIN_S = 10
"""Seconds that questions under way get to end."""

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class Runtime:
    """A runtime whose socket is open; `run` serves on it."""

    def __init__(
        self,
        settings: Settings,
        environ: Mapping[str, str],
        *,
        uds: Path | None = None,
        port: int = 0,
        started: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Listen on the Unix socket ``uds``, else on a ``port`` of loopback (0: a free one).

        ``started`` is told the place once it answers there, be it that specialists still load.
        Raises `UsageError` if that cannot be had. A socket that a killed runtime left is replaced.
        """
        self._uds = uds
        self._listener = on_port(port) if uds is None else on_socket(uds)
        self._server = _server(settings, environ, lambda: started(self.place))

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._listener.getsockname()[1])

    @property
    def place(self) -> str:
        """Where it listens: a base URL for clients, or the path of its Unix socket."""
        return f"http://127.0.0.1:{self.port}/v1" if self._uds is None else str(self._uds)

    def run(self) -> None:
        """Serve until stopped, on any thread."""
        try:
            self._server.run(sockets=[self._listener])
        finally:
            self._listener.close()
            if self._uds is not None:
                self._uds.unlink(missing_ok=True)

    def stop(self) -> None:
        """Have `run` take no more requests, answer those under way, and return; thread-safe."""
        self._server.stop()


def serve(
    settings: Settings,
    environ: Mapping[str, str],
    *,
    uds: Path | None = None,
    port: int = 0,
    with_parent: bool = False,
    started: Callable[[str], None] = lambda _: None,
) -> int:
    """Serve until SIGINT or SIGTERM, or with ``with_parent`` until standard input closes.

    ``started`` is told the place, as `Runtime` does. Returns the exit code. Raises `UsageError`
    if the socket or port cannot be had.
    """
    # Numerical libraries read their number of threads once, when they are loaded.
    for name in _THREAD_VARIABLES:
        os.environ.setdefault(name, "1")
    runtime = Runtime(settings, environ, uds=uds, port=port, started=started)
    spare_collections()
    if with_parent:
        end_with_parent(runtime.stop)
    runtime.run()
    return 0


def _server(
    settings: Settings, environ: Mapping[str, str], started: Callable[[], None]
) -> DrainedServer:
    from slimdown.runtime.app import RuntimeApp
    from slimdown.runtime.follower import Follower
    from slimdown.runtime.shelf import Shelf

    shelf = Shelf()
    follower = Follower(settings, environ, shelf)
    app = RuntimeApp(shelf, follower, most_bytes=settings.gateway.max_body_bytes)

    async def opened() -> None:
        app.start()
        started()

    async def closed() -> None:
        app.close()

    return DrainedServer(app, drain_s=DRAIN_S, opened=opened, closed=closed, backlog=BACKLOG)
