"""From lines to JSON records: one a line, or one document that holds them all.

A file is a document if its lines are not JSON each by itself. Knows nothing of formats.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from slimdown.capture.source import MAX_DOCUMENT_BYTES, Line, Source

_DECODE = msgspec.json.Decoder().decode
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_PAGE_KEYS = ("data", "observations", "calls", "logs")


class Record(msgspec.Struct, frozen=True):
    """A JSON value of a log, or the ``fault`` that kept it from being one.

    ``raw`` is the line it stands on, empty for a part of a document.
    """

    number: int
    value: Any
    raw: bytes
    n_bytes: int
    fault: str = ""


class Unreadable(ValueError):
    """Bytes that are not JSON as it may be stored; its text is the reason."""


def records(source: Source) -> Iterator[Record]:
    """Yield the records of a file, faulty ones included; none for an empty file."""
    found = source.lines()
    head = list(itertools.islice(found, 2))
    if _may_be_document(head):
        rest: list[Line] = []
        n_bytes = sum(line.n_bytes for line in head)
        for line in found:
            rest.append(line)
            n_bytes += line.n_bytes
            if n_bytes > MAX_DOCUMENT_BYTES or line.fault:
                break
        else:
            value = _document([*head, *rest])
            if value is not _NONE:
                yield from _parts(value)
                return
        head += rest
    for line in itertools.chain(head, found):
        yield _record(line)


def parse(data: bytes) -> Any:
    """Return the JSON value of some bytes; raises `Unreadable`, whatever is wrong with them."""
    try:
        return _DECODE(data)
    except UnicodeDecodeError as error:
        raise Unreadable(f"not UTF-8 text (byte {error.start})") from error
    except RecursionError as error:
        raise Unreadable("JSON nested too deeply") from error
    except msgspec.DecodeError as error:
        raise Unreadable(_cause(data, error)) from error


def _cause(data: bytes, error: Exception) -> str:
    if _SURROGATE.search(data):
        try:
            json.loads(data)
        except (ValueError, RecursionError):
            return f"not JSON ({error})"
        return "half of a surrogate pair in a text: it stands for no character"
    return f"not JSON ({error})"


def _record(line: Line) -> Record:
    if line.fault:
        return Record(line.number, None, line.data, line.n_bytes, line.fault)
    try:
        value = parse(line.data)
    except Unreadable as error:
        return Record(line.number, None, line.data, line.n_bytes, str(error))
    return Record(line.number, value, line.data, line.n_bytes)


def _may_be_document(head: list[Line]) -> bool:
    if not head or any(line.fault for line in head):
        return False
    if len(head) == 1 or head[0].data.strip() in (b"[", b"{"):
        return True
    return all(_parsed(line.data) is _NONE for line in head) and head[0].data.lstrip()[:1] in b"[{"


_NONE = object()


def _parsed(data: bytes) -> Any:
    try:
        return parse(data)
    except Unreadable:
        return _NONE


def _document(lines: list[Line]) -> Any:
    return _parsed(b"".join(line.data for line in lines))


def _parts(document: Any) -> Iterator[Record]:
    """Yield the records of a document: its elements, unless they are one conversation."""
    values = [document]
    if isinstance(document, list) and not is_conversation(document):
        values = document
    elif isinstance(document, dict) and document.get("object") == "list":
        values = document["data"] if isinstance(document.get("data"), list) else values
    for number, value in enumerate(values, start=1):
        yield Record(number, value, b"", 0)


def is_conversation(value: Any) -> bool:
    """Tell whether a value is a list of chat messages."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(m, dict) and ("role" in m or "from" in m) for m in value)
    )
