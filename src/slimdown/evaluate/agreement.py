"""When do a specialist and the upstream agree? One rule per kind of output.

label: equal but for case, blanks, quotes and a closing full stop. json: the whole object equal in
canonical form. tool: the same functions with equal arguments, parallel calls in any order. text:
equal but for blanks; no judge reads meaning here, so free text agrees only word for word. The
rules err towards disagreement. Does not know a task's schema unless told its ``enum_paths``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

from slimdown.canonical import canonical_json
from slimdown.evaluate.canonicalise import (
    canonical_argument,
    canonical_value,
    normalise_label,
    normalise_text,
)
from slimdown.seams import Agreement
from slimdown.types import JsonObject, OutputKind

ROOT = "$"
"""The field path of a whole answer."""

_ABSENT = object()


def agreement_for(kind: OutputKind, *, enums: frozenset[str] = frozenset()) -> Agreement:
    """Return the agreement of a kind of output (see `canonicalise.enum_paths` for ``enums``)."""
    return partial(_agree, _forms(kind, enums))


def disagreements(
    kind: OutputKind, ours: Any, theirs: Any, *, enums: frozenset[str] = frozenset()
) -> tuple[str, ...]:
    """Return the paths of the fields that differ, sorted; empty exactly if the two agree.

    "$" is the whole answer; a field of JSON is "a.b" or "a[0].b", an argument of a tool call
    "function.argument", and "function" alone a call that only one side makes.
    """
    form = _forms(kind, enums)
    left, right = form(ours), form(theirs)
    if _key(left) == _key(right):
        return ()
    if kind == "tool" and isinstance(left, list) and isinstance(right, list):
        return tuple(sorted(set(_tool_differences(left, right))))
    return tuple(sorted(set(_differences(left, right, ""))))


def _agree(form: Callable[[Any], Any], ours: Any, theirs: Any) -> bool:
    return _key(form(ours)) == _key(form(theirs))


def _forms(kind: OutputKind, enums: frozenset[str]) -> Callable[[Any], Any]:
    forms: dict[OutputKind, Callable[[Any], Any]] = {
        "label": _label_form,
        "json": partial(canonical_value, enums=enums),
        "tool": _tool_form,
        "text": _text_form,
    }
    return forms[kind]


def _key(form: Any) -> bytes:
    return canonical_json(form)


def _label_form(output: Any) -> Any:
    return normalise_label(output) if isinstance(output, str) else canonical_value(output)


def _text_form(output: Any) -> Any:
    return normalise_text(output) if isinstance(output, str) else canonical_value(output)


def _tool_form(output: Any) -> Any:
    if isinstance(output, list):
        return sorted((canonical_argument(call) for call in output), key=_key)
    return _text_form(output)


def _tool_differences(ours: list[JsonObject], theirs: list[JsonObject]) -> list[str]:
    """Pair what is left of each function, once equal calls are gone, in canonical order."""
    left, right = _without_equals(ours, theirs), _without_equals(theirs, ours)
    names = {_name(call) for call in (*left, *right)}
    return [path for name in names for path in _of_function(name, left, right)]


def _of_function(name: str, ours: list[JsonObject], theirs: list[JsonObject]) -> list[str]:
    left = [call for call in ours if _name(call) == name]
    right = [call for call in theirs if _name(call) == name]
    paths = [] if len(left) == len(right) else [name]
    for mine, other in zip(left, right, strict=False):
        paths += _differences(_arguments(mine), _arguments(other), name) or [name]
    return paths


def _without_equals(calls: list[JsonObject], others: list[JsonObject]) -> list[JsonObject]:
    spare = Counter(map(_key, others))
    left = []
    for call in calls:
        if spare[_key(call)]:
            spare[_key(call)] -= 1
        else:
            left.append(call)
    return left


def _differences(ours: Any, theirs: Any, path: str) -> list[str]:
    if ours is _ABSENT or theirs is _ABSENT:
        return [path or ROOT]
    if _key(ours) == _key(theirs):
        return []
    if isinstance(ours, dict) and isinstance(theirs, dict):
        names = ours.keys() | theirs.keys()
        steps = [(name, f"{path}.{name}" if path else name) for name in names]
        pairs = [(ours.get(n, _ABSENT), theirs.get(n, _ABSENT), p) for n, p in steps]
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        pairs = [(a, b, f"{path}[{i}]") for i, (a, b) in enumerate(zip(ours, theirs, strict=True))]
    else:
        return [path or ROOT]
    return [found for a, b, inner in pairs for found in _differences(a, b, inner)]


def _name(call: Any) -> str:
    return str(call.get("name")) if isinstance(call, dict) else ROOT


def _arguments(call: Any) -> Any:
    return call.get("arguments") if isinstance(call, dict) else call
