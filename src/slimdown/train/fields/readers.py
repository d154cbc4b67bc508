"""How a value is read off a span of text, and where in a text a value could have been read.

Each reader is a pure function of the span's characters, so whatever it returns was said in the
input. Knows nothing of fields.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from slimdown.encoder.pieces import Unit

Span = tuple[int, int]
"""Units from the first up to, not including, the second."""

_LONGEST_PARSED = 8
"""Units that a number, date or time may take; copies may be longer."""

# fmt: off
_MONTHS = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)
_WORDS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen", "twenty",
)
# fmt: on
_STARTS = re.compile("|".join([r"[-\d$€£#]", *(m[:3] for m in _MONTHS), *_WORDS]), re.IGNORECASE)
_NUMBER = re.compile(
    r"(?P<sign>-?)[$€£#]? ?(?P<whole>\d{1,3}(?:,\d{3})+|\d+)(?P<part>\.\d+)?"
    r"(?: ?(?:%|[$€£]|usd|eur|gbp|dollars?|euros?|pounds?))?",
    re.IGNORECASE,
)
_DATE_FORMS = (
    re.compile(r"(?P<y>\d{4})[-/.](?P<m>\d{1,2})[-/.](?P<d>\d{1,2})"),
    re.compile(r"(?P<n>[a-z]+)\.? (?P<d>\d{1,2})(?:st|nd|rd|th)?,? (?P<y>\d{4})", re.IGNORECASE),
    re.compile(r"(?P<d>\d{1,2})(?:st|nd|rd|th)? (?:of )?(?P<n>[a-z]+)\.?,? (?P<y>\d{4})", re.I),
)
_MONTH_FIRST = re.compile(r"(?P<m>\d{1,2})[-/.](?P<d>\d{1,2})[-/.](?P<y>\d{4})")
_DAY_FIRST = re.compile(r"(?P<d>\d{1,2})[-/.](?P<m>\d{1,2})[-/.](?P<y>\d{4})")
_TIME = re.compile(r"(?P<h>\d{1,2})(?:[:.](?P<min>\d{2}))? ?(?P<half>[ap])?\.?(?:m\.?)?", re.I)


def _verbatim(said: str) -> str:
    return said


def _capital(said: str) -> str:
    return said[:1].upper() + said[1:].lower()


def _title(said: str) -> str:
    return " ".join(_capital(word) for word in said.split(" "))


def _joined(said: str) -> str:
    return re.sub(r"[\s\-]+", "", said)


def _joined_upper(said: str) -> str:
    return _joined(said).upper()


def _snake(said: str) -> str:
    return re.sub(r"[\s\-]+", "_", said).lower()


def _decimal(said: str) -> float | None:
    if said.lower() in _WORDS:
        return float(_WORDS.index(said.lower()))
    match = _NUMBER.fullmatch(said)
    if match is None:
        return None
    digits = match["whole"].replace(",", "") + (match["part"] or "")
    # A leading zero marks a code, not an amount.
    if len(digits) > 15 or (digits[0] == "0" and digits[1:2].isdigit()):
        return None
    return float(match["sign"] + digits)


def _integer(said: str) -> int | None:
    value = _decimal(said)
    return int(value) if value is not None and value.is_integer() else None


def _digits(said: str) -> str | None:
    value = _integer(said)
    return None if value is None else str(value)


def _amount(said: str) -> str | None:
    value = _decimal(said)
    return None if value is None else f"{value:.2f}"


def _date_with(*forms: re.Pattern[str]) -> Callable[[str], str | None]:
    def read(said: str) -> str | None:
        match = next((m for form in forms if (m := form.fullmatch(said))), None)
        if match is None:
            return None
        parts = match.groupdict()
        month = _month(parts["n"]) if "n" in parts else int(parts["m"])
        day = int(parts["d"])
        if not (1 <= month <= 12 and 1 <= day <= 31):
            return None
        return f"{int(parts['y']):04d}-{month:02d}-{day:02d}"

    return read


def _month(name: str) -> int:
    low = name.lower()
    starts = [i for i, month in enumerate(_MONTHS, 1) if len(low) >= 3 and month.startswith(low)]
    return starts[0] if starts else 0


def _time(said: str) -> str | None:
    match = _TIME.fullmatch(said)
    if match is None or not (match["min"] or match["half"]):
        return None
    hour, minute = int(match["h"]), int(match["min"] or 0)
    half = (match["half"] or "").lower()
    if hour > (12 if half else 23) or minute > 59 or (half and hour == 0):
        return None
    if half:
        hour = hour % 12 + (12 if half == "p" else 0)
    return f"{hour:02d}:{minute:02d}"


_COPIES: dict[str, Callable[[str], Any]] = {
    "verbatim": _verbatim,
    "lower": str.lower,
    "upper": str.upper,
    "capital": _capital,
    "title": _title,
    "joined": _joined,
    "joined_upper": _joined_upper,
    "snake": _snake,
}
"""Readers that keep the letters and digits of a span; simplest first."""

_PARSES: dict[str, Callable[[str], Any]] = {
    "integer": _integer,
    "decimal": _decimal,
    "digits": _digits,
    "amount": _amount,
    "date_month_first": _date_with(*_DATE_FORMS, _MONTH_FIRST),
    "date_day_first": _date_with(*_DATE_FORMS, _DAY_FIRST),
    "time": _time,
}
"""Readers that parse a span."""

READERS: dict[str, Callable[[str], Any]] = {**_COPIES, **_PARSES}
"""Name -> a function of a span's text, which returns None where it cannot be read so."""


