"""Passes a call to the upstream and its answer back, byte for byte, recorded before its last byte.

A stream goes on piece by piece as it comes; only its last event waits for the row. Any other
answer to a model call is held until its row is there. What is no model call just passes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import aiohttp
import msgspec

from slimdown.exchange import Outcome
from slimdown.gateway.answers import is_invalid, is_stream, takes_no_more
from slimdown.gateway.body import Body, Endless
from slimdown.gateway.ending import Ending
from slimdown.gateway.models import is_list, live, with_specialists
from slimdown.gateway.outgoing import returned_headers
from slimdown.gateway.passage import Passage
from slimdown.gateway.recording import Recording
from slimdown.gateway.replies import Problem, reply, reply_problem
from slimdown.gateway.upstreams import Unanswered, Upstream, Upstreams, invalid
from slimdown.settings import GatewaySettings
from slimdown.types import Route

_BROKEN = (aiohttp.ClientError, OSError)


class Relay:
    """Relays calls to upstreams."""

    def __init__(
        self,
        settings: GatewaySettings,
        upstreams: Upstreams,
        recording: Recording,
        routes: Callable[[], Sequence[Route]] = tuple,
    ) -> None:
        """Use these upstreams and this recording; ``routes`` gives those in force."""
        self._routes = routes
        self._settings = settings
        self._upstreams = upstreams
        self._recording = recording

    async def relay(self, passage: Passage, send: Any) -> None:
        """Ask the upstream and pass its answer on; a failure of its is an error for the caller."""
        inbound = passage.inbound
        upstream = self._upstreams.choose(inbound.model)
        passage.upstream = upstream.name
        refusal = self._recording.refusal() if inbound.endpoint else None
        if refusal is not None:
            await reply_problem(send, refusal, self._recording.headers(passage))
            return
        try:
            response = await self._asked(upstream, passage)
        except Unanswered as failure:
            await self._fail(passage, send, failure.outcome, failure.problem)
            return
        try:
            await self._pass_on(response, passage, send)
        finally:
            # Bytes that are still to come are not wanted: only a whole answer's connection is kept.
            response.release() if response.content.at_eof() else response.close()

    async def _asked(self, upstream: Upstream, passage: Passage) -> aiohttp.ClientResponse:
        asked = time.perf_counter()
        try:
            return await self._upstreams.ask(upstream, passage.inbound)
        finally:
            passage.waited(asked)

    async def _pass_on(self, response: aiohttp.ClientResponse, passage: Passage, send: Any) -> None:
        passage.status = response.status
        passage.headers = returned_headers(response.raw_headers)
        if passage.inbound.endpoint is None:
            await self._unrecorded(response, passage, send)
        elif is_stream(passage):
            await self._stream(response, passage, send)
        else:
            await self._whole(response, passage, send)

    async def _unrecorded(
        self, response: aiohttp.ClientResponse, passage: Passage, send: Any
    ) -> None:
        """Pass on what is no model call; a break in it breaks the caller's answer off, too."""
        if is_list(passage.inbound) and live(self._routes()):
            await self._listed(response, passage, send)
            return
        await self._start(passage, send)
        try:
            body = self._body(response)
            while piece := await body.next():
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        except (*_BROKEN, TimeoutError):
            raise Severed from None
        await send({"type": "http.response.body", "body": b""})

    async def _listed(self, response: aiohttp.ClientResponse, passage: Passage, send: Any) -> None:
        """Pass a list of models on, the live specialists added."""
        try:
            with self._upstreams.patience.limit(self._settings.idle_timeout_s):
                body = await response.read()
        except (*_BROKEN, TimeoutError):
            raise Severed from None
        headers = passage.headers
        if passage.status == 200:
            body, headers = with_specialists(body, headers, self._routes())
        kept = [line for line in headers if line[0] != b"content-length"]
        await reply(send, passage.status or 502, body, [*kept, *self._recording.headers(passage)])

    async def _whole(self, response: aiohttp.ClientResponse, passage: Passage, send: Any) -> None:
        began = time.perf_counter()
        try:
            body = self._body(response)
            while piece := await body.next():
                passage.add(piece)
        except TimeoutError as error:  # an OSError, too
            problem = self._silent(passage.upstream, error)
            await self._fail(passage, send, "upstream_stalled", problem)
            return
        except _BROKEN:
            await self._fail(passage, send, "upstream_truncated", _truncated(passage.upstream))
            return
        finally:
            passage.waited(began)
        if passage.cut:
            problem = _too_long(passage.upstream, passage.most)
            await self._fail(passage, send, "too_large", problem)
            return
        if is_invalid(passage):
            await self._fail(passage, send, "upstream_invalid", invalid(passage.upstream))
            return
        await self._recording.deliver(passage, send)

    async def _stream(self, response: aiohttp.ClientResponse, passage: Passage, send: Any) -> None:
        """Pass a stream on; hold its last event back until the call is recorded."""
        await self._start(passage, send)
        ending = Ending()
        outcome: Outcome = "ok"
        problem: Problem | None = None
        try:
            await self._until_last(self._body(response), ending, passage, send)
            if not (ending.has_begun or ending.is_whole(passage)):
                outcome, problem = "upstream_truncated", _truncated(passage.upstream)
        except TimeoutError as error:  # an OSError, too
            outcome, problem = "upstream_stalled", self._silent(passage.upstream, error)
        except _BROKEN:
            outcome, problem = "upstream_truncated", _truncated(passage.upstream)
        if passage.recorded:
            problem = None  # the answer was whole before the connection broke
        else:
            await self._recording.record(passage, outcome)
            await passage.release(send)
        await _end_stream(problem, None if takes_no_more(passage) else ending.gap, send)

    async def _until_last(self, body: Body, ending: Ending, passage: Passage, send: Any) -> None:
        """Send all but the last event as it comes; that one when it is whole and recorded."""
        while piece := await body.next():
            passage.add(piece)
            if passage.recorded or not ending.begins_in(piece):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                continue
            passage.held.append(piece)
            if ending.is_reached:
                await self._recording.record(passage)
                await passage.release(send)

    async def _start(self, passage: Passage, send: Any) -> None:
        headers = [*passage.headers, *self._recording.headers(passage)]
        await send({"type": "http.response.start", "status": passage.status, "headers": headers})

    def _silent(self, upstream: str, error: TimeoutError) -> Problem:
        """Return the problem of an answer that fell silent, or that has no end."""
        if isinstance(error, Endless):
            return _endless(upstream, self._settings.longest_s)
        return _stalled(upstream, self._settings.idle_timeout_s)

    def _body(self, response: aiohttp.ClientResponse) -> Body:
        settings = self._settings
        return Body(response, self._upstreams.patience, settings.idle_timeout_s, settings.longest_s)

    async def _fail(self, passage: Passage, send: Any, outcome: Any, problem: Problem) -> None:
        """Record a model call that failed, and tell the caller: of both, if both failed it."""
        if passage.inbound.endpoint:
            await self._recording.record(passage, outcome)
        if passage.reason == "runtime_unavailable":
            problem = _both_down(problem)
        await reply_problem(send, problem, self._recording.headers(passage))


