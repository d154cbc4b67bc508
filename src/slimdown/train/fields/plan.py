"""What a task's answers may be: one field for each leaf path, and what an example teaches them.

A field's value is absent, one of a closed set, copied from the input, or something else, for
which the specialist abstains. How a plan is learnt is told in `planning`, how it answers in
`served`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from slimdown.train.fields.readers import Span
from slimdown.train.fields.tree import Path
from slimdown.types import OutputKind

ABSENT, OTHER, COPY = "absent", "other", "copy"
"""What a field may do besides stating a value of its closed set."""

IGNORED = -100
"""Target of a field that an example says nothing about."""


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One leaf path, and all that its value may be.

    ``options`` are the classes of its head: ABSENT, OTHER, COPY and then ``values``, as far as
    they occur. ``reader`` ("" if never copied) reads a span; ``layer`` and ``tag`` say where its
    spans are tagged. ``lists`` is never, always, or several (a list where two or more are said).
    ``argument`` marks an argument of a tool. ``heard`` are values copied in training, as
    `heard_as` spells them: a copy never heard before is less sure.
    """

    path: Path
    actions: tuple[str, ...]
    values: tuple[Any, ...] = ()
    reader: str = ""
    layer: int = -1
    tag: int = -1
    lists: str = "never"
    argument: bool = False
    heard: tuple[str, ...] = ()

    @property
    def n_options(self) -> int:
        """Size of the field's head."""
        return len(self.actions) + len(self.values)

    @property
    def headed(self) -> bool:
        """Whether a head decides; else the spans alone do."""
        return OTHER in self.actions or bool(self.values)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """All fields of a task, and how many of them each layer tags."""

    kind: OutputKind
    fields: tuple[Field, ...]
    layers: tuple[int, ...] = ()

    def headed(self) -> list[Field]:
        """Return the fields that have a head, in order."""
        return [field for field in self.fields if field.headed]


class Target(msgspec.Struct, frozen=True):
    """What an example teaches: an option for each headed field, and tagged spans by layer.

    ``expressible`` tells whether the fields can say the whole output.
    """

    options: tuple[int, ...]
    spans: tuple[tuple[tuple[int, Span], ...], ...]
    expressible: bool


def heard_as(value: Any) -> str:
    """Return a copied value as `Field.heard` spells it: letters' case does not matter."""
    return str(value).lower()
