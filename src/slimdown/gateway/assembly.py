"""Puts the gateway's parts together from the settings; opens and closes them in order."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from slimdown.backends.runtime import RuntimeClient
from slimdown.gateway.app import GatewayApp
from slimdown.gateway.local import Local
from slimdown.gateway.metrics import Metrics
from slimdown.gateway.recorder import Recorder
from slimdown.gateway.recording import CallMaker, Recording
from slimdown.gateway.relay import Relay
from slimdown.gateway.routing import Routing
from slimdown.gateway.specialists import Specialists
from slimdown.gateway.upstreams import Upstreams
from slimdown.gateway.watch import RouteWatch
from slimdown.ledger import load_prices
from slimdown.settings import RUNTIME_SOCKET, Settings
from slimdown.store import Store

_DRAIN_S = 10.0
_LOG = logging.getLogger("slimdown.gateway")


class Assembly:
    """The gateway's app and what stands behind it."""

    def __init__(
        self,
        app: GatewayApp,
        upstreams: Upstreams,
        recorder: Recorder,
        watch: RouteWatch,
        client: RuntimeClient,
        routing: Routing,
    ) -> None:
        """Take the parts; `open` starts them."""
        self.app = app
        self._upstreams = upstreams
        self._recorder = recorder
        self._watch = watch
        self._client = client
        self._routing = routing

    async def open(self) -> None:
        """Start what needs the running loop."""
        self._recorder.start()
        self._watch.start()
        await self._upstreams.open()
        await self._client.open()

    async def close(self) -> None:
        """Stop all parts; what waits to be recorded is recorded first."""
        await self._routing.close()
        await self._upstreams.close()
        await self._client.close()
        await self._recorder.close(_DRAIN_S)
        self._watch.close()


def _recorder_gauges(recorder: Recorder) -> dict[str, float]:
    health = recorder.health
    return {
        "recording": float(health.ok),
        "calls_waiting_to_be_stored": health.n_waiting,
        "calls_never_stored": health.n_lost,
    }


def assemble(settings: Settings, environ: Mapping[str, str]) -> Assembly:
    """Make the parts, unopened; raises `UsageError` for an upstream whose key is not there."""
    folder, gateway = Path(settings.workspace), settings.gateway
    metrics = Metrics()
    recorder = Recorder(
        lambda: Store.open(folder, environ, role="gateway"),
        CallMaker(load_prices(settings.prices)),
        budget_s=gateway.record_budget_s,
        on_broken=lambda reason: _LOG.error("calls are not being recorded: %s", reason),
    )
    watch = RouteWatch(lambda: Store.open(folder, environ, write=False))
    client = RuntimeClient(folder / RUNTIME_SOCKET, budget_s=gateway.specialist_budget_s)
    upstreams = Upstreams(gateway, settings.upstreams, environ)
    recording = Recording(recorder, metrics, is_closed=gateway.on_failure == "closed")
    specialists = Specialists(watch, client)
    routing = Routing(specialists, recording, recorder)
    metrics.reasons.append(lambda: dict(specialists.counts))
    metrics.gauges.append(lambda: _recorder_gauges(recorder))
    local = Local(
        metrics,
        {"recorder": lambda: recorder.health.reason, "routes": lambda: watch.problem},
    )
    app = GatewayApp(
        gateway,
        relay=Relay(gateway, upstreams, recording, lambda: watch.current.table.routes),
        recording=recording,
        routing=routing,
        local=local,
        metrics=metrics,
    )
    return Assembly(app, upstreams, recorder, watch, client, routing)
