"""Divides the calls of one signature by their content and actions, where that division is real."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from slimdown.seams import Embedder
from slimdown.types import Call, Template


@dataclass(frozen=True, slots=True)
class Part:
    """Calls of one operation, as indices; centroid and radius where content tells them apart."""

    members: tuple[int, ...]
    centroid: tuple[float, ...] = ()
    radius: float = 0.0
    medoid: str = ""


@dataclass(frozen=True, slots=True)
class Divided:
    """The operations of a signature, and the calls of none (``reason`` says why)."""

    parts: tuple[Part, ...]
    left: tuple[int, ...] = ()
    reason: str = ""


def divide(calls: Sequence[Call], template: Template, embedder: Embedder | None) -> Divided:
    """Return the operations among ``calls``, all of which share ``template``."""
    return Divided((Part(tuple(range(len(calls)))),))
