"""An output as leaves and back: each scalar, or list of scalars, under the path that leads to it.

A tool call's arguments lie under its position and name, so what is learnt of one tool's argument
is never mixed with another's. Knows nothing of where values come from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from slimdown.types import OutputKind

Path = tuple[str | int, ...]
"""Keys and positions from the root to a leaf."""

CALLED: Path = (-1,)
"""Where the names of the called tools stand, in order, as one list; null for a reply in words.

No JSON value has a position below zero, so no answer's own path is the same.
"""


def path_name(path: Path) -> str:
    """Return a path as people read it: dotted, ``called`` for `CALLED`, ``answer`` for the root."""
    if path == CALLED:
        return "called"
    return ".".join(map(str, path)) or "answer"


def leaves(output: Any, kind: OutputKind) -> dict[Path, Any]:
    """Return an output's leaves; a list of scalars and an empty container are leaves themselves."""
    if kind == "tool":
        return _called(output)
    return dict(_leaves(output, ()))


def output_of(found: Iterable[tuple[Path, Any]], kind: OutputKind) -> Any:
    """Return the output that has these leaves; raises ValueError where none can have them."""
    leaf = dict(found)
    if kind != "tool":
        return _grown(list(leaf.items()), {} if kind == "json" else None)
    names = leaf.pop(CALLED)
    if names is None:
        raise ValueError("a reply in words has no leaves")
    return [
        {
            "name": name,
            "arguments": _grown([(p[2:], v) for p, v in leaf.items() if p[:2] == (at, name)], {}),
        }
        for at, name in enumerate(names)
    ]


def applies(path: Path, called: Any) -> bool:
    """Tell whether a leaf can occur where these tools were called."""
    if path == CALLED or called is None:
        return path == CALLED
    at, name = path[0], path[1]
    return isinstance(at, int) and at < len(called) and called[at] == name


def _called(output: Any) -> dict[Path, Any]:
    if not isinstance(output, list):
        return {CALLED: None}
    found: dict[Path, Any] = {CALLED: [call["name"] for call in output]}
    for at, call in enumerate(output):
        if call["arguments"] != {}:
            found |= dict(_leaves(call["arguments"], (at, call["name"])))
    return found


def _leaves(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, (*path, key))
    elif isinstance(value, list) and any(isinstance(inner, dict | list) for inner in value):
        for at, inner in enumerate(value):
            yield from _leaves(inner, (*path, at))
    elif path or value != {}:
        yield path, value


def _grown(found: list[tuple[Path, Any]], empty: Any) -> Any:
    if not found:
        return empty
    if any(not path for path, _ in found):
        if len(found) > 1:
            raise ValueError("a scalar cannot have leaves below it")
        return found[0][1]
    inner: dict[str | int, list[tuple[Path, Any]]] = {}
    for path, value in found:
        inner.setdefault(path[0], []).append((path[1:], value))
    if all(isinstance(key, str) for key in inner):
        return {key: _grown(below, {}) for key, below in inner.items()}
    if sorted(map(str, inner)) != sorted(str(at) for at in range(len(inner))):
        raise ValueError("a list has gaps, or keys beside positions")
    return [_grown(inner[at], {}) for at in range(len(inner))]
