"""What a task's answers are made of, learnt from its examples: one field for each leaf path.

A field's value is absent, one of a closed set, copied from the input, or something else, for
which the specialist abstains. Pure functions of outputs and texts; no model is known here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from slimdown.canonical import canonical_json
from slimdown.encoder.pieces import Unit, units_of
from slimdown.train.fields.readers import Span, places
from slimdown.train.fields.tree import CALLED, Path, applies, leaves
from slimdown.types import Example, OutputKind

ABSENT, OTHER, COPY = "absent", "other", "copy"
"""What a field may do besides stating a value of its closed set."""

IGNORED = -100
"""Target of a field that an example says nothing about."""

_COPIED_SHARE = 0.9
_NOVELTY = 0.02
_MAX_CLOSED = 400
_MIN_REPEATS = 2
_MIN_OTHERS = 3
_CONFLICTS = 0.005
_SHORT = 3


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


class _Read(msgspec.Struct, frozen=True):
    """An example taken apart: its leaves, and where each value could have been read."""

    leaf: dict[Path, Any]
    found: dict[Path, dict[str, list[Span]]]


def make_plan(examples: Sequence[Example], kind: OutputKind) -> tuple[Plan, list[Target]]:
    """Return the plan that the examples' outputs call for, and each example's target."""
    read = [_taken_apart(e, kind) for e in examples]
    paths = list(dict.fromkeys(path for r in read for path in r.leaf))
    fields = _in_layers([_field(path, read) for path in paths], read)
    n_layers = 1 + max((f.layer for f in fields), default=-1)
    layers = tuple(1 + max(f.tag for f in fields if f.layer == i) for i in range(n_layers))
    plan = Plan(kind=kind, fields=tuple(fields), layers=layers)
    return plan, [_target(plan, r) for r in read]


def expressible_share(examples: Sequence[Example], kind: OutputKind) -> float:
    """Return the share of outputs that closed values and copies can say, 0..1."""
    _, targets = make_plan(examples, kind)
    return sum(t.expressible for t in targets) / max(1, len(targets))


def heard_as(value: Any) -> str:
    """Return a copied value as `Field.heard` spells it: letters' case does not matter."""
    return str(value).lower()


