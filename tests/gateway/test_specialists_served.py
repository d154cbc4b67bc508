"""Through a real gateway: what specialists serve, and the upstream behind what they do not."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import httpx
import msgspec
import openai
import pytest
from gateways import ENVIRON, Running, running_gateway
from routed_tasks import (
    RELEASE,
    ROUTE,
    TASKS,
    TASKS_ID,
    changed,
    refusal,
    reply,
    request,
    table,
)

from slimdown.store import Store
from slimdown.testing import ScriptedUpstream, Seen, answer, completion, completion_chunks, serving
from slimdown.testing import sse as events
from slimdown.types import Evidence, JsonObject, Release, Route

PATIENCE_S = 10.0
SHADOW = changed(ROUTE, stage="shadow", threshold=None)


class Runtime:
    """A runtime that says what it is told to, and counts how often."""

    def __init__(self, status: int, body: JsonObject) -> None:
        self.status, self.body = status, msgspec.json.encode(body)
        self.n_asked = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.n_asked += 1
        await send({"type": "http.response.start", "status": self.status, "headers": []})
        await send({"type": "http.response.body", "body": self.body})


class Place:
    """A gateway with a route in force, its upstream, and the workspace that both are in."""

    def __init__(self, gateway: Running, upstream: ScriptedUpstream) -> None:
        self.gateway, self.upstream = gateway, upstream

    def ask(self, **parameters: Any) -> httpx.Response:
        headers = parameters.pop("headers", {})
        return self.gateway.post(json=request(**parameters), headers=headers)

    def facts(self, answered: httpx.Response) -> JsonObject:
        """Return what is recorded of how a call was routed."""
        with self.store() as store:
            call = store.call(answered.headers["x-slimdown-call-id"])
        return dict(call.metadata["gateway"])

    def store(self) -> Store:
        return Store.open(self.gateway.workspace, ENVIRON, write=False)

    def evidence(self) -> list[Evidence]:
        with self.store() as store:
            return list(store.evidence())


@contextmanager
def place(
    folder: Path, runtime: Runtime | None, *, route: Route = ROUTE, release: Release = RELEASE
) -> Iterator[Place]:
    put(folder, route, 1, release)
    path = folder / "workspace" / "runtime.sock"
    asked = serving(runtime, path=path, lifespan="off") if runtime else nullcontext()
    with (
        ScriptedUpstream(upstream_says) as upstream,
        asked,
        running_gateway(folder, upstream.url, specialist_budget_s=PATIENCE_S) as gateway,
    ):
        found = Place(gateway, upstream)
        until(lambda: found.facts(found.ask()).get("reason") != "no_route")
        yield found


def upstream_says(seen: Seen) -> Any:
    if msgspec.json.decode(seen.body).get("stream"):
        return events(completion_chunks("upstream", usage=True))
    return answer(completion("upstream"))


def put(folder: Path, route: Route, version: int, release: Release = RELEASE) -> None:
    with Store.open(folder / "workspace", ENVIRON) as store:
        store.put_result("release", "s1", release)
        store.put_routes(table(route, version=version), {("tasks", TASKS_ID): TASKS})


def until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def said(answered: httpx.Response) -> tuple[str, str]:
    """Return who answered, and what."""
    text = answered.json()["choices"][0]["message"]["content"]
    return answered.headers["x-slimdown-served-by"], text


def test_the_openai_client_is_served_whole(tmp_path: Path) -> None:
    with (
        place(tmp_path, Runtime(200, reply())) as here,
        openai.OpenAI(base_url=here.gateway.base_url, api_key="k", max_retries=0) as client,
    ):
        whole = client.chat.completions.create(**request())

    assert whole.choices[0].message.content == "delivery"
    assert (whole.model, whole.system_fingerprint) == ("gpt-4o-mini", "slimdown-s1")


def test_the_openai_client_is_served_in_a_stream(tmp_path: Path) -> None:
    with (
        place(tmp_path, Runtime(200, reply())) as here,
        openai.OpenAI(base_url=here.gateway.base_url, api_key="k", max_retries=0) as client,
    ):
        asked = request(stream=True, stream_options={"include_usage": True})
        stream: Any = client.chat.completions.create(**asked)
        parts = list(stream)

    texts = [part.choices[0].delta.content or "" for part in parts if part.choices]
    assert "".join(texts) == "delivery"
    assert parts[-1].usage is not None


def test_what_was_served_is_recorded_with_who_and_why(tmp_path: Path) -> None:
    with place(tmp_path, Runtime(200, reply())) as here:
        answered = here.ask()
        facts = here.facts(answered)

    assert said(answered) == ("s1", "delivery")
    assert answered.headers["x-slimdown-task"] == "t1"
    assert facts.items() >= {"served_by": "s1", "task": "t1", "score": 0.9}.items()


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (200, reply(score=0.2), "low_score"),
        (200, reply("resignation"), "unfit:ungrounded"),
        (409, refusal("not_this_task"), "not_this_task"),
        (500, {}, "runtime_unavailable"),
    ],
)
def test_the_upstream_answers_what_a_specialist_may_not(
    tmp_path: Path, status: int, body: JsonObject, reason: str
) -> None:
    with place(tmp_path, Runtime(status, body)) as here:
        answered = here.ask()
        facts = here.facts(answered)

    assert said(answered) == ("upstream", "upstream")
    assert facts["reason"] == reason


def test_without_a_runtime_the_upstream_answers(tmp_path: Path) -> None:
    with place(tmp_path, None) as here:
        answers = {said(here.ask()) for _ in range(5)}

    assert answers == {("upstream", "upstream")}


@pytest.mark.parametrize(
    "parameters", [{"n": 2}, {"stop": ["a"]}, {"headers": {"x-slimdown-route": "off"}}]
)
def test_what_no_specialist_may_see_is_not_shown_to_one(
    tmp_path: Path, parameters: JsonObject
) -> None:
    runtime = Runtime(200, reply())

    with place(tmp_path, runtime) as here:
        before = runtime.n_asked
        answered = here.ask(**parameters)

    assert said(answered) == ("upstream", "upstream")
    assert runtime.n_asked == before


def test_a_shadow_is_never_heard_and_leaves_evidence(tmp_path: Path) -> None:
    runtime = Runtime(200, reply(score=0.4))
    release = changed(RELEASE, certificate=None)

    with place(tmp_path, runtime, route=SHADOW, release=release) as here:
        answered = here.ask()
        called = answered.headers["x-slimdown-call-id"]
        until(lambda: called in {pair.call_id for pair in here.evidence()})
        pairs = here.evidence()

    assert said(answered) == ("upstream", "upstream")
    assert {(p.specialist_id, p.output, p.agreed, p.score) for p in pairs} == {
        ("s1", "delivery", False, 0.4)
    }


def test_a_roll_back_is_in_force_while_calls_go_on(tmp_path: Path) -> None:
    with place(tmp_path, Runtime(200, reply())) as here:
        first = said(here.ask())
        put(tmp_path, changed(ROUTE, stage="retired"), 2)
        until(lambda: said(here.ask())[0] == "upstream")
        last = said(here.ask())

    assert (first, last) == (("s1", "delivery"), ("upstream", "upstream"))
