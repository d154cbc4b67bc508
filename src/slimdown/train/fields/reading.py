"""Examples taken apart: each leaf of an output, and where in the input it could have been read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from slimdown.encoder.pieces import Unit, units_of
from slimdown.train.fields.readers import Span, places
from slimdown.train.fields.tree import CALLED, Path, applies, leaves
from slimdown.types import Example, OutputKind

_SHORT = 3


class Reading(msgspec.Struct, frozen=True):
    """An example's leaves, and for each the spans it can be read off, by the reader that can."""

    leaf: dict[Path, Any]
    found: dict[Path, dict[str, list[Span]]]

    def concerns(self, path: Path) -> bool:
        """Tell whether a leaf could occur here: an argument only where its tool is called."""
        return CALLED not in self.leaf or applies(path, self.leaf[CALLED])

    def spans(self, path: Path, reader: str) -> list[Span]:
        """Return the spans that ``reader`` can read the leaf off; none where it is absent."""
        return self.found.get(path, {}).get(reader, [])


def taken_apart(example: Example, kind: OutputKind) -> Reading:
    """Return the example's leaves with the places they can be read off; labels are not copied."""
    leaf = leaves(example.output, kind)
    if kind == "label":
        return Reading(leaf, {})
    units = units_of(example.input)
    found = {
        path: _found(example.input, units, value)
        for path, value in leaf.items()
        if path != CALLED and value is not None and not isinstance(value, bool | dict)
    }
    return Reading(leaf, {path: spans for path, spans in found.items() if spans})


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
