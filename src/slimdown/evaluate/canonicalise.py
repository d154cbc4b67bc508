"""One form for values that mean the same, so that agreement is an equality of forms.

An equality of forms is reflexive, symmetric and transitive, which a pairwise tolerance is not.
Two strictnesses: a JSON answer forgives what extraction varies in (blanks around text, absent
against null, the notation of an instant); the arguments of a tool call are exact but for the
notation of numbers. Nothing here strips punctuation or reads text as a number: "-5" is not "5"
and "007" is not 7. Does not know a schema, nor which fields matter.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime
from typing import Any

_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?([Zz]|[+-]\d\d:?\d\d)?")
_QUOTES = "\"'`*\u201c\u201d\u2018\u2019\u00ab\u00bb"

SIGNIFICANT_DIGITS = 15
"""Decimal digits that every double keeps: absorbs 0.1 + 0.2, and no amount of money."""


def normalise_label(text: str) -> str:
    """Return a label without case, outer blanks, quotes or closing full stop; NFC."""
    folded = unicodedata.normalize("NFD", text).casefold()
    bare = unicodedata.normalize("NFC", folded).strip()
    while (peeled := _peel(bare)) and peeled != bare:
        bare = peeled
    return bare


def normalise_text(text: str) -> str:
    """Return free text in NFC with each run of blanks as one space, none at the ends."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def canonical_value(value: Any, *, enums: frozenset[str] = frozenset(), path: str = "") -> Any:
    """Return a JSON answer's canonical form: objects without nulls, canonical leaves.

    ``enums`` are field paths ("size", "items[].colour") whose text is compared without case.
    """
    if isinstance(value, dict):
        return {
            key: canonical_value(item, enums=enums, path=f"{path}.{key}" if path else key)
            for key, item in value.items()
            if item is not None
        }
    if isinstance(value, list):
        return [canonical_value(item, enums=enums, path=f"{path}[]") for item in value]
    if isinstance(value, str):
        return normalise_label(value) if path in enums else _canonical_string(value)
    return canonical_number(value)


def canonical_argument(value: Any) -> Any:
    """Return a tool argument's canonical form: exact, but 1.0 is 1 and key order is free."""
    if isinstance(value, dict):
        return {key: canonical_argument(item) for key, item in value.items()}
    if isinstance(value, list):
        return [canonical_argument(item) for item in value]
    return canonical_number(value)


def canonical_number(value: Any) -> Any:
    """Return a float at `SIGNIFICANT_DIGITS`, as an int where it is whole; others as they are."""
    if not isinstance(value, float):
        return value
    rounded = float(format(value, f".{SIGNIFICANT_DIGITS}g"))
    return int(rounded) if rounded.is_integer() and abs(rounded) < 2**63 else rounded


def enum_paths(schema: Any, path: str = "") -> frozenset[str]:
    """Return the field paths of a JSON Schema that are text from a closed list (``enum``)."""
    if not isinstance(schema, dict):
        return frozenset()
    own = frozenset({path} if isinstance(schema.get("enum"), list) else ())
    properties = schema.get("properties")
    inner = properties.items() if isinstance(properties, dict) else ()
    found = [enum_paths(part, f"{path}.{name}" if path else name) for name, part in inner]
    return own.union(*found, enum_paths(schema.get("items"), f"{path}[]"))


def _peel(text: str) -> str:
    return text.removesuffix(".").strip().strip(_QUOTES).strip()


def _canonical_string(text: str) -> str:
    trimmed = unicodedata.normalize("NFC", text).strip()
    return _instant(trimmed) if _INSTANT.fullmatch(trimmed) else trimmed


def _instant(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text.upper())
        return (moment.astimezone(UTC) if moment.tzinfo else moment).isoformat()
    except (ValueError, OverflowError):
        return text  # shaped like an instant, but no calendar has it
