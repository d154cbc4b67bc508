"""The gateway as one raw ASGI callable: look at the head, read the body, decide, answer, record.

A router or a middleware stack would cost a third of the throughput. Every fault of ours ends in
the upstream's answer, or in an error in OpenAI's shape; none ends the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import traceback
from typing import Any

from slimdown.gateway.guard import Guard
from slimdown.gateway.ids import CallIds
from slimdown.gateway.inbound import Gone, Inbound, Refused, read_inbound
from slimdown.gateway.local import Local
from slimdown.gateway.metrics import Metrics
from slimdown.gateway.models import PREFIX
from slimdown.gateway.passage import Passage
from slimdown.gateway.planning import NO_ROUTE, Plan
from slimdown.gateway.protocol import TASK
from slimdown.gateway.recording import Recording
from slimdown.gateway.relay import Relay, Severed
from slimdown.gateway.replies import Problem, reply_problem
from slimdown.gateway.routing import Routing
from slimdown.settings import GatewaySettings

_LOG = logging.getLogger("slimdown.gateway")


class GatewayApp:
    """An ASGI 3 application for HTTP."""

    def __init__(
        self,
        settings: GatewaySettings,
        *,
        relay: Relay,
        recording: Recording,
        routing: Routing,
        local: Local,
        metrics: Metrics,
    ) -> None:
        """Put the parts together; none of them is started here."""
        self._settings = settings
        self._guard = Guard((settings.host, *settings.hosts))
        self._relay = relay
        self._recording = recording
        self._routing = routing
        self._local = local
        self._metrics = metrics
        self._ids = CallIds()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request."""
        began = time.perf_counter()
        scope[TASK] = asyncio.current_task()
        call_id = self._ids.next()
        problem = self._guard.objection(scope["method"], scope["headers"])
        if problem is not None:
            await self._refuse(send, problem, call_id)
            return
        page = self._local.page(scope["method"], scope["path"])
        if page is not None:
            await page(send)
            return
        if self._metrics.in_flight >= self._settings.max_in_flight:
            await self._refuse(send, _OVERLOADED, call_id)
            return
        self._metrics.in_flight += 1
        try:
            await self._admitted(scope, receive, send, call_id, began)
        finally:
            self._metrics.in_flight -= 1

    async def _admitted(
        self, scope: Any, receive: Any, send: Any, call_id: str, began: float
    ) -> None:
        try:
            inbound = await read_inbound(
                scope, receive, call_id, most=self._settings.max_body_bytes
            )
        except Refused as refused:
            await self._refuse(send, refused.problem, call_id)
        except (Gone, asyncio.CancelledError):
            return  # nothing whole was asked, so there is nothing to record
        else:
            await self._serve(inbound, send, began)

    async def _serve(self, inbound: Inbound, send: Any, began: float) -> None:
        passage = Passage(inbound, began, self._settings.max_body_bytes)
        try:
            await self._answered(passage, send)
        except asyncio.CancelledError:
            # Only the protocol cancels, when the client has gone, or the server at its end.
            if inbound.endpoint and not passage.recorded:
                self._recording.note(passage, "client_disconnected")
        except Severed:
            return  # unfinished as it is, the server breaks the connection off
        except Exception as error:  # noqa: BLE001 - no fault of ours may end as a bare 500
            await self._confess(error, passage, send)

    async def _confess(self, error: Exception, passage: Passage, send: Any) -> None:
        """Record a call that a fault of ours has ended, and say so; never what it held."""
        self._metrics.faults[type(error).__name__] += 1
        last = traceback.extract_tb(error.__traceback__)[-1]
        _LOG.error("a fault in %s:%s: %s", last.filename, last.lineno, type(error).__name__)
        if passage.inbound.endpoint and not passage.recorded:
            self._recording.note(passage, "gateway_fault")
        with contextlib.suppress(RuntimeError):  # uvicorn's, where an answer has begun already
            await reply_problem(send, _FAULT, self._recording.headers(passage))

    async def _answered(self, passage: Passage, send: Any) -> None:
        if passage.inbound.model.startswith(PREFIX) and passage.inbound.is_routable:
            await self._routing.by_name(passage, send)
            return
        plan: Plan = NO_ROUTE
        is_answered = False
        if passage.inbound.is_routable and self._routing.is_active:
            try:
                plan = self._routing.plan(passage)
                is_answered = plan.asks and await self._routing.answered(plan, passage)
            except Exception as error:  # noqa: BLE001 - routing may fail; the upstream then answers
                self._metrics.faults[type(error).__name__] += 1
        if is_answered:
            await self._recording.deliver(passage, send)
            return
        await self._relay.relay(passage, send)
        self._routing.follow_up(plan, passage)

    async def _refuse(self, send: Any, problem: Problem, call_id: str) -> None:
        self._metrics.refused[problem.code] += 1
        headers = [(b"x-slimdown-call-id", call_id.encode())]
        await reply_problem(send, problem, headers, close=True)


_FAULT = Problem(
    500,
    "gateway_fault",
    "The gateway failed at this call, which is a fault in slimdown; what it had seen is recorded. "
    "Send it again, or straight to the provider; the log names the place.",
)
_OVERLOADED = Problem(
    429,
    "gateway_overloaded",
    "The gateway has as many calls under way as it takes (gateway.max_in_flight); this one was "
    "not sent upstream. Send it again shortly.",
    retry=True,
)
