"""Which fields are tagged together: in a layer no two fields' spans overlap (graph colouring)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from slimdown.train.fields.plan import Field
from slimdown.train.fields.readers import Span
from slimdown.train.fields.reading import Reading
from slimdown.train.fields.tree import Path

_CONFLICTS = 0.005
"""Share of its occurrences that a field may lose to another of its layer."""


def in_layers(fields: Sequence[Field], read: Sequence[Reading]) -> list[Field]:
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
    copied: Sequence[Field], read: Sequence[Reading]
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
                if tag != other and any(overlap(a, b) for a in mine for b in theirs):
                    overlaps[tag, other] += 1
    return counts, overlaps


def overlap(a: Span, b: Span) -> bool:
    """Tell whether two spans share a unit."""
    return a[0] < b[1] and b[0] < a[1]
