"""Specialists that serve: trained by copying, live in a route table, behind a real runtime."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
from gateways import ENVIRON, Running, running_gateway
from recorded_calls import SCHEMA, TOOL

from slimdown.canonical import content_id
from slimdown.evaluate.confidence import AgreementModel
from slimdown.runtime.serving import Runtime
from slimdown.settings import Settings
from slimdown.signature import contract_id, tools_id
from slimdown.store import Store
from slimdown.testing import ScriptedUpstream, Seen, answer
from slimdown.train.job import Job, work
from slimdown.types import (
    Certificate,
    Dataset,
    Example,
    JsonObject,
    OutputKind,
    Release,
    Route,
    RouteTable,
    Slot,
    Task,
    TaskSet,
    Template,
)

PATIENCE_S = 20.0
RUNG = "slimdown.testing:CopyingRung"
FORMAT: JsonObject = {
    "type": "json_schema",
    "json_schema": {"name": "Forecast", "strict": True, "schema": SCHEMA},
}
UPSTREAM_SAYS = b"""{"id": "x",  "choices": [{"index": 0, "message": {"role": "assistant",
 "content": "the upstream"}, "finish_reason": "stop"}], "model": "gpt-4o-mini", "usage": null}"""
"""In a way of writing JSON that nobody else has: who hears it hears these bytes."""


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """A task in small: its system message, what its requests declare, and what it answers."""

    name: str
    system: str
    kind: OutputKind
    answers: Mapping[str, Any]
    declares: JsonObject = {}
    threshold: float = 0.5

    def request(self, text: str, **fields: Any) -> JsonObject:
        """Return a request of this task."""
        messages = [{"role": "system", "content": self.system}, {"role": "user", "content": text}]
        return {"model": "gpt-4o-mini", "messages": messages, **self.declares, **fields}


SORT = Kind(
    name="sort",
    system="Name the intent of the message.",
    kind="label",
    answers={"where is it?": "delivery", "i want my money": "refund"},
)
WEATHER = Kind(
    name="weather",
    system="Ask for the weather.",
    kind="tool",
    declares={"tools": [TOOL]},
    answers={
        "Rom for 2 days": [{"name": "weather", "arguments": {"city": "Rom", "days": 2}}],
        "Rom and Bern for 3 days": [
            {"name": "weather", "arguments": {"city": "Rom", "days": 3}},
            {"name": "weather", "arguments": {"city": "Bern", "days": 3}},
        ],
    },
)
FORECAST = Kind(
    name="forecast",
    system="Give the forecast.",
    kind="json",
    declares={"response_format": FORMAT},
    answers={"Rom, 2 days": {"city": "Rom", "days": 2}},
)
UNSURE = Kind(
    name="unsure",
    system="Guess.",
    kind="label",
    answers={"where is it?": "delivery"},
    threshold=1.5,
)
KINDS = (SORT, WEATHER, FORECAST, UNSURE)


class Live(msgspec.Struct, frozen=True):
    """A gateway with live specialists, and the upstream behind it."""

    gateway: Running
    upstream: ScriptedUpstream
    ids: dict[str, str]


def lists_nothing(_seen: Seen) -> Any:
    """Return the script of an upstream without models."""
    return answer({"object": "list", "data": []})


@contextmanager
def live_specialists(folder: Path, lists: Callable[[Seen], Any] = lists_nothing) -> Iterator[Live]:
    """Yield a gateway whose specialists serve `KINDS`; the upstream answers GET by ``lists``."""
    workspace = folder / "workspace"
    ids = _promoted(workspace, KINDS)

    def says(seen: Seen) -> Any:
        return lists(seen) if seen.method == "GET" else answer(UPSTREAM_SAYS)

    with (
        _running_runtime(workspace),
        ScriptedUpstream(says) as upstream,
        running_gateway(folder, upstream.url, specialist_budget_s=PATIENCE_S) as gateway,
    ):
        _wait_for(lambda: "slimdown/sort" in gateway.get("/v1/models").text)
        yield Live(gateway, upstream, ids)


def _promoted(workspace: Path, kinds: tuple[Kind, ...]) -> dict[str, str]:
    """Train a specialist for each kind and make it live; return their ids by task name."""
    with Store.open(workspace, ENVIRON):  # makes the folder, which is nobody else's
        tasks = {kind.name: _task(kind) for kind in kinds}
    task_set = TaskSet(embedder="", tasks=tuple(tasks.values()))
    releases = {kind.name: _trained(workspace, kind, tasks[kind.name]) for kind in kinds}
    routes = tuple(_route(releases[kind.name], kind.threshold) for kind in kinds)
    tasks_id = content_id(task_set)
    with Store.open(workspace, ENVIRON, role="short") as store:
        for release in releases.values():
            store.put_result("release", release.specialist_id, release)
        table = RouteTable(version=1, tasks_id=tasks_id, routes=routes)
        store.put_routes(table, {("tasks", tasks_id): task_set})
    return {name: release.specialist_id for name, release in releases.items()}


def _task(kind: Kind) -> Task:
    template = Template(
        (Slot("system", prefix=kind.system, constant=True), Slot("user")),
        tools_id=tools_id(kind.declares),
        contract_id=contract_id(kind.declares),
    )
    return Task(
        id=f"id-of-{kind.name}", name=kind.name, description="", kind=kind.kind, template=template
    )


def _trained(workspace: Path, kind: Kind, task: Task) -> Release:
    examples = tuple(
        Example(id=text, input=text, output=output, session=text, group=text)
        for text, output in kind.answers.items()
    )
    dataset = Dataset(task_id=task.id, kind=kind.kind, train=examples, dev=(), calibration=())
    specialist_id = content_id([RUNG, dataset])
    work(
        Job(
            rung=RUNG,
            path=str(workspace / "specialists" / specialist_id),
            key=base64.b64decode(ENVIRON["SLIMDOWN_KEY"]),
            dataset=dataset,
            dataset_id="d",
            specialist_id=specialist_id,
        ),
        lambda _share, _note: None,
    )
    return Release(
        specialist_id=specialist_id,
        rung=RUNG,
        task=task,
        agreement=msgspec.to_builtins(AgreementModel()),
        longest_input=200,
        models=("gpt-4o-mini",),
        known_values=tuple(v for v in kind.answers.values() if isinstance(v, str)),
        certificate=_certificate(specialist_id, kind, task),
    )


def _certificate(specialist_id: str, kind: Kind, task: Task) -> Certificate:
    return Certificate(
        task_id=task.id,
        specialist_id=specialist_id,
        rung=RUNG,
        threshold=kind.threshold,
        n=200,
        k=0,
        risk=0.02,
        delta=0.05,
        coverage=0.9,
        upper=0.015,
        keyed_on={},
        created_at="2026-01-01T00:00:00+00:00",
    )


def _route(release: Release, threshold: float) -> Route:
    return Route(
        task_id=release.task.id,
        task_name=release.task.name,
        specialist_id=release.specialist_id,
        rung=release.rung,
        stage="live",
        threshold=threshold,
    )


@contextmanager
def _running_runtime(workspace: Path) -> Iterator[None]:
    path = workspace / "runtime.sock"
    settings = Settings(workspace=str(workspace), encoder="hashing")
    runtime = Runtime(settings, ENVIRON, uds=path)
    thread = threading.Thread(target=runtime.run, daemon=True)
    thread.start()
    try:
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(path))) as client:
            _wait_for(lambda: client.get("http://runtime/readyz").status_code == 200)
        yield
    finally:
        runtime.stop()
        thread.join()


def _wait_for(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