def _each(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _taken_apart(example: Example, kind: OutputKind) -> _Read:
    leaf = leaves(example.output, kind)
    if kind == "label":
        return _Read(leaf, {})
    units = units_of(example.input)
    found = {
        path: _found(example.input, units, value)
        for path, value in leaf.items()
        if path != CALLED and value is not None and not isinstance(value, bool | dict)
    }
    return _Read(leaf, {path: spans for path, spans in found.items() if spans})


def _found(text: str, units: Sequence[Unit], value: Any) -> dict[str, list[Span]]:
    if not isinstance(value, list):
        found = places(text, units, value)
        return {reader: _meant(spans, value) for reader, spans in found.items()}
    if not value:
        return {}
    each = [places(text, units, item) for item in value]
    return {
        reader: spans
        for reader in each[0]
        if all(reader in one for one in each)
        and (spans := _in_order([one[reader] for one in each])) is not None
    }


def _meant(spans: list[Span], value: Any) -> list[Span]:
    # A short value may stand in the text by chance again; a long one is the same thing repeated.
    return spans if len(str(value)) > _SHORT else spans[:1]


def _in_order(each: list[list[Span]]) -> list[Span] | None:
    chosen: list[Span] = []
    at = 0
    for spans in each:
        following = next((span for span in spans if span[0] >= at), None)
        if following is None:
            return None
        chosen.append(following)
        at = following[1]
    return chosen


def _field(path: Path, read: Sequence[_Read]) -> Field:
    here = [r for r in read if path in r.leaf]
    able = [r for r in read if path in r.leaf or _called_for(path, r)]
    reader = _best_reader(path, here)
    copied = [r for r in here if reader in r.found.get(path, {})]
    if reader and not _worth_copying(path, here, len(copied)):
        reader, copied = "", []
    rest = [r for r in here if not copied or reader not in r.found.get(path, {})]
    counts = Counter(canonical_json(r.leaf[path]) for r in rest)
    repeats = [v for v, n in counts.most_common(_MAX_CLOSED) if n >= _MIN_REPEATS]
    n_other = sum(counts.values()) - sum(counts[v] for v in repeats)
    present = [
        (ABSENT, len(here) < len(able)),
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


def _called_for(path: Path, read: _Read) -> bool:
    return CALLED not in read.leaf or applies(path, read.leaf[CALLED])


def _best_reader(path: Path, here: Sequence[_Read]) -> str:
    counts = Counter(reader for r in here for reader in r.found.get(path, {}))
    # Ties go to the reader listed first, which is the simpler one.
    return max(counts, key=lambda reader: counts[reader], default="")


def _worth_copying(path: Path, here: Sequence[_Read], n_copied: int) -> bool:
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


def _in_layers(fields: Sequence[Field], read: Sequence[_Read]) -> list[Field]:
    """Give each copied field a tag, in a layer where its spans overlap no other's (colouring)."""
    counts, overlaps = _overlaps([f for f in fields if f.reader], read)
    layers: list[list[Path]] = []
    placed: dict[Path, tuple[int, int]] = {}
    for tag in sorted(counts, key=lambda t: -counts[t]):
        layer = next((i for i, tags in enumerate(layers) if _fits(tag, tags, counts, overlaps)), -1)
        if layer < 0:
            layer = len(layers)
            layers.append([])
        placed[tag] = (layer, len(layers[layer]))
        layers[layer].append(tag)
    return [
        msgspec.structs.replace(f, layer=placed[_tag(f)][0], tag=placed[_tag(f)][1])
        if f.reader
        else f
        for f in fields
    ]


def _tag(field: Field) -> Path:
    """Return what a field's spans are tagged as: tools share the tag of a like-named argument."""
    path = field.path
    return (path[0], *path[2:], field.reader) if field.argument else path


def _fits(
    tag: Path, tags: Iterable[Path], counts: Counter[Path], overlaps: Counter[tuple[Path, Path]]
) -> bool:
    return all(overlaps[tag, t] <= _CONFLICTS * min(counts[tag], counts[t]) for t in tags)


def _overlaps(
    copied: Sequence[Field], read: Sequence[_Read]
) -> tuple[Counter[Path], Counter[tuple[Path, Path]]]:
    counts: Counter[Path] = Counter()
    overlaps: Counter[tuple[Path, Path]] = Counter()
    known = {f.path: (_tag(f), f.reader) for f in copied}
    for r in read:
        said_here = [(known[path], found) for path, found in r.found.items() if path in known]
        spans = [(tag, found[by]) for (tag, by), found in said_here if by in found]
        counts.update(tag for tag, _ in spans)
        for tag, mine in spans:
            for other, theirs in spans:
                if tag != other and any(_overlap(a, b) for a in mine for b in theirs):
                    overlaps[tag, other] += 1
    return counts, overlaps


def _overlap(a: Span, b: Span) -> bool:
    return a[0] < b[1] and b[0] < a[1]


def _target(plan: Plan, read: _Read) -> Target:
    options: list[int] = []
    spans: list[list[tuple[int, Span]]] = [[] for _ in plan.layers]
    expressible = True
    for field in plan.fields:
        action, option = _option(field, read)
        if action == COPY and not _tagged(field, read, spans[field.layer]):
            action, option = OTHER, _index(field, OTHER)
        expressible &= action != OTHER
        if field.headed:
            options.append(option)
    return Target(tuple(options), tuple(tuple(layer) for layer in spans), expressible)


def _option(field: Field, read: _Read) -> tuple[str, int]:
    if field.path not in read.leaf:
        return ABSENT, _index(field, ABSENT) if _called_for(field.path, read) else IGNORED
    if field.reader and field.reader in read.found.get(field.path, {}):
        return COPY, _index(field, COPY)
    value = read.leaf[field.path]
    for at, known in enumerate(field.values):
        if canonical_json(known) == canonical_json(value):
            # null among the called tools is a reply in words, which no field can say.
            action = OTHER if field.path == CALLED and value is None else "value"
            return action, len(field.actions) + at
    return OTHER, _index(field, OTHER)


def _index(field: Field, action: str) -> int:
    return field.actions.index(action) if action in field.actions else IGNORED


def _tagged(field: Field, read: _Read, layer: list[tuple[int, Span]]) -> bool:
    """Tag the field's spans in its layer; False if one is taken by another field."""
    spans = read.found[field.path][field.reader]
    free = [s for s in spans if not any(_overlap(s, taken) for _, taken in layer)]
    n_needed = len(spans) if isinstance(read.leaf[field.path], list) else 1
    if len(free) < n_needed:
        return False
    layer.extend((field.tag, span) for span in free)
    return True
