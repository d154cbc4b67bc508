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
from slimdown.exchange import Headers
from slimdown.gateway.models import plan_by_name
from slimdown.gateway.outgoing import header
from slimdown.gateway.pairing import compared
from slimdown.gateway.passage import Passage
from slimdown.gateway.planning import Plan
from slimdown.gateway.recorder import Recorder
from slimdown.gateway.recording import Recording
from slimdown.gateway.replies import Problem, reply_problem
from slimdown.gateway.specialists import Served, Specialists
from slimdown.types import JsonObject

_JSON = [(b"content-type", b"application/json")]
_EVENTS = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
_ENCODER = msgspec.json.Encoder()
_UNKNOWN = Problem(
    404,
    "model_not_found",
    "No live specialist has this name; the call went nowhere. `slimdown routes` lists them.",
)


def _declined(reason: str) -> Problem:
    return Problem(
        422,
        "specialist_declined",
        f"The specialist may not answer this call ({reason}), and behind its own name there is no "
        "upstream to ask. Ask for the upstream's model: the gateway routes by itself.",
    )


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

    async def by_name(self, passage: Passage, send: Any) -> None:
        """Answer a caller that asks for a specialist by its own name, or say why not."""
        assert passage.inbound.request is not None, "only a routable call is planned"
        plan = plan_by_name(passage.inbound.request, self._specialists.routing)
        problem = _UNKNOWN
        if plan is not None:
            passage.task_id, passage.reason = plan.task_id, plan.reason
            if plan.asks and await self.answered(plan, passage):
                await self._recording.deliver(passage, send)
                return
            problem = _declined(passage.reason)
        passage.status = problem.status
        passage.add(problem.body())
        await self._recording.record(passage)
        await reply_problem(send, problem, self._recording.headers(passage))

    async def answered(self, plan: Plan, passage: Passage) -> bool:
        """Have a specialist answer; tell whether the passage holds its answer, to be delivered.

        Where it does not, or where this fails, the passage is as the upstream's answer needs it.
        """
        inbound = passage.inbound
        assert inbound.request is not None, "only a routable call is planned"
        asked = time.perf_counter()
        answer = await self._specialists.answer(
            plan, inbound.request, inbound.body, inbound.call_id
        )
        passage.waited(asked)
        if not isinstance(answer, Served):
            passage.reason, passage.draft = answer.reason, answer.draft
            return False
        headers, pieces = _rendered(answer.completion, inbound.request)
        passage.status, passage.headers = 200, headers
        passage.served_by, passage.task_id = answer.specialist_id, answer.task_id
        passage.score = answer.score
        for piece in pieces:
            passage.add(piece)
        return True

    def follow_up(self, plan: Plan, passage: Passage) -> None:
        """Keep a specialist's answer beside the upstream's, now that the caller has the latter.

        A shadow is asked for its answer; a draft that was not served is compared as it is.
        """
        if passage.status != 200 or not (plan.shadows or passage.draft):
            return
        task = asyncio.get_running_loop().create_task(self._followed_up(plan, passage))
        self._shadows.add(task)
        task.add_done_callback(self._shadows.discard)

    async def _followed_up(self, plan: Plan, passage: Passage) -> None:
        inbound = passage.inbound
        assert inbound.request is not None, "only a routable call is planned"
        call = call_of(passage.exchange())
        if call.error is not None:
            return
        if passage.draft is not None:
            evidence = compared(plan, passage.draft, inbound.call_id, call.response)
        else:
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


def _rendered(completion: JsonObject, request: JsonObject) -> tuple[Headers, list[bytes]]:
    """Return a completion as the request wants it: a stream of events, or JSON."""
    if request.get("stream"):
        return _EVENTS, chunks(completion, include_usage=_wants_usage(request))
    body = _ENCODER.encode(completion)
    return [*_JSON, (b"content-length", str(len(body)).encode())], [body]


def _wants_usage(request: JsonObject) -> bool:
    options = request.get("stream_options")
    return isinstance(options, dict) and options.get("include_usage") is True
