"""Releases, tasks and moves to test route tables with."""

from typing import Any

from slimdown.canonical import content_id
from slimdown.promote import Change, Standing, promoted, rolled_back
from slimdown.types import (
    Certificate,
    Release,
    Route,
    RouteTable,
    Slot,
    Stage,
    Task,
    TaskSet,
    Template,
)

FILES = "files"
CHANGE = Change(author="ada", reason="because", at="2026-01-01T00:00:00Z")


def task(name: str, system: str = "", **fields: Any) -> Task:
    template = Template((Slot("system", system or name, constant=True),))
    return Task(
        id=f"id-{name}", name=name, description="", kind="label", template=template, **fields
    )


def tasks(*some: Task) -> TaskSet:
    return TaskSet(embedder="hashing", tasks=some)


def certificate(of: Task, specialist: str = "s", **fields: Any) -> Certificate:
    whole: dict[str, Any] = {
        "task_id": of.id,
        "specialist_id": specialist,
        "rung": "linear",
        "threshold": 0.7,
        "n": 200,
        "k": 1,
        "risk": 0.02,
        "delta": 0.05,
        "coverage": 0.8,
        "upper": 0.019,
        "keyed_on": {
            "task": of.id,
            "template": content_id(of.template),
            "specialist": FILES,
        },
        "created_at": "",
    }
    return Certificate(**whole | fields)


def release(of: Task, specialist: str = "s", **fields: Any) -> Release:
    """Return a certified release, unless ``fields`` say otherwise."""
    whole: dict[str, Any] = {
        "specialist_id": specialist,
        "rung": "linear",
        "task": of,
        "agreement": {},
        "longest_input": 100,
        "models": ("gpt-4o-mini",),
        "certificate": certificate(of, specialist),
    }
    return Release(**whole | fields)


def standing(now: TaskSet, before: TaskSet | None = None, **fields: Any) -> Standing:
    whole: dict[str, Any] = {"risk": 0.02, "delta": 0.05, "files": FILES}
    return Standing(tasks=now, before=before, **whole | fields)


class Moves:
    """A route table and how it came about, over one set of tasks."""

    def __init__(self, *some: Task) -> None:
        self.tasks = tasks(*some)
        self.history = [RouteTable()]

    @property
    def table(self) -> RouteTable:
        return self.history[-1]

    def promote(self, made: Release, stage: Stage = "shadow", share: float = 1.0) -> RouteTable:
        before = self.tasks if self.table.tasks_id else None
        now = standing(self.tasks, before)
        table = promoted(self.table, made, stage=stage, share=share, now=now, change=CHANGE)
        self.history.append(table)
        return table

    def roll_back(self, of: Task) -> RouteTable:
        table = rolled_back(self.table, self.history, of.id, CHANGE)
        self.history.append(table)
        return table

    def route(self, of: Task) -> Route:
        [found] = [route for route in self.table.routes if route.task_id == of.id]
        return found