async def _end_stream(problem: Problem | None, gap: bytes | None, send: Any) -> None:
    """End a stream, with an event for a problem; where none can be read, by breaking it off."""
    if problem is None:
        await send({"type": "http.response.body", "body": b""})
    elif gap is None:
        raise Severed
    else:
        await send({"type": "http.response.body", "body": gap + problem.event()})


class Severed(Exception):
    """The answer broke off after its head had gone: the caller's connection must break, too."""


def _both_down(problem: Problem) -> Problem:
    """Return the problem of a call that neither its specialist nor the upstream could answer."""
    also = "The specialist that answers such calls was asked first; its runtime did not answer."
    message = f"{problem.message} {also}"
    return msgspec.structs.replace(problem, status=503, message=message, retry=True)


def _truncated(name: str) -> Problem:
    return Problem(
        502,
        "upstream_truncated",
        f"The upstream {name} broke off before its answer was whole. What came is recorded as "
        "broken off. Send the call again.",
    )


def _stalled(name: str, idle_s: float) -> Problem:
    return Problem(
        504,
        "upstream_stalled",
        f"The upstream {name} fell silent for {idle_s:g} s in the middle of its answer. What came "
        "is recorded as broken off. Send the call again, or raise gateway.idle_timeout_s.",
    )


def _endless(name: str, longest_s: float) -> Problem:
    return Problem(
        504,
        "upstream_endless",
        f"The upstream {name} was still answering after {longest_s:g} s. What came is recorded as "
        "broken off. Send the call again, or raise gateway.longest_s.",
    )


def _too_long(name: str, most: int) -> Problem:
    return Problem(
        502,
        "upstream_too_large",
        f"The upstream {name} answered with more than {most:,} bytes. The beginning is recorded. "
        "Raise gateway.max_body_bytes if such answers are due.",
    )