def places(text: str, units: Sequence[Unit], value: Any) -> dict[str, list[Span]]:
    """Return, for each reader that can read ``value`` off ``text``, the spans that it can be read
    off, left to right and without overlap."""
    found: dict[str, list[Span]] = {}
    for span in _spelled(text, units, value):
        _note(found, _COPIES, text, units, span, value)
    if not isinstance(value, str) or (value and value[0].isdigit()):
        for span in _parsable(text, units):
            _note(found, _PARSES, text, units, span, value)
    return {reader: _apart(spans) for reader, spans in found.items()}


def said(text: str, units: Sequence[Unit], span: Span) -> str:
    """Return the characters of a span."""
    return text[units[span[0]].start : units[span[1] - 1].end]


def _note(
    found: dict[str, list[Span]],
    readers: dict[str, Callable[[str], Any]],
    text: str,
    units: Sequence[Unit],
    span: Span,
    value: Any,
) -> None:
    words = said(text, units, span)
    for name, read in readers.items():
        got = read(words)
        if got == value and type(got) is type(value):
            found.setdefault(name, []).append(span)


def _spelled(text: str, units: Sequence[Unit], value: Any) -> Iterator[Span]:
    """Yield the spans whose letters and digits, in lower case, are those of ``value``."""
    if not isinstance(value, str):
        return
    target = _letters(value)
    if not target:
        return
    words = [_letters(text[u.start : u.end]) for u in units]
    for start, word in enumerate(words):
        if word and target.startswith(word):
            yield from _ends(words, start, target, value)


def _ends(words: Sequence[str], start: int, target: str, value: str) -> Iterator[Span]:
    so_far = ""
    # Marks at either end belong to a span or not: "Dr." and "Dr" spell the same letters.
    first = start
    while first > 0 and not words[first - 1] and not value[:1].isalnum():
        first -= 1
    for end in range(start, len(words)):
        so_far += words[end]
        if not target.startswith(so_far):
            return
        if so_far == target:
            for begin in range(first, start + 1):
                yield begin, end + 1


def _parsable(text: str, units: Sequence[Unit]) -> Iterator[Span]:
    for start, unit in enumerate(units):
        if not _STARTS.match(text, unit.start):
            continue
        # Longest first, so that "$1,500.00" is read whole and not as 1, 500 or 0.
        for end in range(min(len(units), start + _LONGEST_PARSED), start, -1):
            yield start, end


def _apart(spans: list[Span]) -> list[Span]:
    kept: list[Span] = []
    for span in sorted(set(spans), key=lambda s: (s[0], -s[1])):
        if not kept or span[0] >= kept[-1][1]:
            kept.append(span)
    return kept


def _letters(text: str) -> str:
    return "".join(c for c in text.lower() if c.isalnum())
