"""Exchanges between real clients and real providers, from recorded cassettes, to be told again.

The recorders kept what they saw of the wire. What they did not keep is made up: the parts of a
chunked body (an event, or all), and the bytes of a body that was kept as JSON (``rebuilt``).
"""

from __future__ import annotations

import gzip
import os
import tarfile
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
import yaml  # type: ignore[import-untyped]

from slimdown.testing import Say, Step, chunk, head

DATA = Path(os.environ.get("SLIMDOWN_DATA", Path(__file__).parents[3] / "shared/data"))
ARCHIVE = DATA / "vcr_cassettes/native_cassettes.tar.gz"

_MODEL_PATHS = ("/chat/completions", "/responses", "/messages", "/completions", "/embeddings")
_FRAMING = frozenset((b"content-length", b"transfer-encoding"))
_CLIENTS_OWN = _FRAMING | {b"host", b"connection"}
_GZIP_MAGIC = b"\x1f\x8b"

HeaderLines = tuple[tuple[bytes, bytes], ...]


class Cassette(msgspec.Struct, frozen=True, kw_only=True):
    """A request and its reply. ``path`` has its query; names of headers have the case they had."""

    name: str
    method: str
    path: str
    request_headers: HeaderLines
    request_body: bytes
    status: int
    response_headers: HeaderLines
    response_body: bytes
    chunked: bool
    rebuilt: bool

    @property
    def is_stream(self) -> bool:
        """Whether the reply is an event stream."""
        types = [value for name, value in self.response_headers if name.lower() == b"content-type"]
        return any(value.startswith(b"text/event-stream") for value in types)


def cassette_cases(limit: int | None = None, *, model_calls: bool = True) -> list[Cassette]:
    """Return recorded exchanges, ``limit`` of them evenly spread; skips the test without the data.

    With ``model_calls`` only those that asked a model, else only the others.
    """
    if not ARCHIVE.exists():
        pytest.skip(f"no cassettes at {ARCHIVE}: set SLIMDOWN_DATA to the folder of the data sets")
    cases = [case for case in _all_cases() if _asks_model(case) is model_calls]
    step = len(cases) / min(limit or len(cases), len(cases))
    return [cases[int(place * step)] for place in range(round(len(cases) / step))]


def script_of(case: Cassette) -> list[Step]:
    """Return the steps by which a `ScriptedUpstream` tells the reply again, byte for byte."""
    lines = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in case.response_headers]
    if case.status == 204:
        return [Say(head(case.status, lines))]
    if not case.chunked:
        lines.append(("content-length", str(len(case.response_body))))
        return [Say(head(case.status, lines) + case.response_body)]
    begun = Say(head(case.status, [*lines, ("transfer-encoding", "chunked")]))
    return [begun, *(Say(chunk(part)) for part in _parts(case)), Say(chunk(b""))]


def sendable_headers(case: Cassette) -> HeaderLines:
    """Return the request's header lines without those that the connection at hand decides."""
    return tuple(line for line in case.request_headers if line[0].lower() not in _CLIENTS_OWN)


def _parts(case: Cassette) -> list[bytes]:
    if not case.response_body:
        return []
    if not case.is_stream or case.response_body.startswith(_GZIP_MAGIC):
        return [case.response_body]
    events = case.response_body.split(b"\n\n")
    whole = [event + b"\n\n" for event in events[:-1]]
    return [*whole, events[-1]] if events[-1] else whole


@cache
def _all_cases() -> tuple[Cassette, ...]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    found: list[Cassette] = []
    with tarfile.open(ARCHIVE) as archive:
        # In the archive's order, for a compressed one is slow to be read in any other.
        files = [(member.name, archive.extractfile(member)) for member in archive]
        texts = [(name, file.read()) for name, file in files if file is not None]
    for name, text in texts:
        interactions = yaml.load(text, loader)["interactions"]
        named = (f"{name}#{place}" for place in range(len(interactions)))
        found += [case for case in map(_case, named, interactions) if case is not None]
    found.sort(key=lambda case: case.name)
    return tuple(found)


def _case(name: str, interaction: dict[str, Any]) -> Cassette | None:
    """Return the exchange, None where the recorder kept no reply that could be sent again."""
    asked, told = interaction["request"], interaction["response"]
    if not isinstance(told.get("status"), dict):
        return None
    url = urlsplit(asked["uri"])
    headers = _lines(told.get("headers") or {})
    return Cassette(
        name=name,
        method=asked["method"],
        path=(url.path or "/") + (f"?{url.query}" if url.query else ""),
        request_headers=_lines(asked.get("headers") or {}),
        request_body=_body(asked),
        status=told["status"]["code"],
        response_headers=tuple(line for line in headers if line[0].lower() not in _FRAMING),
        response_body=_compressed(_body(told), headers),
        chunked=any(name.lower() == b"transfer-encoding" for name, _ in headers),
        rebuilt="parsed_body" in told or "parsed_body" in asked,
    )


def _lines(headers: dict[str, Any]) -> HeaderLines:
    listed = ((n, v if isinstance(v, list) else [v]) for n, v in headers.items())
    return tuple((n.encode(), str(value).encode()) for n, values in listed for value in values)


def _body(side: dict[str, Any]) -> bytes:
    if "parsed_body" in side:
        return msgspec.json.encode(side["parsed_body"])
    body = side.get("body")
    kept = body.get("string") if isinstance(body, dict) and "string" in body else body
    if isinstance(kept, dict):
        return msgspec.json.encode(kept)
    return kept.encode() if isinstance(kept, str) else kept or b""


def _compressed(body: bytes, headers: HeaderLines) -> bytes:
    """Return a body that its recorder had unpacked under the coding that its headers tell."""
    codings = [value for name, value in headers if name.lower() == b"content-encoding"]
    if codings == [b"gzip"] and not body.startswith(_GZIP_MAGIC):
        return gzip.compress(body, mtime=0)
    return body


def _asks_model(case: Cassette) -> bool:
    return case.method == "POST" and case.path.partition("?")[0].endswith(_MODEL_PATHS)
