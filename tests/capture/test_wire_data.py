"""Real traffic, as test suites of other projects recorded it: every exchange becomes its call."""

from __future__ import annotations

import collections
import gzip
import os
import tarfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
import yaml  # type: ignore[import-untyped]

from slimdown.answer import answer_of, message_text
from slimdown.capture.wire import call_of, endpoint_of
from slimdown.exchange import Exchange
from slimdown.ledger import usage_of
from slimdown.types import Call, JsonObject

DATA = Path(os.environ.get("SLIMDOWN_DATA") or Path(__file__).parents[3] / "shared" / "data")
FOLDER = DATA / "vcr_cassettes"

pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason=f"no recorded traffic in {FOLDER}; set SLIMDOWN_DATA"
)

STREAMS = {"chat": 105, "messages": 21, "responses": 35}
"""Endpoint -> streams that an upstream answered with 200."""


def interactions() -> Iterator[JsonObject]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    with tarfile.open(FOLDER / "native_cassettes.tar.gz") as files:
        for member in files:
            opened = files.extractfile(member)
            found = yaml.load(opened, loader) if opened else None
            yield from (found or {}).get("interactions", ())


def body_of(half: JsonObject) -> bytes:
    if "parsed_body" in half:
        return msgspec.json.encode(half["parsed_body"])
    body = half.get("body")
    value = body.get("string") if isinstance(body, dict) and "string" in body else body
    if isinstance(value, dict):
        return msgspec.json.encode(value)
    return value.encode() if isinstance(value, str) else value or b""


def headers_of(half: JsonObject, body: bytes) -> list[tuple[bytes, bytes]]:
    lines = [(key.lower(), value) for key, value in (half.get("headers") or {}).items()]
    values = [(key, value if isinstance(value, str) else value[0]) for key, value in lines]
    # Most cassettes hold a body unpacked, and still say that it was packed.
    packed = body.startswith(b"\x1f\x8b")
    kept = [(key, value) for key, value in values if packed or key != "content-encoding"]
    return [(key.encode(), value.encode()) for key, value in kept]


def exchange(interaction: JsonObject) -> Exchange:
    request, response = interaction["request"], interaction["response"]
    status = response.get("status")
    body = body_of(response)
    return Exchange(
        call_id="c",
        path=urlsplit(request["uri"]).path,
        request_headers=[],
        request_body=body_of(request),
        status=status["code"] if isinstance(status, dict) else 200,
        response_headers=headers_of(response, body),
        response_body=body,
        started_at=1.7e9,
        latency_ms=1.0,
    )


@cache
def calls() -> tuple[Call, ...]:
    found = [each for each in interactions() if isinstance(each["request"].get("uri"), str)]
    asked = [
        exchange(each)
        for each in found
        if endpoint_of(each["request"]["method"], urlsplit(each["request"]["uri"]).path)
    ]
    return tuple(call_of(each) for each in asked)


def known(call: Call) -> JsonObject:
    gateway: JsonObject = call.metadata["gateway"]
    return gateway


def streams() -> list[Call]:
    return [call for call in calls() if known(call)["status"] == 200 and known(call)["stream"]]


def test_every_recorded_exchange_is_read() -> None:
    assert len(calls()) > 1_500
    assert not [call for call in calls() if "fault" in known(call)]
    assert not [call for call in calls() if "raw_request" in known(call)]


def test_every_recorded_stream_is_whole_and_consistent() -> None:
    counts = collections.Counter(known(call)["endpoint"] for call in streams())

    assert counts == STREAMS
    assert {call.error for call in streams()} == {None}
    assert not [call for call in streams() if "inconsistent" in known(call).get("flags", ())]


def test_every_recorded_stream_says_something() -> None:
    kinds = collections.Counter(
        answer.kind if (answer := answer_of(call)) else None for call in streams()
    )

    assert kinds[None] == 0
    assert kinds["tool"] >= 30


def test_answers_that_are_none_are_told_and_few() -> None:
    fine = [call for call in calls() if known(call)["status"] == 200]
    errors = collections.Counter(call.error for call in fine if call.error)

    assert errors == {
        "upstream_invalid": 4,  # recorded without a body
        "upstream_error: content_filter": 2,
        "upstream_error: queued": 5,
    }


def test_counts_are_missing_only_where_none_were_told() -> None:
    unusable = [call for call in calls() if "usage_unusable" in known(call).get("flags", ())]

    assert not [call for call in unusable if "usage_set_aside" in known(call)]
    assert all(usage_of(call).estimated for call in unusable)


def recorded(name: str) -> Iterator[JsonObject]:
    with gzip.open(FOLDER / name) as lines:
        yield from map(msgspec.json.decode, lines)


def texts(name: str, *, streamed: bool) -> dict[str, str]:
    """Return what each answer said, by its id, as others put it together from the same traffic."""
    found: dict[str, str] = {}
    for record in recorded(name):
        response: Any = record["response"] or {}
        if response.get("choices") and (record["metadata"]["stream"] or not streamed):
            found[response.get("id")] = message_text(response["choices"][0]["message"])
    return found


@pytest.mark.parametrize(
    ("endpoint", "name", "least"),
    [
        ("chat", "calls_chat_completions.jsonl.gz", 90),
        ("messages", "calls_anthropic_messages_normalised.jsonl.gz", 15),
    ],
)
def test_streams_say_what_others_read_in_them(endpoint: str, name: str, least: int) -> None:
    expected = texts(name, streamed=True)
    mine: dict[Any, str] = {
        call.response.get("id"): message_text(call.response["choices"][0]["message"])
        for call in streams()
        if call.response and known(call)["endpoint"] == endpoint
    }

    both = mine.keys() & expected.keys()

    assert len(both) >= least
    assert {key: mine[key] for key in both} == {key: expected[key] for key in both}
