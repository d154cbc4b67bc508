"""Specialists that answer nonsense, freeze or die: the caller has the LLM's answer, or an error."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from faulty import problem
from gateways import running_gateway
from routed_tasks import RELEASE, ROUTE, asking, in_force, planned, reply, request
from test_specialists_served import Place, Runtime, put, said, until, upstream_says

from slimdown.gateway.specialists import Fallback, Specialists
from slimdown.testing import ScriptedUpstream, answer, completion, refuse, serving
from slimdown.types import JsonObject

BUDGET_S = 0.25
LLM = ("upstream", "upstream")
SPECIALIST = ("s1", "delivery")
SOCKET = "runtime.sock"
FACTS = {"task": "t1", "specialist": "s1", "score": 0.9, "confidence": 0.9}


class Moody(Runtime):
    """A runtime that says the bytes of the moment, or freezes."""

    def __init__(self) -> None:
        super().__init__(200, reply())
        self.is_frozen = False
        self.headers: list[tuple[bytes, bytes]] = []

    def good(self) -> None:
        self.body, self.is_frozen = msgspec.json.encode(reply()), False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.n_asked += scope["path"] != "/healthz"
        if self.is_frozen:
            await asyncio.Event().wait()
        await send({"type": "http.response.start", "status": 200, "headers": self.headers})
        await send({"type": "http.response.body", "body": self.body})


@contextmanager
def routed(folder: Path, budget_s: float = 10.0) -> Iterator[Place]:
    """Yield a gateway with a live route, once it has seen the route; a runtime may come later."""
    put(folder, ROUTE, 1, RELEASE)
    with (
        ScriptedUpstream(upstream_says) as upstream,
        running_gateway(folder, upstream.url, specialist_budget_s=budget_s) as gateway,
    ):
        found = Place(gateway, upstream)
        until(lambda: found.facts(found.ask(n=2)).get("reason", "no_route") != "no_route")
        yield found


def runtime_socket(folder: Path) -> Path:
    return folder / "workspace" / SOCKET


def told_of(said_whole: JsonObject, **facts: Any) -> bytes:
    return msgspec.json.encode({**said_whole, "slimdown": {**FACTS, **facts}})


def without(key: str) -> bytes:
    return msgspec.json.encode({k: v for k, v in reply().items() if k != key})


def message(**fields: Any) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", **fields}, "finish_reason": "stop"}
    return told_of({**completion("x"), "choices": [choice]})


NONSENSE = {
    "nothing": b"",
    "a page": b"<html>",
    "no text": b"\xff\xfe\x00",
    "half": b'{"choices": [',
    "deep": b"[" * 100_000,
    "a list": b"[]",
    "null": b"null",
    "no choices": without("choices"),
    "no facts": msgspec.json.encode(completion("delivery")),
    "choices that are none": told_of({**completion("x"), "choices": 7}),
    "no message": told_of({**completion("x"), "choices": [{"index": 0}]}),
    "content that is none": message(content=["delivery"]),
    "another specialist": told_of(completion("delivery"), specialist="s9"),
    "no score": told_of(completion("delivery"), score=None),
    "a score that is none": told_of(completion("delivery"), score="high"),
    "a score beyond one": told_of(completion("delivery"), score=7),
    "cut": told_of({**completion("x"), "choices": [{"finish_reason": "length"}]}),
}
UNFIT = {
    "empty": message(content=""),
    "blank": message(content="  \n"),
    "null content": message(content=None),
    "another label": message(content="abracadabra"),
    "a tool nobody offered": message(
        content=None,
        tool_calls=[{"id": "a", "type": "function", "function": {"name": "rm", "arguments": "{}"}}],
    ),
    "another task": told_of(completion("delivery"), task="t9"),
    "a low score": told_of(completion("delivery"), score=0.1),
}


@pytest.mark.parametrize("name", NONSENSE)
def test_f17_what_is_no_answer_counts_as_a_runtime_that_is_down(name: str) -> None:
    async def using(specialists: Specialists) -> object:
        plan = planned(specialists, request())
        return await specialists.answer(plan, request(), b"{}", "call-1")

    with ScriptedUpstream(answer(NONSENSE[name])) as runtime:
        found = asking(runtime.url, in_force(ROUTE), using)

    assert isinstance(found, Fallback)
    assert (found.reason, found.draft) == ("runtime_unavailable", None)


def test_f17_an_answer_that_is_not_fit_is_never_seen_and_does_no_harm(tmp_path: Path) -> None:
    runtime = Moody()

    with serving(runtime, path=_made(tmp_path), lifespan="off"), routed(tmp_path) as here:
        for name, body in UNFIT.items():
            runtime.body = body
            assert said(here.ask()) == LLM, name
            runtime.good()
            assert said(here.ask()) == SPECIALIST, name
        metrics = here.gateway.get("/metrics").text

    assert runtime.n_asked == 2 * len(UNFIT)
    assert f'slimdown_routing_total{{reason="live"}} {len(UNFIT)}.0' in metrics
    assert 'slimdown_routing_total{reason="low_score"} 1.0' in metrics


def test_f17_a_schema_that_the_specialist_misses_is_answered_by_the_llm(tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"intent": {"type": "string"}}}
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    runtime = Moody()

    with serving(runtime, path=_made(tmp_path), lifespan="off"), routed(tmp_path) as here:
        answered = here.ask(response_format=wanted)

    assert said(answered) == LLM


def test_f18_with_both_down_one_error_names_both_causes(tmp_path: Path) -> None:
    with routed(tmp_path) as here:
        here.upstream.play(refuse())
        told = here.ask()
        facts = here.facts(told)
        with here.store() as store:
            row = store.call(told.headers["x-slimdown-call-id"])

    assert problem(told) == (503, "upstream_unreachable")
    cause = told.json()["error"]["message"]
    assert "closed the connection before it answered" in cause
    assert "its runtime did not answer" in cause
    assert told.headers["retry-after"] == "1"
    assert (row.error, facts["reason"]) == ("upstream_unreachable", "runtime_unavailable")


def test_f18_both_are_named_while_the_breaker_is_open_too(tmp_path: Path) -> None:
    with routed(tmp_path) as here:
        here.upstream.play(refuse())
        told = [here.ask() for _ in range(5)]

    assert {problem(each) for each in told} == {(503, "upstream_unreachable")}
    assert all("its runtime did not answer" in each.text for each in told)


def test_a_frozen_runtime_costs_one_caller_its_budget_and_is_back_when_it_thaws(
    tmp_path: Path,
) -> None:
    runtime = Moody()
    runtime.is_frozen = True

    with (
        routed(tmp_path, budget_s=BUDGET_S) as here,
        serving(runtime, path=_made(tmp_path), lifespan="off"),
    ):
        answers = {said(here.ask()) for _ in range(6)}
        n_asked = runtime.n_asked
        runtime.good()
        until(lambda: said(here.ask()) == SPECIALIST)

    assert (answers, n_asked) == ({LLM}, 1)


def unix_socket() -> socket.socket:
    return socket.socket(socket.AF_UNIX)


def test_a_stopped_runtime_costs_the_budget_and_no_call(tmp_path: Path) -> None:
    # To who connects, a process that was stopped is a socket on which nobody accepts.
    with (
        routed(tmp_path, budget_s=BUDGET_S) as here,
        closing(socket.socket(socket.AF_UNIX)) as made,
    ):
        made.bind(str(runtime_socket(tmp_path)))
        made.listen()
        answers = [here.ask() for _ in range(5)]
        reasons = [here.facts(each)["reason"] for each in answers]

    assert {said(each) for each in answers} == {LLM}
    assert reasons == ["runtime_unavailable"] * 5


def test_a_runtime_that_dies_while_it_answers_costs_no_call(tmp_path: Path) -> None:
    runtime = Moody()
    # Fewer bytes than were promised: uvicorn breaks the connection off.
    runtime.headers = [(b"content-length", b"9999")]

    with serving(runtime, path=_made(tmp_path), lifespan="off"), routed(tmp_path) as here:
        answers = {said(here.ask()) for _ in range(5)}

    assert answers == {LLM}


def test_a_runtime_that_comes_up_later_is_found(tmp_path: Path) -> None:
    with routed(tmp_path) as here:
        before = said(here.ask())
        with serving(Moody(), path=_made(tmp_path), lifespan="off"):
            until(lambda: said(here.ask()) == SPECIALIST)
        after = said(here.ask())

    assert (before, after) == (LLM, LLM)


def _made(folder: Path) -> Path:
    """Return where the runtime listens, in a folder that is there."""
    path = runtime_socket(folder)
    path.parent.mkdir(exist_ok=True, mode=0o700)
    return path
