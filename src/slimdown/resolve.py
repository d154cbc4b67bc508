"""From a name to an implementation: short name, "module:attribute", or entry point.

Short names stand in one table per seam, as strings, so nothing heavy is imported until chosen.
Other packages add names with an entry point in the group ``slimdown.<seam>``. A name may carry one
text argument behind an @: ``fields@ORG/ENCODER`` fine-tunes another encoder.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable
from functools import partial
from importlib.metadata import entry_points
from typing import Any

from slimdown.errors import UnknownName

NAMES: dict[str, dict[str, str]] = {
    "rungs": {
        "linear": "slimdown.train.linear:LinearRung",
        "fields": "slimdown.train.fields:FieldsRung",
    },
    "embedders": {
        "minilm": "slimdown.encoder:load_encoder",
        "hashing": "slimdown.cluster.hashing:HashingEmbedder",
    },
}
"""Seam -> short name -> "module:attribute" of a callable that makes the implementation."""


def resolve(seam: str, name: str) -> Any:
    """Return the callable that ``name`` stands for among the implementations of ``seam``.

    What stands behind an @ is its first argument. Raises `UnknownName`, with the nearest known
    names, if nothing answers to it.
    """
    name, _, argument = name.partition("@")
    made = _made(seam, name)
    return partial(made, argument) if argument else made


def known_names(seam: str) -> tuple[str, ...]:
    """Return the short names and entry points of a seam, sorted."""
    return tuple(sorted({*NAMES[seam], *(e.name for e in _entry_points(seam))}))


def _made(seam: str, name: str) -> Any:
    target = NAMES[seam].get(name) or _entry_point(seam, name) or name
    module, _, attribute = target.partition(":")
    if not attribute:
        raise UnknownName(_unknown(seam, name))
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        # A module name that is empty or begins with a dot raises one of the latter two.
        raise UnknownName(f"{_unknown(seam, name)} (loading {target} failed: {error})") from error


def _entry_point(seam: str, name: str) -> str | None:
    return next((e.value for e in _entry_points(seam) if e.name == name), None)


def _entry_points(seam: str) -> Iterable[Any]:
    return entry_points(group=f"slimdown.{seam}")


def _unknown(seam: str, name: str) -> str:
    known = known_names(seam)
    near = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return (
        f"nothing named {name!r} among the {seam}.{hint} "
        f'Known: {", ".join(known)}, or "module:attribute".'
    )
