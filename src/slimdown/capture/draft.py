"""A call as a format's reader finds it, before it has an id; and what makes it a `Call`.

Knows the order in which a session is looked for, and nothing of any one format. The metadata
that says which task or data set a recorded call belongs to is carried and never looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from slimdown.canonical import ID_HEX_DIGITS, content_id
from slimdown.types import Call, JsonObject

_SESSION_HEADERS = ("x-slimdown-session", "x-session-id", "x-conversation-id")
_CONTENT_DIGITS = ID_HEX_DIGITS - 8  # the last 8 digits of an id also count equal events
_SESSION_KEYS = ("session_id", "conversation_id")
_LATER_SESSION_KEYS = ("trace_id", "previous_response_id", "trajectory")


class Draft(msgspec.Struct, kw_only=True):
    """What a log says of one call. ``source_id`` is the log's own name for it, "" if none."""

    request: JsonObject
    response: JsonObject | None = None
    started_at: str | None = None
    latency_ms: float | None = None
    session_id: str | None = None
    error: str | None = None
    label: Any = None
    metadata: JsonObject = {}
    source_id: str = ""


class Unusable(ValueError):
    """A record of a known format that is not a call; its text is the reason."""


Found = Iterator[Draft | Unusable]
"""What a format's reader makes of one record: calls, and the parts that are none."""


class Numbering:
    """Gives ids to the drafts of one file.

    The id is the content's. Where a log tells neither an id nor a time, equal records are taken
    as events of their own and numbered as they come, so the same file again gives the same ids.
    That costs about a hundred bytes of memory for each such record. A call that we exported
    keeps its id.
    """

    def __init__(self) -> None:
        """Start with an empty file."""
        self._seen: dict[int, int] = {}

    def call(self, draft: Draft) -> Call:
        """Return the call of a draft."""
        return Call(
            id=draft.source_id if _is_ours(draft) else self._id(draft),
            request=draft.request,
            response=draft.response,
            started_at=draft.started_at,
            latency_ms=draft.latency_ms,
            session_id=draft.session_id,
            error=draft.error,
            label=draft.label,
            metadata=_metadata(draft),
        )

    def _id(self, draft: Draft) -> str:
        digest = _digest(draft, draft.source_id)
        if draft.source_id or draft.started_at is not None:
            return digest
        key = int(digest[:16], 16)
        occurrence = self._seen.get(key, 0)
        self._seen[key] = occurrence + 1
        number = (int(digest[_CONTENT_DIGITS:], 16) + occurrence) % (1 << 32)
        return f"{digest[:_CONTENT_DIGITS]}{number:08x}"


def session_of(record: JsonObject) -> str | None:
    """Return the session that a record names, in the order documented in docs/formats.md."""
    return next(_sessions(record), None)


def name(value: Any) -> str | None:
    """Return a value that can name something as text: a non-empty string, or an integer."""
    if isinstance(value, str) and value.strip():
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return None


def objects(*values: Any) -> list[JsonObject]:
    """Return those of the values that are JSON objects."""
    return [value for value in values if isinstance(value, dict)]


def _sessions(record: JsonObject) -> Iterator[str]:
    request = record.get("request")
    places = objects(record, record.get("metadata"), *(r.get("metadata") for r in objects(request)))
    headers: JsonObject = {}
    for listed in objects(record.get("headers"), *(r.get("headers") for r in objects(request))):
        headers |= {str(key).lower(): value for key, value in listed.items()}
    values = [headers.get(key) for key in _SESSION_HEADERS]
    values += [place.get(key) for key in _SESSION_KEYS for place in places]
    values.append(_trace_id(headers.get("traceparent")))
    values += [
        place.get(key) for key in _LATER_SESSION_KEYS for place in [*objects(request), *places]
    ]
    return (found for value in values if (found := name(value)) is not None)


def _trace_id(traceparent: Any) -> str | None:
    """Return the trace id of a W3C ``traceparent`` header, its second field."""
    fields = traceparent.split("-") if isinstance(traceparent, str) else []
    return fields[1] if len(fields) >= 4 else None


def _digest(draft: Draft, source_id: str) -> str:
    return content_id(
        (draft.request, draft.response, draft.started_at, draft.session_id, source_id)
    )


def _is_ours(draft: Draft) -> bool:
    """Tell whether the log's id is the one that this content was given here, whichever event."""
    if len(draft.source_id) != ID_HEX_DIGITS:
        return False
    before = draft.metadata.get("source_id")
    digest = _digest(draft, before if isinstance(before, str) else "")
    return digest[:_CONTENT_DIGITS] == draft.source_id[:_CONTENT_DIGITS]


def _metadata(draft: Draft) -> JsonObject:
    if not draft.source_id or "source_id" in draft.metadata or _is_ours(draft):
        return draft.metadata
    return {**draft.metadata, "source_id": draft.source_id}
