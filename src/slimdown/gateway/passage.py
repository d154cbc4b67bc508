"""One call on its way through: what was seen of it so far, to be recorded whenever it ends."""

from __future__ import annotations

import time
from typing import Any

from slimdown.backends.reply import RuntimeAnswer
from slimdown.exchange import Exchange, Headers, Outcome
from slimdown.gateway.inbound import Inbound


class Passage:
    """Mutable, and owned by the one task that serves the call.

    ``held`` are pieces of the answer that wait until the call is recorded; ``draft`` is a
    specialist's answer that was not served: evidence, once the upstream's is there.
    """

    __slots__ = (
        "_began",
        "_first_byte_ms",
        "_size",
        "_waited_s",
        "cut",
        "draft",
        "headers",
        "held",
        "inbound",
        "most",
        "pieces",
        "reason",
        "recorded",
        "score",
        "served_by",
        "started_at",
        "status",
        "task_id",
        "upstream",
    )

    def __init__(self, inbound: Inbound, began: float, most: int) -> None:
        """Begin at ``began`` (monotonic); keep at most ``most`` bytes of the answer."""
        self.inbound = inbound
        self.most = most
        self.started_at = time.time() - (time.perf_counter() - began)
        self.status: int | None = None
        self.headers: Headers = ()
        self.pieces: list[bytes] = []
        self.held: list[bytes] = []
        self.cut = False
        self.recorded = False
        self.served_by = "upstream"
        self.upstream = ""
        self.task_id = ""
        self.reason = ""
        self.score: float | None = None
        self.draft: RuntimeAnswer | None = None
        self._began = began
        self._size = 0
        self._waited_s = 0.0
        self._first_byte_ms: float | None = None

    def add(self, piece: bytes) -> None:
        """Keep a piece of the answer, unless it is more than may be kept."""
        if self._first_byte_ms is None:
            self._first_byte_ms = self.elapsed_ms()
        self._size += len(piece)
        if self._size > self.most:
            self.cut = True
        else:
            self.pieces.append(piece)

    async def release(self, send: Any) -> None:
        """Send what was held back, piece by piece as it came."""
        held, self.held = self.held, []
        for piece in held:
            await send({"type": "http.response.body", "body": piece, "more_body": True})

    def waited(self, since: float) -> None:
        """Count the time since then as the upstream's or the runtime's, not as ours."""
        self._waited_s += time.perf_counter() - since

    def elapsed_ms(self) -> float:
        """Return the time since the call came in."""
        return (time.perf_counter() - self._began) * 1000

    def overhead_ms(self) -> float:
        """Return the time that we ourselves have taken so far."""
        return self.elapsed_ms() - self._waited_s * 1000

    def exchange(self, outcome: Outcome = "ok", detail: str = "") -> Exchange:
        """Return what was seen, as it is recorded."""
        inbound = self.inbound
        return Exchange(
            call_id=inbound.call_id,
            path=inbound.path,
            request_headers=inbound.headers,
            request_body=inbound.body,
            request=inbound.request,
            status=self.status,
            response_headers=self.headers,
            response_body=self.pieces[0] if len(self.pieces) == 1 else b"".join(self.pieces),
            cut=self.cut,
            outcome=outcome,
            detail=detail,
            started_at=self.started_at,
            latency_ms=round(self.elapsed_ms(), 3),
            first_byte_ms=self._first_byte_ms and round(self._first_byte_ms, 3),
            served_by=self.served_by,
            upstream=self.upstream,
            task_id=self.task_id,
            reason=self.reason,
            score=self.score,
        )
