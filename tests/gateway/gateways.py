"""A real gateway for tests: on a free port, in a thread, with a workspace and a key of its own."""

import base64
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec

from slimdown.gateway.serving import Gateway
from slimdown.settings import GatewaySettings, Settings, UpstreamSettings
from slimdown.store import Store
from slimdown.types import Call

ENVIRON = {"SLIMDOWN_KEY": base64.b64encode(bytes(range(32))).decode()}
CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "where is my parcel?"}]}


class Running(msgspec.Struct, frozen=True):
    """A gateway that serves, and where it records."""

    url: str
    workspace: Path

    @property
    def base_url(self) -> str:
        """What a client of OpenAI is given."""
        return f"{self.url}/v1"

    def calls(self) -> list[Call]:
        """Return what is recorded, oldest first."""
        with Store.open(self.workspace, ENVIRON, write=False) as store:
            return list(store.calls())

    def calls_after(self, n: int, patience_s: float = 5.0) -> list[Call]:
        """Return what is recorded once that is at least ``n`` calls."""
        until = time.monotonic() + patience_s
        while len(found := self.calls()) < n and time.monotonic() < until:
            time.sleep(0.02)
        assert len(found) >= n, f"{len(found)} calls are recorded, not {n}"
        return found

    def post(self, path: str = "/v1/chat/completions", **fields: Any) -> httpx.Response:
        """Send one request; `json` is a small chat unless given."""
        sent = fields if {"json", "content"} & fields.keys() else {"json": CHAT, **fields}
        with httpx.Client(timeout=30) as client:
            return client.post(self.url + path, **sent)

    def get(self, path: str, **fields: Any) -> httpx.Response:
        """Fetch one page."""
        with httpx.Client(timeout=30) as client:
            return client.get(self.url + path, **fields)


@contextmanager
def running_gateway(folder: Path, upstream: str, **gateway: Any) -> Iterator[Running]:
    """Yield a gateway in front of ``upstream``; ``gateway`` are fields of `GatewaySettings`."""
    workspace = folder / "workspace"
    settings = Settings(
        workspace=str(workspace),
        gateway=GatewaySettings(**{"port": 0, **gateway}),
        upstreams={"llm": UpstreamSettings(url=upstream)},
    )
    served = Gateway(settings, ENVIRON)
    thread = threading.Thread(target=served.run)
    thread.start()
    try:
        yield Running(f"http://127.0.0.1:{served.port}", workspace)
    finally:
        served.stop()
        thread.join(20)
        assert not thread.is_alive(), "the gateway did not end"
