"""Runs any ASGI application under uvicorn for a while, and finds ports that nobody uses."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn

_DRAIN_S = 2


def free_port() -> int:
    """Return a loopback port on which nothing listens at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(app: Any, *, path: Path | None = None, **settings: Any) -> Iterator[str]:
    """Serve an ASGI application from a thread; yield its URL, "unix:PATH" where a path is given.

    ``settings`` are further ones of `uvicorn.Config`. Raises `RuntimeError` where the application
    does not start. Leaving waits for what is in flight, two seconds at most.
    """
    listener = _listener(path)
    quiet = {"log_config": None, "access_log": False, "ws": "none"}
    drain = {"timeout_graceful_shutdown": _DRAIN_S}
    server = _Announced(uvicorn.Config(app, **{**quiet, **drain, **settings}))
    thread = threading.Thread(target=server.run, args=([listener],), name="serving", daemon=True)
    thread.start()
    server.ready.wait()
    try:
        if not server.started:
            raise RuntimeError("the application did not start; its log says why.")
        yield f"unix:{path}" if path else f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


class _Announced(uvicorn.Server):
    """A server that tells when it has started, or failed to."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        except SystemExit:  # how uvicorn tells that the application refused to start
            self.should_exit = True
        finally:
            self.ready.set()


def _listener(path: Path | None) -> socket.socket:
    if path is None:
        return socket.create_server(("127.0.0.1", 0))
    return socket.create_server(str(path), family=socket.AF_UNIX)
