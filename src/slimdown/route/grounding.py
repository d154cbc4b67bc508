"""Is a value said in the request? By its letters and digits, or as figures written otherwise.

A specialist copies, and may change case, blanks and hyphens, or write a date or an amount in
figures. Whatever else it says in words it must have from a list. The test is generous: it is one
of several, and the certificate judged whole answers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from slimdown.signature import messages_of, spoken_text
from slimdown.types import JsonObject

_BETWEEN = re.compile(r"[\W_]+")
_FIGURES = re.compile(r"\d[\d\s:.,/T+\-]*")
_RUN = re.compile(r"\d{1,18}")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3})")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WORDS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen"),
    *("nineteen", "twenty"),
)
_CHOICES = ("enum", "const")


class Said:
    """What a request's messages say, made ready step by step as values need it."""

    def __init__(self, request: JsonObject) -> None:
        """Take the request; nothing is read before the first question."""
        self._request = request
        self._texts: str | None = None
        self._bare: str | None = None
        self._numbers: frozenset[int] | None = None

    def grounds(self, value: str) -> bool:
        """Tell whether a text value stands in the messages, as it is or in another writing."""
        if self._texts is None:
            self._texts = "\n".join(map(spoken_text, messages_of(self._request)))
        return value in self._texts or self._as_letters(value) or self._as_figures(value)

    def _as_letters(self, value: str) -> bool:
        bare = _bare(value)
        if self._bare is None:
            self._bare = _bare(self._texts or "")
        return bare != "" and bare in self._bare

    def _as_figures(self, value: str) -> bool:
        if not _FIGURES.fullmatch(value):
            return False
        if self._numbers is None:
            self._numbers = frozenset(_numbers_in(self._texts or ""))
        return all(int(run) in self._numbers for run in _RUN.findall(value))


def choices(request: JsonObject) -> frozenset[str]:
    """Return the texts that the request's schemas list as values (``enum``, ``const``)."""
    found: set[str] = set()
    waiting: list[Any] = [request.get(key) for key in ("response_format", "tools", "functions")]
    while waiting:
        at = waiting.pop()
        if isinstance(at, dict):
            for key in _CHOICES:
                found.update(texts_in(at.get(key)))
            waiting.extend(at.values())
        elif isinstance(at, list):
            waiting.extend(at)
    return frozenset(found)


def texts_in(value: Any) -> Iterator[str]:
    """Yield every text among a JSON value's leaves; keys are not values."""
    waiting = [value]
    while waiting:
        at = waiting.pop()
        if isinstance(at, str):
            yield at
        elif isinstance(at, dict):
            waiting.extend(at.values())
        elif isinstance(at, list):
            waiting.extend(at)


def _bare(text: str) -> str:
    return _BETWEEN.sub("", text.casefold())


def _numbers_in(text: str) -> Iterator[int]:
    low = text.lower()
    yield 0  # what is left out where it is nothing: the minutes of an hour, the cents of an amount
    yield from (at for at, word in enumerate(_WORDS) if word in low)
    yield from (at for at, month in enumerate(_MONTHS, 1) if month in low)
    afternoon = re.search(r"\d ?p\.?m", low) is not None
    for run in _RUN.findall(_THOUSANDS.sub("", low)):
        yield int(run)
        if afternoon and int(run) < 12:
            yield int(run) + 12
