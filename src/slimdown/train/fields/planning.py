"""How a plan is learnt from examples: what each field may say, and what each example teaches.

Pure functions of outputs and texts; no model is known here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from slimdown.canonical import canonical_json
from slimdown.train.fields.layering import in_layers, overlap
from slimdown.train.fields.plan import ABSENT, COPY, IGNORED, OTHER, Field, Plan, Target, heard_as
from slimdown.train.fields.readers import Span
from slimdown.train.fields.reading import Reading, taken_apart
from slimdown.train.fields.tree import CALLED, Path
from slimdown.types import Example, OutputKind

_COPIED_SHARE = 0.9
"""A field copied this often is a copied field; its other values are exceptions."""

_NOVELTY = 0.02
"""Share of unseen values to expect, above which a field that is copied less often still copies."""

_MAX_CLOSED = 400
_MAX_FIELDS = 300
_MIN_REPEATS = 2
_MIN_OTHERS = 3


def make_plan(examples: Sequence[Example], kind: OutputKind) -> tuple[Plan, list[Target]]:
    """Return the plan that the examples' outputs call for, and each example's target.

    A leaf seen once is no field: it may be a key that is really a value.
    """
    read = [taken_apart(e, kind) for e in examples]
    counts = Counter(path for r in read for path in r.leaf)
    frequent = {path for path, n in counts.most_common(_MAX_FIELDS) if n >= _MIN_REPEATS}
    fields = in_layers([_field(path, read) for path in counts if path in frequent], read)
    n_layers = 1 + max((f.layer for f in fields), default=-1)
    layers = tuple(1 + max(f.tag for f in fields if f.layer == i) for i in range(n_layers))
    plan = Plan(kind=kind, fields=tuple(fields), layers=layers)
    known = {f.path: {canonical_json(v): i for i, v in enumerate(f.values)} for f in fields}
    return plan, [_target(plan, r, known) for r in read]


def expressible_share(examples: Sequence[Example], kind: OutputKind) -> float:
    """Return the share of outputs that closed values and copies can say, 0..1."""
    plan, targets = make_plan(examples, kind)
    # Empty answers alone have no leaf, so there is no field to learn.
    if not plan.fields:
        return 0.0
    return sum(t.expressible for t in targets) / max(1, len(targets))


def _field(path: Path, read: Sequence[Reading]) -> Field:
    here = [r for r in read if path in r.leaf]
    n_able = sum(r.concerns(path) for r in read)
    reader = _best_reader(path, here)
    copied = [r for r in here if reader in r.found.get(path, {})]
    if reader and not _worth_copying(path, here, len(copied)):
        reader, copied = "", []
    rest = [r for r in here if not copied or reader not in r.found.get(path, {})]
    counts = Counter(canonical_json(r.leaf[path]) for r in rest)
    repeats = [v for v, n in counts.most_common(_MAX_CLOSED) if n >= _MIN_REPEATS]
    n_other = sum(counts.values()) - sum(counts[v] for v in repeats)
    present = [
        (ABSENT, len(here) < n_able),
        (OTHER, n_other >= _MIN_OTHERS or not (repeats or copied)),
        (COPY, bool(copied)),
    ]
    return Field(
        path=path,
        actions=tuple(name for name, occurs in present if occurs),
        values=tuple(msgspec.json.decode(v) for v in repeats),
        reader=reader,
        lists=_lists([r.leaf[path] for r in copied]),
        argument=path != CALLED and CALLED in here[0].leaf,
        heard=tuple(sorted({heard_as(v) for r in copied for v in _each(r.leaf[path])})),
    )


def _each(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _best_reader(path: Path, here: Sequence[Reading]) -> str:
    counts = Counter(reader for r in here for reader in r.found.get(path, {}))
    # Ties go to the reader listed first, which is the simpler one.
    return max(counts, key=lambda reader: counts[reader], default="")


def _worth_copying(path: Path, here: Sequence[Reading], n_copied: int) -> bool:
    if n_copied >= _COPIED_SHARE * len(here):
        return True
    counts = Counter(canonical_json(r.leaf[path]) for r in here)
    # Good and Turing: the share of values seen once estimates the share of unseen values.
    unseen = sum(n == 1 for n in counts.values()) / len(here)
    return unseen > _NOVELTY and n_copied >= _MIN_OTHERS


def _lists(values: Iterable[Any]) -> str:
    listed = [isinstance(v, list) for v in values]
    if not any(listed):
        return "never"
    return "always" if sum(listed) > len(listed) / 2 else "several"


def _target(plan: Plan, read: Reading, known: Mapping[Path, Mapping[bytes, int]]) -> Target:
    options: list[int] = []
    spans: list[list[tuple[int, Span]]] = [[] for _ in plan.layers]
    expressible = read.leaf.keys() <= known.keys()
    for field in plan.fields:
        action, option = _option(field, read, known[field.path])
        if action == COPY and not _tagged(field, read, spans[field.layer]):
            action, option = OTHER, _index(field, OTHER)
        expressible &= action != OTHER
        if field.headed:
            options.append(option)
    return Target(tuple(options), tuple(tuple(layer) for layer in spans), expressible)


def _option(field: Field, read: Reading, known: Mapping[bytes, int]) -> tuple[str, int]:
    if field.path not in read.leaf:
        return ABSENT, _index(field, ABSENT) if read.concerns(field.path) else IGNORED
    if field.reader and field.reader in read.found.get(field.path, {}):
        return COPY, _index(field, COPY)
    value = read.leaf[field.path]
    at = known.get(canonical_json(value))
    if at is None:
        return OTHER, _index(field, OTHER)
    # null among the called tools is a reply in words, which no field can say.
    action = OTHER if field.path == CALLED and value is None else "value"
    return action, len(field.actions) + at


def _index(field: Field, action: str) -> int:
    return field.actions.index(action) if action in field.actions else IGNORED


def _tagged(field: Field, read: Reading, layer: list[tuple[int, Span]]) -> bool:
    """Tag the field's spans in its layer; False if one is taken by another field."""
    spans = read.found[field.path][field.reader]
    free = [s for s in spans if not any(overlap(s, taken) for _, taken in layer)]
    n_needed = len(spans) if isinstance(read.leaf[field.path], list) else 1
    if len(free) < n_needed:
        return False
    layer.extend((field.tag, span) for span in free)
    return True
