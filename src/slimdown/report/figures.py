"""How numbers and hostile texts are written on the page.

A figure that is missing or not finite is written as a dash. Texts of the log are made harmless to
read: control and direction-changing characters are shown by name, the rest is clipped; escaping
for HTML is the template's. It does not know what any figure means.
"""

from __future__ import annotations

import math
import re
import unicodedata
from typing import Any

import msgspec

DASH = "\N{EN DASH}"
_MINUS = "\N{MINUS SIGN}"
_ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
_HIDDEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff"
    r"\ud800-\udfff]"
)
_CODES = {
    "disagrees_too_often": "disagrees too often",
    "failed_test": "failed the test",
    "low_power": "too little evidence yet",
    "specialist_answer": "answered by a specialist",
    "too_few_labels": "too few calls yet",
    "human_facing": "read by a human",
    "near_duplicate": "near-duplicate",
    "same_session": "same session",
    "contract_violation": "breaks its own contract",
}


def percent(share: float | None) -> str:
    """Return a share as per cent, with a decimal below 10 % and two digits that count below 1 %."""
    if share is None or not math.isfinite(share):
        return DASH
    value = share * 100
    text = f"{value:.0f}" if abs(value) >= 9.95 or value == round(value) else f"{value:.1f}"
    if 0 < abs(value) < 0.95:
        text = f"{value:.2g}"  # to one decimal, a strict floor would be told as none at all
    return _signed(text) + "%"


def count(number: float | None) -> str:
    """Return a number of things, rounded, with thousands set apart."""
    if number is None or not math.isfinite(number):
        return DASH
    return _signed(f"{round(number):,}")


def usd(amount: float | None) -> str:
    """Return an amount of US dollars: cents from one dollar on, else three significant digits."""
    if amount is None or not math.isfinite(amount):
        return DASH
    size = abs(amount)
    if size == 0:
        return "$0"
    if size >= 100:
        text = f"{size:,.0f}"
    elif size >= 1:
        text = f"{size:,.2f}"
    else:
        text = f"{size:.{max(2, 2 - math.floor(math.log10(size)))}f}"
        text = text[:4] + text[4:].rstrip("0")
    return ("" if amount > 0 else _MINUS) + "$" + text


def duration(seconds: float | None) -> str:
    """Return a duration in the unit that suits it, from microseconds to days."""
    if seconds is None or not math.isfinite(seconds):
        return DASH
    for size, unit in ((86_400, "days"), (3600, "h"), (60, "min"), (1, "s"), (1e-3, "ms")):
        if seconds >= size:
            return f"{seconds / size:.{0 if seconds >= 10 * size else 1}f} {unit}"
    return "0 s" if seconds <= 0 else f"{seconds * 1e6:.0f} \N{MICRO SIGN}s"


def size(n_bytes: int | None) -> str:
    """Return a size in bytes, kB or MB."""
    if n_bytes is None:
        return DASH
    if n_bytes >= 1e6:
        return f"{n_bytes / 1e6:.1f} MB"
    return f"{n_bytes / 1e3:.0f} kB" if n_bytes >= 1e3 else f"{n_bytes} bytes"


def code(name: str) -> str:
    """Return a stable code in words."""
    return _CODES.get(name) or spoken(name.replace("_", " "), 80)


def when(moment: str | None) -> str:
    """Return an ISO 8601 time as date and minute; what is no such time is returned as text."""
    if not moment:
        return DASH
    found = re.match(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d)", moment)
    return f"{found[1]} {found[2]} UTC" if found else spoken(moment, 40)


def spoken(value: Any, limit: int = 600) -> str:
    """Return a text or JSON value as harmless text of at most ``limit`` characters."""
    if value is None:
        return "(no answer)"
    if not isinstance(value, str):
        value = _json(value)
    over = len(value) - limit
    shown = _HIDDEN.sub(_name, value[:limit])
    return f"{shown}{_ELLIPSIS} ({over:,} more characters)" if over > 0 else shown


def sentence(text: str) -> str:
    """Return a text as a harmless sentence: it begins with a capital and ends with a stop."""
    bare = spoken(text.strip(), 500)
    return bare[:1].upper() + bare[1:] + ("" if bare.endswith((".", "!", "?")) else ".")


def _json(value: Any) -> str:
    try:
        return msgspec.json.encode(value, order="sorted").decode()
    except (TypeError, ValueError, RecursionError):
        return repr(value)


def _name(found: re.Match[str]) -> str:
    name = unicodedata.name(found[0], f"U+{ord(found[0]):04X}")
    return f"\N{LEFT-POINTING ANGLE BRACKET}{name.lower()}\N{RIGHT-POINTING ANGLE BRACKET}"


def _signed(text: str) -> str:
    return text.replace("-", _MINUS)
