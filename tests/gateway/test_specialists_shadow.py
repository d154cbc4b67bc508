"""A shadow is asked after the reply, compared with it, and felt by nobody."""

import asyncio
from typing import Any

import msgspec
import pytest
from routed_tasks import RELEASE, ROUTE, asking, changed, in_force, planned, refusal, reply, request

from slimdown.gateway.pairing import compared
from slimdown.gateway.specialists import Fallback, Specialists
from slimdown.testing import Hang, ScriptedUpstream, answer, completion
from slimdown.types import Evidence, JsonObject

SHADOW = in_force(
    changed(ROUTE, stage="shadow", threshold=None), release=changed(RELEASE, certificate=None)
)


async def shadowed(specialists: Specialists, upstream: JsonObject | None) -> Evidence | None:
    asked = request()
    plan = planned(specialists, asked)
    assert (plan.asks, plan.shadows, plan.reason) == (False, True, "shadow")
    body = msgspec.json.encode(asked)
    return await specialists.shadow(plan, asked, body, "call-1", upstream)


def outcome(script: Any, upstream: JsonObject | None, **options: Any) -> tuple[Any, JsonObject]:
    """Return the evidence and what was counted when the runtime follows a script."""

    async def using(specialists: Specialists) -> tuple[Any, JsonObject]:
        return await shadowed(specialists, upstream), dict(specialists.counts)

    with ScriptedUpstream(lambda seen: script) as runtime:
        return asking(runtime.url, SHADOW, using, **options)


@pytest.mark.parametrize(
    ("theirs", "agreed", "code"),
    [("Delivery.", True, "shadow_agreed"), ("refund", False, "shadow_disagreed")],
)
def test_both_answers_become_evidence(theirs: str, agreed: bool, code: str) -> None:
    evidence, counts = outcome(answer(reply(score=0.4)), completion(theirs))

    assert (evidence.call_id, evidence.task_id, evidence.specialist_id) == ("call-1", "t1", "s1")
    assert (evidence.stage, evidence.score, evidence.output) == ("shadow", 0.4, "delivery")
    assert (evidence.agreed, counts) == (agreed, {code: 1})


def cut(whole: JsonObject) -> JsonObject:
    whole["choices"][0]["finish_reason"] = "length"
    return whole


@pytest.mark.parametrize(
    "theirs", [None, {}, {"error": {"message": "no"}}, cut(completion("del")), completion("")]
)
def test_an_upstream_that_gave_no_whole_answer_is_compared_with_nothing(theirs: Any) -> None:
    evidence, _ = outcome(answer(reply()), theirs)

    assert evidence is None


@pytest.mark.parametrize(
    ("script", "code"),
    [
        (answer(refusal("abstained"), 422), "shadow_abstained"),
        (answer(b"<html>"), "shadow_unavailable"),
        (answer(reply(task="t2")), "shadow_incomparable"),
        (answer(reply("")), "shadow_incomparable"),
    ],
)
def test_a_shadow_without_an_answer_is_counted_and_no_evidence(script: Any, code: str) -> None:
    evidence, counts = outcome(script, completion("delivery"))

    assert (evidence, counts) == (None, {code: 1})


def test_a_slow_shadow_has_a_budget_of_its_own() -> None:
    evidence, counts = outcome([Hang()], completion("delivery"), shadow_budget_s=0.02)

    assert (evidence, counts) == (None, {"shadow_unavailable": 1})


def test_shadows_that_would_wait_in_line_are_dropped() -> None:
    async def two_at_once(specialists: Specialists) -> JsonObject:
        first = asyncio.create_task(shadowed(specialists, completion("delivery")))
        await asyncio.to_thread(runtime.wait_for_requests, 1, 10.0)
        await shadowed(specialists, completion("delivery"))
        first.cancel()
        await asyncio.wait([first])
        return dict(specialists.counts)

    with ScriptedUpstream(lambda seen: [Hang()]) as runtime:
        counts = asking(runtime.url, SHADOW, two_at_once, most_shadows=1)

    assert counts == {"shadow_dropped": 1}


def test_a_shadow_that_ends_makes_room_for_the_next() -> None:
    async def two_in_turn(specialists: Specialists) -> JsonObject:
        for _ in range(2):
            await shadowed(specialists, completion("delivery"))
        return dict(specialists.counts)

    with ScriptedUpstream(lambda seen: answer(reply())) as runtime:
        assert asking(runtime.url, SHADOW, two_in_turn, most_shadows=1) == {"shadow_agreed": 2}


def test_a_draft_that_was_not_served_can_be_evidence_too() -> None:
    async def fallen_back(specialists: Specialists) -> Evidence | None:
        plan = planned(specialists, request())
        found = await specialists.answer(plan, request(), b"{}", "call-1")
        assert isinstance(found, Fallback)
        return compared(plan, found.draft, "call-1", completion("delivery"))

    with ScriptedUpstream(lambda seen: answer(reply(score=0.1))) as runtime:
        evidence = asking(runtime.url, in_force(ROUTE), fallen_back)

    assert evidence is not None
    assert (evidence.stage, evidence.agreed, evidence.score) == ("live", True, 0.1)
