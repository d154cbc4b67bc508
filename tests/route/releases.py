"""Releases, routes and requests that the tests of deciding and checking start from."""

from typing import Any

from slimdown.testing import sample_call
from slimdown.types import Certificate, JsonObject, OutputKind, Release, Route, Slot, Task, Template

SYSTEM = "Name the intent of the message."
PROMPT = Slot("system", SYSTEM, constant=True)
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


def release(kind: OutputKind = "label", **changes: Any) -> Release:
    template = Template((PROMPT,), **changes.pop("template", {}))
    given: JsonObject = {
        "specialist_id": "s1",
        "rung": "linear",
        "task": Task(id="t1", name="sort", description="", kind=kind, template=template),
        "agreement": {},
        "longest_input": 40,
        "models": ("gpt-4o-mini",),
        "known_values": ("delivery", "refund"),
        "certificate": CERTIFICATE,
    }
    return Release(**{**given, **changes})


def route(**changes: Any) -> Route:
    given: JsonObject = {
        "task_id": "t1",
        "task_name": "sort",
        "specialist_id": "s1",
        "rung": "linear",
        "stage": "live",
        "threshold": 0.5,
    }
    return Route(**{**given, **changes})


def request(text: str = "where is my parcel?", **parameters: Any) -> JsonObject:
    return {**sample_call(text, system=SYSTEM).request, **parameters}
