"""The gateways that are measured: how each is started, and what its callers must send."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gateway_parts.load import PEERS

BENCHMARKS = PEERS.parent
LITELLM = BENCHMARKS / ".litellm" / "bin" / "litellm"
PORTKEY = BENCHMARKS / ".portkey/node_modules/@portkey-ai/gateway/build/start-server.js"
_KEY = "sk-0123456789abcdef0123456789abcdef"


@dataclass(frozen=True)
class Place:
    """Where a gateway runs: its own port and folder, and the upstream's port."""

    port: int
    upstream_port: int
    folder: Path
    environ: Mapping[str, str]

    @property
    def upstream(self) -> str:
        """The upstream's base URL."""
        return f"http://127.0.0.1:{self.upstream_port}/v1"


@dataclass(frozen=True)
class Contestant:
    """One gateway. ``command`` is None for the upstream itself; ``needs`` must exist to run it."""

    name: str
    command: Callable[[Place], list[str]] | None = None
    environ: Callable[[Place], Mapping[str, str]] = lambda _place: {}
    headers: Callable[[Place], Mapping[str, str]] = lambda _place: {}
    needs: Path = field(default=PEERS)
    ready: str = "/"
    records: bool = False

    def caller_headers(self, place: Place) -> dict[str, str]:
        """Return the headers that a caller sends."""
        return {"Authorization": f"Bearer {_KEY}", **self.headers(place)}


def slimdown(place: Place) -> list[str]:
    """Return the command that starts our gateway, recording into a workspace of its own."""
    options = ["--upstream", place.upstream, "--port", str(place.port)]
    return [sys.executable, "-m", "slimdown", "gateway", *options, *workspace(place)]


def runtime(place: Place) -> list[str]:
    """Return the command that starts our specialists."""
    return [sys.executable, "-m", "slimdown", "runtime", *workspace(place)]


def workspace(place: Place) -> list[str]:
    """Return the flag that names the workspace."""
    return ["--workspace", str(place.folder / "workspace")]


def _bare(place: Place) -> list[str]:
    app = Path(__file__).with_name("bare.py")
    return [sys.executable, str(app), place.upstream, str(place.port)]


def _litellm(place: Place) -> list[str]:
    config = str(PEERS / "litellm.yaml")
    return [str(LITELLM), "--config", config, "--host", "127.0.0.1", "--port", str(place.port)]


def _litellm_environ(place: Place) -> dict[str, str]:
    # Without the last, it asks the network for a price list before it starts.
    local = {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    return {"BENCH_UPSTREAM": place.upstream, "BENCH_KEY": _KEY, **local}


def _portkey(place: Place) -> list[str]:
    return ["node", str(PORTKEY), f"--port={place.port}", "--headless"]


def _portkey_headers(place: Place) -> dict[str, str]:
    return {"x-portkey-provider": "openai", "x-portkey-custom-host": place.upstream}


DIRECT = Contestant("direct")
SLIMDOWN = Contestant(
    "slimdown",
    slimdown,
    environ=lambda place: place.environ,
    ready="/healthz",
    records=True,
)
CONTESTANTS: tuple[Contestant, ...] = (
    DIRECT,
    Contestant("bare ASGI", _bare),
    SLIMDOWN,
    Contestant("Portkey", _portkey, headers=_portkey_headers, needs=PORTKEY),
    Contestant("LiteLLM", _litellm, environ=_litellm_environ, needs=LITELLM, ready="/"),
)
