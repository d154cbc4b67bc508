"""Times as logs write them, as one kind of text: ISO 8601 in UTC with milliseconds.

A time without a zone is taken as UTC. What is no time is None, never a guess.
"""

from __future__ import annotations

import datetime
from typing import Any

_MILLISECONDS_FROM = 1e11  # as seconds this is the year 5138, as milliseconds 1973
_LATEST = 253_402_300_799.0  # the last second of the year 9999


def iso_time(value: Any) -> str | None:
    """Return a time as ``2025-06-11T14:01:34.290Z``.

    Takes ISO 8601 text, with a blank for its T too, and Unix seconds or milliseconds.
    """
    moment = _moment(value)
    if moment is None:
        return None
    utc = moment.astimezone(datetime.UTC)
    return utc.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def latency_ms(start: Any, end: Any) -> float | None:
    """Return the milliseconds from one time to another, None if a time is missing or they cross."""
    first, last = _moment(start), _moment(end)
    if first is None or last is None or last < first:
        return None
    return round((last - first).total_seconds() * 1000, 3)


def _moment(value: Any) -> datetime.datetime | None:
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return _from_unix(value)
        if isinstance(value, str):
            moment = datetime.datetime.fromisoformat(value.strip())
            zoned = moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
            return zoned.astimezone(datetime.UTC)
    except (ValueError, OverflowError):
        return None
    return None


def _from_unix(value: float) -> datetime.datetime | None:
    seconds = value / 1000 if value >= _MILLISECONDS_FROM else float(value)
    if not 0 < seconds <= _LATEST:
        return None
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)
