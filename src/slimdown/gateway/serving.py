"""Starts the gateway on a socket and keeps it going until it is told to stop; then drains it."""

from __future__ import annotations

import contextlib
import resource
import socket
import sys
import time
from collections.abc import Callable, Mapping

from slimdown.errors import SlimdownError
from slimdown.gateway.assembly import Assembly, assemble
from slimdown.gateway.protocol import GatewayProtocol
from slimdown.processes import end_with_parent
from slimdown.server import DrainedServer, spare_collections
from slimdown.settings import GatewaySettings, Settings, base_url

DRAIN_S = 30
"""Seconds that calls under way get to end once the gateway is told to stop."""

# The loop and the recorder's thread share one interpreter: a waiting one is let in sooner.
_SWITCH_S = 0.0005
_BACKLOG = 2048


def serve(
    settings: Settings,
    environ: Mapping[str, str],
    *,
    with_parent: bool = False,
    started: Callable[[str], None] = lambda base_url: None,
) -> int:
    """Serve until SIGINT or SIGTERM, or with ``with_parent`` until standard input closes.

    ``started`` is told the base URL once it listens. Returns the exit code. Raises
    `SlimdownError` if the address cannot be had, `StoreLocked` if another gateway records into
    this workspace, and what opening a workspace raises.
    """
    sys.setswitchinterval(_SWITCH_S)
    spare_collections()
    _allow_files()
    gateway = Gateway(settings, environ)
    if with_parent:
        end_with_parent(gateway.stop)
    started(base_url(settings.gateway.host, gateway.port))
    gateway.run()
    return 0


class Gateway:
    """A gateway whose socket is open; `run` serves on it."""

    def __init__(self, settings: Settings, environ: Mapping[str, str]) -> None:
        """Listen; raises `SlimdownError` if the address cannot be had. Port 0 is a free one."""
        self._listener = _listener(settings.gateway)
        try:
            self._server = _server(settings.gateway, assemble(settings, environ))
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
        self._server.stop()


def _server(settings: GatewaySettings, assembly: Assembly) -> DrainedServer:
    def end_stuck(server: DrainedServer) -> None:
        now = time.monotonic()
        for connection in list(server.server_state.connections):
            if isinstance(connection, GatewayProtocol):
                connection.end_if_stuck(now, settings.client_timeout_s)

    return DrainedServer(
        assembly.app,
        drain_s=DRAIN_S,
        opened=assembly.open,
        closed=assembly.close,
        ticked=end_stuck,
        http=GatewayProtocol,
        backlog=_BACKLOG,
    )


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
