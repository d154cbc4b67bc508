"""Tasks with routes, and a runtime that says what a test wants, for tests of specialists."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec

from slimdown.backends.breaker import Breaker
from slimdown.backends.runtime import RuntimeClient
from slimdown.canonical import content_id
from slimdown.gateway.in_force import InForce
from slimdown.gateway.specialists import Plan, Specialists
from slimdown.testing import completion, sample_call
from slimdown.types import (
    Certificate,
    JsonObject,
    Release,
    Route,
    RouteTable,
    Slot,
    Task,
    TaskSet,
    Template,
)

Result = TypeVar("Result")

SYSTEM = "Name the intent of the message."
TASK = Task(
    id="t1",
    name="sort",
    description="",
    kind="label",
    template=Template((Slot("system", SYSTEM, constant=True),)),
)
TASKS = TaskSet(embedder="", tasks=(TASK,))
TASKS_ID = content_id(TASKS)
CERTIFICATE = Certificate(
    task_id="t1",
    specialist_id="s1",
    rung="linear",
    threshold=0.5,
    n=200,
    k=0,
    risk=0.02,
    delta=0.05,
    coverage=0.9,
    upper=0.015,
    keyed_on={},
    created_at="2026-01-01T00:00:00+00:00",
)
RELEASE = Release(
    specialist_id="s1",
    rung="linear",
    task=TASK,
    agreement={},
    longest_input=80,
    models=("gpt-4o-mini",),
    known_values=("delivery", "refund"),
    certificate=CERTIFICATE,
)
ROUTE = Route(
    task_id="t1",
    task_name="sort",
    specialist_id="s1",
    rung="linear",
    stage="live",
    threshold=0.5,
)


def changed(value: Result, **changes: Any) -> Result:
    return msgspec.structs.replace(value, **changes)  # type: ignore[type-var]


def table(*routes: Route, version: int = 1) -> RouteTable:
    return RouteTable(version=version, tasks_id=TASKS_ID, routes=routes)


def in_force(*routes: Route, release: Release = RELEASE, tasks: TaskSet = TASKS) -> InForce:
    return InForce(table(*routes), tasks, {release.specialist_id: release})


class Fixed:
    """Routes that never change."""

    def __init__(self, current: InForce) -> None:
        self.current = current


def request(text: str = "where is my parcel?", **parameters: Any) -> JsonObject:
    return {**sample_call(text, system=SYSTEM).request, **parameters}


def reply(said: str | JsonObject = "delivery", **facts: Any) -> JsonObject:
    """Return what the runtime says to a question: a completion, and how sure it is."""
    whole = completion(said) if isinstance(said, str) else said
    known = {"task": "t1", "specialist": "s1", "score": 0.9, "confidence": 0.9}
    return {**whole, "slimdown": {**known, **facts}}


def refusal(code: str) -> JsonObject:
    return {"error": {"message": "no", "type": "invalid_request_error", "code": code}}


def asking(
    address: Any,
    current: InForce,
    use: Callable[[Specialists], Awaitable[Result]],
    *,
    budget_s: float = 10.0,
    breaker: Breaker | None = None,
    **options: Any,
) -> Result:
    """Run ``use`` with specialists in front of the runtime at ``address``."""

    async def using() -> Result:
        client = RuntimeClient(address, budget_s=budget_s, breaker=breaker)
        try:
            return await use(Specialists(Fixed(current), client, **options))
        finally:
            await client.close()

    return asyncio.run(using())


def planned(specialists: Specialists, asked: JsonObject, **options: Any) -> Plan:
    return specialists.plan(asked, **{"off": False, "session": "session", **options})
