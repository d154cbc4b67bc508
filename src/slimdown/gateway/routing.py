"""Specialists on a call's way: asked first where a route says so, or afterwards as a shadow.

A specialist's answer leaves as JSON or as a stream, whichever the caller asked for, and is
recorded like any other. Whatever goes wrong here, the upstream is asked.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import msgspec

from slimdown.backends.chat_stream import chunks
from slimdown.capture.wire import call_of, session_of_request
from slimdown.gateway.outgoing import header
from slimdown.gateway.passage import Passage
from slimdown.gateway.planning import Plan
from slimdown.gateway.recorder import Recorder
from slimdown.gateway.recording import Recording
from slimdown.gateway.specialists import Served, Specialists
from slimdown.types import JsonObject

_JSON = [(b"content-type", b"application/json")]
_EVENTS = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
_ENCODER = msgspec.json.Encoder()


class Routing:
    """Decides about calls and has specialists answer them."""

    def __init__(self, specialists: Specialists, recording: Recording, recorder: Recorder) -> None:
        """Ask these specialists; record their answers, and shadows as evidence."""
        self._specialists = specialists
        self._recording = recording
        self._recorder = recorder
        self._shadows: set[asyncio.Task[None]] = set()

    @property
    def is_active(self) -> bool:
        """Whether any route may ask a specialist."""
        return self._specialists.is_active

    def plan(self, passage: Passage) -> Plan:
        """Return who is to be asked for a call."""
        inbound = passage.inbound
        assert inbound.request is not None, "only a routable call is planned"
        plan = self._specialists.plan(
            inbound.request,
            off=header(inbound.headers, b"x-slimdown-route").strip().lower() == b"off",
            session=session_of_request(inbound.headers, inbound.request),
        )
        passage.reason, passage.task_id = plan.reason, plan.task_id
        return plan

    async def served(self, plan: Plan, passage: Passage, send: Any) -> bool:
        """Have a specialist answer the caller; tell whether it did."""
        inbound = passage.inbound
        assert inbound.request is not None, "only a routable call is planned"
        asked = time.perf_counter()
        answer = await self._specialists.answer(
            plan, inbound.request, inbound.body, inbound.call_id
        )
        passage.waited(asked)
        if not isinstance(answer, Served):
            passage.reason = answer.reason
            return False
        passage.status = 200
        passage.served_by, passage.task_id = answer.specialist_id, answer.task_id
        passage.score = answer.score
        if inbound.request.get("stream"):
            await self._streamed(answer.completion, inbound.request, passage, send)
        else:
            body = _ENCODER.encode(answer.completion)
            passage.add(body)
            passage.headers = [*_JSON, (b"content-length", str(len(body)).encode())]
            await self._recording.deliver(passage, send)
        return True

    async def _streamed(
        self, completion: JsonObject, request: JsonObject, passage: Passage, send: Any
    ) -> None:
        options = request.get("stream_options")
        include_usage = isinstance(options, dict) and options.get("include_usage") is True
        passage.headers = _EVENTS
        pieces = chunks(completion, include_usage=include_usage)
        for piece in pieces:
            passage.add(piece)
        logged = await self._recording.record(passage)
        headers = [*_EVENTS, *self._recording.headers(passage, logged=logged)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    def shadow(self, plan: Plan, passage: Passage) -> None:
        """Ask the shadow specialist, now that the caller has its answer, and keep the pair."""
        if passage.status != 200:
            return
        task = asyncio.get_running_loop().create_task(self._shadowed(plan, passage))
        self._shadows.add(task)
        task.add_done_callback(self._shadows.discard)

    async def _shadowed(self, plan: Plan, passage: Passage) -> None:
        inbound = passage.inbound
        assert inbound.request is not None, "only a routable call is planned"
        call = call_of(passage.exchange())
        if call.error is not None:
            return
        evidence = await self._specialists.shadow(
            plan, inbound.request, inbound.body, inbound.call_id, call.response
        )
        if evidence is not None:
            self._recorder.note_evidence(evidence)

    async def close(self) -> None:
        """End the shadows that are under way."""
        for task in self._shadows:
            task.cancel()
        await asyncio.gather(*self._shadows, return_exceptions=True)
