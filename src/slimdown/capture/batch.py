"""OpenAI's batch files: a call is a line of the input file and a line of the output file.

The halves are joined by ``custom_id``, whichever comes first; one waits, compressed, for the
other. Memory grows with the halves that wait.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import zstandard

from slimdown.capture.draft import Draft, Unusable, name, session_of
from slimdown.capture.recorded import error_text
from slimdown.capture.times import iso_time
from slimdown.types import JsonObject


class Waiting(msgspec.Struct, frozen=True):
    """A half whose other half has not come yet: where it stood, and what it says, compressed."""

    source: str
    line: int
    packed: bytes


class BatchJoin:
    """Joins the halves of batch calls."""

    def __init__(self) -> None:
        """Start with no half waiting."""
        self._waiting: dict[str, dict[str, list[Waiting]]] = {"input": {}, "output": {}}

    def draft(self, record: JsonObject, source: str, line: int) -> Draft | None:
        """Return the call that this half completes, or None if it has to wait."""
        custom_id = str(record["custom_id"])
        mine, other = ("input", "output") if is_input(record) else ("output", "input")
        found = self._waiting[other].pop(custom_id, [])
        if len(found) > 1:
            self._waiting[other][custom_id] = found
            raise Unusable(
                f"the custom_id {custom_id!r} stands in several batch files; "
                "import each input file together with its own output file"
            )
        if found:
            half = _unpack(found[0].packed)
            return _joined(record, half) if mine == "input" else _joined(half, record)
        waiting = self._waiting[mine].setdefault(custom_id, [])
        waiting.append(Waiting(source, line, _pack(record)))
        return None

    def unmatched(self) -> Iterator[tuple[Waiting, bytes, str]]:
        """Yield the halves left over, their bytes, and why each is not a call."""
        for kind, missing in (("input", "output"), ("output", "input")):
            for listed in self._waiting[kind].values():
                for half in listed:
                    raw = zstandard.decompress(half.packed)
                    yield half, raw, f"a batch {kind} without its {missing}: import both together"


def is_half(record: JsonObject) -> bool:
    """Tell whether a record is a line of a batch's input or output file."""
    return "custom_id" in record and (is_input(record) or "response" in record)


def is_input(record: JsonObject) -> bool:
    """Tell whether a half is the request."""
    return isinstance(record.get("body"), dict)


def _joined(asked: JsonObject, answered: JsonObject) -> Draft:
    request: JsonObject = asked["body"]
    if not isinstance(request.get("messages"), list):
        raise Unusable(f"a batch request to {asked.get('url')}, which is not a chat completion")
    outer = answered.get("response")
    body = outer.get("body") if isinstance(outer, dict) else None
    body = body if isinstance(body, dict) else None
    answers = body is not None and isinstance(body.get("choices"), list)
    error = error_text(answered.get("error")) or error_text((body or {}).get("error"))
    return Draft(
        request=request,
        response=body,
        started_at=iso_time((body or {}).get("created")),
        session_id=session_of({"request": request}),
        error=error if answers else error or "the batch gave no answer",
        metadata={"custom_id": asked["custom_id"]},
        source_id=name(answered.get("id")) or str(asked["custom_id"]),
    )


def _pack(record: JsonObject) -> bytes:
    return zstandard.compress(msgspec.json.encode(record))


def _unpack(packed: bytes) -> JsonObject:
    return msgspec.json.decode(zstandard.decompress(packed), type=JsonObject)
