"""Starts the gateway on a socket and keeps it going until it is told to stop; then drains it."""

from __future__ import annotations

import contextlib
import resource
import socket
import sys
import time
from collections.abc import Mapping
from typing import Any

import uvicorn

from slimdown.errors import SlimdownError
from slimdown.gateway.assembly import Assembly, assemble
from slimdown.gateway.protocol import GatewayProtocol
from slimdown.processes import end_with_parent
from slimdown.settings import GatewaySettings, Settings

DRAIN_S = 30
"""Seconds that calls under way get to end once the gateway is told to stop."""

# The loop and the recorder's thread share one interpreter: a waiting one is let in sooner.
_SWITCH_S = 0.0005
_BACKLOG = 2048


def serve(settings: Settings, environ: Mapping[str, str], *, with_parent: bool = False) -> int:
    """Serve until SIGINT or SIGTERM, or with ``with_parent`` until standard input closes.

    Returns the exit code. Raises `SlimdownError` if the address cannot be had, `StoreLocked` if
    another gateway records into this workspace, and what opening a workspace raises.
    """
    sys.setswitchinterval(_SWITCH_S)
    _allow_files()
    gateway = Gateway(settings, environ)
    if with_parent:
        end_with_parent(gateway.stop)
    gateway.run()
    return 0


class Gateway:
    """A gateway whose socket is open; `run` serves on it."""

    def __init__(self, settings: Settings, environ: Mapping[str, str]) -> None:
        """Listen; raises `SlimdownError` if the address cannot be had. Port 0 is a free one."""
        self._listener = _listener(settings.gateway)
        try:
            self._server = _Server(settings.gateway, assemble(settings, environ))
        except BaseException:  # whatever the cause, the address is given back
            self._listener.close()
            raise

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._listener.getsockname()[1])

    def run(self) -> None:
        """Serve until stopped, on any thread; raises what opening the workspace raises."""
        try:
            self._server.run(sockets=[self._listener])
        finally:
            self._listener.close()

    def stop(self) -> None:
        """Have `run` take no more calls, end those under way, and return; from any thread."""
        self._server.should_exit = True


class _Server(uvicorn.Server):
    """uvicorn, with the gateway's parts opened inside its loop and closed after the drain."""

    def __init__(self, settings: GatewaySettings, assembly: Assembly) -> None:
        config = uvicorn.Config(
            assembly.app,
            loop="uvloop",
            http=GatewayProtocol,
            ws="none",
            lifespan="off",
            interface="asgi3",
            server_header=False,
            date_header=False,
            access_log=False,
            proxy_headers=False,
            log_level="warning",
            backlog=_BACKLOG,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=DRAIN_S,
        )
        super().__init__(config)
        self._settings = settings
        self._assembly = assembly

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await self._assembly.open()
        await super().startup(sockets)

    async def on_tick(self, counter: int) -> bool:
        if counter % 10 == 0:  # once a second
            now, patience_s = time.monotonic(), self._settings.client_timeout_s
            for connection in list(self.server_state.connections):
                if isinstance(connection, GatewayProtocol):
                    connection.end_if_stuck(now, patience_s)
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        await self._assembly.close()

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Drain at the first signal, whichever it is; at the second, leave at once."""
        self.force_exit = self.should_exit
        self.should_exit = True


def _allow_files() -> None:
    """Take all the files that we may open: each call under way needs two."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with contextlib.suppress(ValueError, OSError):  # some systems grant less than they say
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _listener(settings: GatewaySettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
        # From here on a client that is early waits instead of being refused.
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise SlimdownError(
            f"{settings.host}:{settings.port} cannot be listened on ({error.strerror}). Nothing "
            "was started. Choose another with --port, or stop what is there."
        ) from error
    listener.setblocking(False)
    return listener
