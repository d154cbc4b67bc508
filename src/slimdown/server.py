"""uvicorn as all our processes run it: one app on one open socket, drained when told to stop.

Knows nothing of what the app answers. Loads uvicorn, so only what serves imports it.
"""

from __future__ import annotations

import gc
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn

_YOUNG_OBJECTS = 20_000  # some hundred calls' worth

Hook = Callable[[], Awaitable[None]]
"""Something to be done inside the server's loop."""


async def _nothing() -> None:
    """Do nothing."""


def spare_collections() -> None:
    """Look for reference cycles less often: a call makes hundreds of objects and few cycles.

    What is loaded by now stays for good, so it is never looked through again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, 20, 50)


class DrainedServer(uvicorn.Server):
    """Stops at the first signal when calls under way have ended, at the second at once.

    ``opened`` runs before the first connection is taken and ``closed`` after the last has ended,
    both inside the loop; ``ticked`` about once a second. ``more`` are options of `uvicorn.Config`.
    """

    def __init__(
        self,
        app: Any,
        *,
        drain_s: int,
        opened: Hook = _nothing,
        closed: Hook = _nothing,
        ticked: Callable[[DrainedServer], None] = lambda server: None,
        **more: Any,
    ) -> None:
        """Take the app; calls under way get ``drain_s`` seconds to end."""
        options: dict[str, Any] = {
            "loop": "uvloop",
            "http": "httptools",
            "ws": "none",
            "lifespan": "off",
            "interface": "asgi3",
            "server_header": False,
            "date_header": False,
            "access_log": False,
            "proxy_headers": False,
            "log_level": "warning",
            "timeout_keep_alive": 75,
            "timeout_graceful_shutdown": drain_s,
        }
        super().__init__(uvicorn.Config(app, **(options | more)))
        self._opened = opened
        self._closed = closed
        self._ticked = ticked

    def stop(self) -> None:
        """Take no more calls, end those under way, and return from `run`; from any thread."""
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open what stands behind the app, then listen."""
        await self._opened()
        await super().startup(sockets)

    async def on_tick(self, counter: int) -> bool:
        """Look after what is under way, ten times a second; tell whether to stop."""
        if counter % 10 == 0:
            self._ticked(self)
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain, then close what stands behind the app."""
        await super().shutdown(sockets)
        await self._closed()

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Drain at the first signal, whichever it is; at the second, leave at once."""
        self.force_exit = self.should_exit
        self.should_exit = True
