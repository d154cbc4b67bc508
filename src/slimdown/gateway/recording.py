"""Records a call before its last byte leaves, and says whether that worked.

Where it does not, calls are served all the same ("open"), or refused ("closed").
"""

from __future__ import annotations

from typing import Any

import msgspec

from slimdown.capture.wire import call_of
from slimdown.exchange import Exchange, Outcome
from slimdown.gateway.metrics import Metrics
from slimdown.gateway.passage import Passage
from slimdown.gateway.recorder import Recorder
from slimdown.gateway.replies import Problem, reply_problem
from slimdown.ledger import Prices, cost_of
from slimdown.types import Call

Header = tuple[bytes, bytes]


class Recording:
    """The recorder, as the paths of a call use it."""

    def __init__(self, recorder: Recorder, metrics: Metrics, *, is_closed: bool) -> None:
        """Record with ``recorder``; ``is_closed`` refuses calls that cannot be recorded."""
        self._recorder = recorder
        self._metrics = metrics
        self._is_closed = is_closed

    def refusal(self) -> Problem | None:
        """Return why no call may be served now, or None: asked before the upstream is."""
        if self._is_closed and not self._recorder.health.ok:
            return _NOT_RECORDED
        return None

    async def record(self, passage: Passage, outcome: Outcome = "ok") -> bool:
        """Record a call as it stands now; tell whether its row is committed."""
        is_alone = self._metrics.in_flight <= 1
        logged = await self._recorder.record(passage.exchange(outcome), is_alone=is_alone)
        passage.recorded = True
        self._metrics.finished(passage, outcome, logged=logged)
        return logged

    def note(self, passage: Passage, outcome: Outcome) -> None:
        """Record a call that nobody waits for any more."""
        self._recorder.note(passage.exchange(outcome))
        passage.recorded = True
        self._metrics.finished(passage, outcome, logged=self._recorder.health.ok)

    async def deliver(self, passage: Passage, send: Any) -> None:
        """Record a whole answer, then send it piece by piece; refuse it where that is wanted."""
        logged = await self.record(passage)
        if not logged and self._is_closed:
            await reply_problem(send, _NOT_RECORDED, self.headers(passage, logged=False))
            return
        headers = [*passage.headers, *self.headers(passage, logged=logged)]
        await send({"type": "http.response.start", "status": passage.status, "headers": headers})
        *before, last = passage.pieces or [b""]
        for piece in before:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": last})

    def headers(self, passage: Passage, *, logged: bool | None = None) -> list[Header]:
        """Return the headers that tell who answered; ``logged`` None is a stream's: as of now."""
        if logged is None:
            logged = self._recorder.health.ok
        made = [
            (b"x-slimdown-call-id", passage.inbound.call_id.encode()),
            (b"x-slimdown-served-by", passage.served_by.encode()),
            (b"x-slimdown-overhead-ms", b"%.3f" % passage.overhead_ms()),
        ]
        if passage.inbound.endpoint:
            made.append((b"x-slimdown-logged", b"1" if logged else b"0"))
        if passage.task_id:
            made.append((b"x-slimdown-task", passage.task_id.encode()))
        return made


class CallMaker:
    """Turns exchanges into calls with what they cost; runs off the callers' path."""

    def __init__(self, prices: Prices) -> None:
        """Price calls by ``prices``."""
        self._prices = prices

    def __call__(self, exchange: Exchange) -> Call:
        """Return the call to be stored."""
        call = call_of(exchange)
        if exchange.served_by != "upstream":
            return call
        cost = cost_of(call, self._prices)
        gateway = call.metadata.get("gateway")
        if cost is None or not isinstance(gateway, dict):
            return call
        facts = {**gateway, "cost_usd": cost.usd, "cost_estimated": cost.estimated}
        return msgspec.structs.replace(call, metadata={**call.metadata, "gateway": facts})


_NOT_RECORDED = Problem(
    503,
    "not_recorded",
    "The call cannot be recorded, and gateway.on_failure is set to closed, so it is refused. "
    "See /readyz for the cause; free disk space or the store's lock, then send it again.",
    retry=True,
)
