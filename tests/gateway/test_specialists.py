"""A specialist answers where a route lets it and its answer is fit; else the upstream is asked."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from routed_tasks import (
    RELEASE,
    ROUTE,
    TASK,
    TASKS,
    asking,
    changed,
    in_force,
    planned,
    refusal,
    reply,
    request,
)

from slimdown.backends.breaker import Breaker
from slimdown.gateway.in_force import InForce
from slimdown.gateway.specialists import Fallback, Plan, Served, Specialists
from slimdown.signature import tools_id
from slimdown.testing import Hang, Reset, ScriptedUpstream, Seen, answer, completion
from slimdown.types import JsonObject, TaskSet

LIVE = in_force(ROUTE)
RELEASES = {"s1": RELEASE}
TOOL: JsonObject = {
    "type": "function",
    "function": {"name": "search", "parameters": {"type": "object"}},
}
NOWHERE = Path("/nonexistent/runtime.sock")


async def answered(specialists: Specialists, asked: JsonObject) -> Served | Fallback:
    plan = planned(specialists, asked)
    assert plan.asks
    return await specialists.answer(plan, asked, msgspec.json.encode(asked), "call-1")


def outcome(script: Any, asked: JsonObject | None = None, **options: Any) -> Served | Fallback:
    """Return what becomes of a request when the runtime follows a script."""
    sent, current = asked or request(), options.pop("current", LIVE)
    with ScriptedUpstream(lambda seen: script) as runtime:
        return asking(runtime.url, current, lambda s: answered(s, sent), **options)


def only_planned(current: InForce, asked: JsonObject, **options: Any) -> Plan:
    async def planning(specialists: Specialists) -> Plan:
        return planned(specialists, asked, **options)

    return asking(NOWHERE, current, planning)


def test_the_caller_gets_a_completion_under_its_own_models_name() -> None:
    served = outcome(answer(reply()))

    assert isinstance(served, Served)
    assert (served.task_id, served.specialist_id) == ("t1", "s1")
    assert (served.score, served.reason) == (0.9, "live")
    whole = served.completion
    assert (whole["id"], whole["model"]) == ("chatcmpl-call-1", "gpt-4o-mini")
    assert whole["system_fingerprint"] == "slimdown-s1"
    assert whole["choices"][0]["message"]["content"] == "delivery"
    assert whole["usage"]["total_tokens"] == 55
    assert "slimdown" not in whole


def test_the_runtime_is_asked_with_the_callers_own_bytes_and_an_offer() -> None:
    seen: list[Seen] = []

    def script(asked: Seen) -> Any:
        seen.append(asked)
        return answer(reply())

    with ScriptedUpstream(script) as runtime:
        asking(runtime.url, LIVE, lambda s: answered(s, request()))

    assert seen[0].body == msgspec.json.encode(request())
    assert dict(seen[0].headers)[b"x-slimdown-offer"] == b"s1"


def served_choice(*names: str, **declared: Any) -> JsonObject | None:
    """Return the choice that a caller gets who declares tools so, once these were called."""
    template = changed(TASK.template, tools_id=tools_id(declared))
    task = changed(TASK, kind="tool", template=template)
    tasks, release = TaskSet(embedder="", tasks=(task,)), changed(RELEASE, task=task)
    said = completion(None, [(name, "{}") for name in names])
    current = in_force(ROUTE, release=release, tasks=tasks)
    found = outcome(answer(reply(said)), request(**declared), current=current)
    return found.completion["choices"][0] if isinstance(found, Served) else None


def test_tool_calls_are_served_as_they_are() -> None:
    choice = served_choice("search", tools=[TOOL]) or {}

    assert choice["message"]["tool_calls"][0]["function"] == {"name": "search", "arguments": "{}"}
    assert (choice["message"]["content"], choice["finish_reason"]) == (None, "tool_calls")


def test_a_caller_of_the_old_interface_gets_a_function_call() -> None:
    choice = served_choice("search", functions=[TOOL["function"]]) or {}

    assert choice["message"]["function_call"] == {"name": "search", "arguments": "{}"}
    assert (choice["finish_reason"], "tool_calls" in choice["message"]) == ("function_call", False)


def test_the_old_interface_has_no_room_for_two_calls() -> None:
    assert served_choice("search", "search", functions=[TOOL["function"]]) is None


UNSERVED: dict[str, tuple[Any, str]] = {
    "not sure enough": (answer(reply(score=0.49)), "low_score"),
    "unheard-of label": (answer(reply("resignation")), "unfit:ungrounded"),
    "empty": (answer(reply("")), "unfit:empty"),
    "another task": (answer(reply(task="t2")), "wrong_task"),
    "another specialist": (answer(reply(specialist="s2")), "runtime_unavailable"),
    "not this task": (answer(refusal("not_this_task"), 409), "not_this_task"),
    "too long": (answer(refusal("too_long"), 422), "too_long"),
    "abstained": (answer(refusal("abstained"), 422), "abstained"),
    "unknown specialist": (answer(refusal("unknown_specialist"), 404), "unknown_specialist"),
    "still loading": (answer(refusal("loading"), 503), "loading"),
    "made-up code": (answer(refusal("PAYLOAD"), 418), "refused"),
    "no JSON": (answer(b"<html>"), "runtime_unavailable"),
    "failed": (answer(b"", 500), "runtime_unavailable"),
    "reset": ([Reset()], "runtime_unavailable"),
}


@pytest.mark.parametrize("case", UNSERVED)
def test_whatever_is_not_served_says_why(case: str) -> None:
    script, reason = UNSERVED[case]

    found = outcome(script)

    assert isinstance(found, Fallback)
    assert found.reason == reason


def test_a_draft_that_was_not_served_is_kept_for_comparison() -> None:
    found = outcome(answer(reply(score=0.3)))

    assert isinstance(found, Fallback)
    assert found.draft is not None
    assert found.draft.score == 0.3


def test_a_score_of_just_the_threshold_is_served() -> None:
    assert isinstance(outcome(answer(reply(score=0.5))), Served)


def test_a_hanging_runtime_costs_a_few_calls_their_budget_and_the_rest_nothing() -> None:
    async def asked_often(specialists: Specialists) -> list[str]:
        return [(await answered(specialists, request())).reason for _ in range(6)]

    with ScriptedUpstream(lambda seen: [Hang()]) as runtime:
        breaker = Breaker(2, 60.0)
        reasons = asking(runtime.url, LIVE, asked_often, budget_s=0.02, breaker=breaker)

    assert reasons == ["runtime_unavailable"] * 6
    assert len(runtime.requests) == 2


def test_a_runtime_that_is_not_there_never_fails_a_call() -> None:
    found = asking(NOWHERE, LIVE, lambda s: answered(s, request()))

    assert found == Fallback("runtime_unavailable")


def test_a_fault_of_ours_is_a_fallback() -> None:
    class Broken:
        async def ask(self, body: bytes, offered: Any) -> Any:
            raise ZeroDivisionError

    class Always:
        current = LIVE

    specialists = Specialists(Always(), Broken())  # type: ignore[arg-type]

    assert asyncio.run(answered(specialists, request())) == Fallback("fault")


def test_a_caller_who_leaves_is_let_go() -> None:
    async def leaving(specialists: Specialists) -> bool:
        asked = asyncio.create_task(answered(specialists, request()))
        await asyncio.to_thread(runtime.wait_for_requests, 1, 10.0)
        asked.cancel()
        await asyncio.wait([asked])
        return asked.cancelled()

    with ScriptedUpstream(lambda seen: [Hang()]) as runtime:
        assert asking(runtime.url, LIVE, leaving)


def test_without_routes_nothing_is_looked_at() -> None:
    plan = only_planned(InForce(), {"messages": 7})

    assert (plan.reason, plan.asks, plan.shadows) == ("no_route", False, False)


@pytest.mark.parametrize(
    ("asked", "options", "reason", "task_id"),
    [
        (request(), {"off": True}, "off", "t1"),
        ({"messages": []}, {}, "no_task", ""),
        (request(tools=[TOOL]), {}, "no_task", ""),
        (request(n=2), {}, "unsupported:n", "t1"),
        (request("x" * 81), {}, "too_long", "t1"),
    ],
)
def test_who_is_not_asked_is_told_with_the_task(
    asked: JsonObject, options: JsonObject, reason: str, task_id: str
) -> None:
    plan = only_planned(LIVE, asked, **options)

    assert (plan.reason, plan.task_id, plan.asks) == (reason, task_id, False)


def test_a_task_without_a_route_is_named() -> None:
    current = InForce(changed(LIVE.table, routes=(changed(ROUTE, task_id="t2"),)), TASKS, RELEASES)

    plan = only_planned(current, request())

    assert (plan.reason, plan.task_id, plan.asks) == ("no_route", "t1", False)


def test_where_content_tells_tasks_apart_all_are_offered_and_the_runtime_names_the_task() -> None:
    two = changed(TASK, id="t2", centroid=(1.0,))
    tasks = TaskSet(embedder="e", tasks=(changed(TASK, centroid=(0.0,)), two))
    releases = {"s1": RELEASE, "s2": changed(RELEASE, specialist_id="s2", task=two)}
    routes = (ROUTE, changed(ROUTE, task_id="t2", specialist_id="s2"))
    current = InForce(changed(LIVE.table, routes=routes), tasks, releases)

    plan = only_planned(current, request())
    served = outcome(answer(reply(task="t2", specialist="s2")), current=current)

    assert (plan.task_id, len(plan.decisions)) == ("", 2)
    assert isinstance(served, Served)
    assert served.task_id == "t2"


def test_reasons_are_counted() -> None:
    async def asked_thrice(specialists: Specialists) -> JsonObject:
        await answered(specialists, request())
        await answered(specialists, request())
        planned(specialists, request(), off=True)
        return dict(specialists.counts)

    with ScriptedUpstream(lambda seen: answer(reply())) as runtime:
        assert asking(runtime.url, LIVE, asked_thrice) == {"live": 2, "off": 1}
