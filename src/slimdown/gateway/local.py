"""The gateway's own pages: is it alive, is it ready, what has it done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from slimdown.gateway.metrics import Metrics
from slimdown.gateway.replies import reply, reply_json

Page = Callable[[Any], Awaitable[None]]
"""Sends one page."""

Check = Callable[[], str]
"""Says what is wrong with one part, "" if nothing is."""

_TEXT = (b"content-type", b"text/plain; version=0.0.4; charset=utf-8")


class Local:
    """Health and metrics."""

    def __init__(self, metrics: Metrics, checks: dict[str, Check]) -> None:
        """Answer from these metrics and checks, by name of the part that each is about."""
        self._metrics = metrics
        self._checks = checks
        self._pages = {"/healthz": self._health, "/readyz": self._ready, "/metrics": self._counts}

    def page(self, method: str, path: str) -> Page | None:
        """Return the page of ours that is asked for, or None: then it is the upstream's."""
        return self._pages.get(path) if method in ("GET", "HEAD") else None

    async def _health(self, send: Any) -> None:
        await reply_json(send, 200, {"status": "ok"})

    async def _ready(self, send: Any) -> None:
        """Say what is wrong; degraded is still 200: calls are answered, which is what it is for."""
        problems = {name: said for name, check in self._checks.items() if (said := check())}
        status = "degraded" if problems else "ready"
        await reply_json(send, 200, {"status": status, "problems": problems})

    async def _counts(self, send: Any) -> None:
        await reply(send, 200, self._metrics.page(), [_TEXT])
