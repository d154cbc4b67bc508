"""Questions that wait are answered together, and none is in another's way."""

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_workspace import asking, task_of

from slimdown.evaluate.confidence import AgreementModel
from slimdown.route import Assigner
from slimdown.runtime.desk import MOST_AT_ONCE, MOST_WAITING, Desk
from slimdown.runtime.refused import Refused
from slimdown.runtime.routing import Routing
from slimdown.runtime.shelf import Ready, Shelf
from slimdown.types import JsonObject, Prediction, Release, RouteTable

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=9,
)
MEMBERS = st.sampled_from(["messages", "tools", "functions", "response_format", "model"])
ECHO, SHOUT = task_of("echo"), task_of("shout")


class Slow:
    """Repeats its inputs, once it may; fails on "fail", abstains on "abstain"."""

    def __init__(self) -> None:
        self.may = threading.Event()
        self.asked = threading.Event()
        self.batches: list[list[str]] = []

    def answer(self, inputs: Sequence[str]) -> list[Prediction]:
        self.batches.append(list(inputs))
        self.asked.set()
        self.may.wait(10)
        if "fail" in inputs:
            raise ValueError("no")
        return [
            Prediction(output=None if text == "abstain" else text, confidence=0.5)
            for text in inputs
        ]


class Office:
    """A desk with two slow specialists, "e" of the task echo and "s" of shout."""

    def __init__(self) -> None:
        self.echo, self.shout = Slow(), Slow()
        shelf = Shelf()
        for name, task, slow in (("e", ECHO, self.echo), ("s", SHOUT, self.shout)):
            release = Release(
                specialist_id=name,
                rung="slow",
                task=task,
                agreement={},
                longest_input=20,
                models=(),
            )
            shelf.put(name, Ready(release, slow, AgreementModel()))
        routing = Routing(RouteTable(), Assigner([ECHO, SHOUT], None))
        self.desk = Desk(shelf, lambda: routing)
        self.desk.start()

    def open(self) -> None:
        self.echo.may.set()
        self.shout.may.set()

    async def held_up(self) -> asyncio.Task[bytes]:
        """Ask one question and return while it is being answered."""
        first = asyncio.create_task(self.desk.ask(asking("echo", "first"), ["e"]))
        await asyncio.to_thread(self.echo.asked.wait, 10)
        return first


def said(completion: bytes) -> Any:
    return msgspec.json.decode(completion)["choices"][0]["message"]["content"]


async def outcome(desk: Desk, request: JsonObject, *offered: str) -> str:
    try:
        return str(said(await desk.ask(request, offered)))
    except Refused as refused:
        return refused.why.code


@pytest.fixture
def office() -> Any:
    office = Office()
    yield office
    office.open()
    office.desk.close()


def test_what_waits_is_answered_in_one_batch(office: Office) -> None:
    async def scene() -> list[str]:
        first = await office.held_up()
        others = [outcome(office.desk, asking("echo", str(i)), "e") for i in range(5)]
        waiting = [asyncio.create_task(each) for each in others]
        await asyncio.sleep(0)
        office.open()
        await first
        return await asyncio.gather(*waiting)

    answers = asyncio.run(scene())

    assert answers == ["0", "1", "2", "3", "4"]
    assert office.echo.batches == [["first"], ["0", "1", "2", "3", "4"]]


def test_a_batch_has_a_bound(office: Office) -> None:
    async def scene() -> None:
        first = await office.held_up()
        n = MOST_AT_ONCE + 3
        waiting = [
            asyncio.create_task(outcome(office.desk, asking("echo", str(i)), "e")) for i in range(n)
        ]
        await asyncio.sleep(0)
        office.open()
        await asyncio.gather(first, *waiting)

    asyncio.run(scene())

    assert [len(batch) for batch in office.echo.batches] == [1, MOST_AT_ONCE, 3]


def test_questions_to_two_specialists_are_sorted_out(office: Office) -> None:
    async def scene() -> list[str]:
        first = await office.held_up()
        waiting = [
            asyncio.create_task(outcome(office.desk, asking(task, f"{i}"), "e", "s"))
            for i, task in enumerate(["echo", "shout", "echo", "none"])
        ]
        await asyncio.sleep(0)
        office.open()
        await first
        return await asyncio.gather(*waiting)

    assert asyncio.run(scene()) == ["0", "1", "2", "not_this_task"]
    assert office.echo.batches[1:] == [["0", "2"]]
    assert office.shout.batches == [["1"]]


def test_one_that_fails_or_abstains_takes_none_along(office: Office) -> None:
    async def scene() -> list[str]:
        first = await office.held_up()
        waiting = [
            asyncio.create_task(outcome(office.desk, asking("echo", text), "e"))
            for text in ("a", "fail", "abstain", "b")
        ]
        await asyncio.sleep(0)
        office.open()
        await first
        return await asyncio.gather(*waiting)

    assert asyncio.run(scene()) == ["a", "failed", "abstained", "b"]


def test_who_has_gone_is_not_answered(office: Office) -> None:
    async def scene() -> None:
        first = await office.held_up()
        gone = asyncio.create_task(office.desk.ask(asking("echo", "gone"), ["e"]))
        stays = asyncio.create_task(office.desk.ask(asking("echo", "stays"), ["e"]))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        office.open()
        await asyncio.gather(first, stays)

    asyncio.run(scene())

    assert office.echo.batches == [["first"], ["stays"]]


def test_beyond_what_may_wait_a_question_is_refused_at_once(office: Office) -> None:
    async def scene() -> str:
        first = await office.held_up()
        waiting = [
            asyncio.create_task(office.desk.ask(asking("echo", "x"), ["e"]))
            for _ in range(MOST_WAITING)
        ]
        await asyncio.sleep(0)
        refused = await outcome(office.desk, asking("echo", "x"), "e")
        office.open()
        await asyncio.gather(first, *waiting)
        return refused

    assert asyncio.run(scene()) == "overloaded"


def test_a_desk_that_closes_answers_what_waits(office: Office) -> None:
    async def scene() -> list[str]:
        first = await office.held_up()
        waiting = asyncio.create_task(outcome(office.desk, asking("echo", "last"), "e"))
        await asyncio.sleep(0)
        closing = asyncio.create_task(asyncio.to_thread(office.desk.close))
        office.open()
        answers = [said(await first), await waiting]
        await closing
        return answers

    assert asyncio.run(scene()) == ["first", "last"]


@given(request_=st.dictionaries(MEMBERS, JSON))
@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_request_of_any_shape_stops_the_desk(office: Office, request_: JsonObject) -> None:
    office.open()

    async def scene() -> list[str]:
        first = await outcome(office.desk, request_, "e", "s")
        return [first, await outcome(office.desk, asking("echo", "well"), "e")]

    assert asyncio.run(scene()) == ["not_this_task", "well"]
