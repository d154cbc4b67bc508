"""Real exchanges, told again: through the gateway each side hears what it would hear without it.

What belongs to one connection (RFC 9110, 7.6.1), cookies, and our own headers are set aside. The
upstream may be told of fewer content codings than the caller reads: those that we read, too.
"""

from __future__ import annotations

import gzip
import json
from typing import Any

import msgspec
import pytest
from callers import NOT_RETURNED, NOT_SENT, Caller, Heard, Lines
from cassettes import Cassette, cassette_cases, script_of, sendable_headers
from gateways import running_gateway

from slimdown.testing import ScriptedUpstream, Seen
from slimdown.types import Call

N_MODEL_CALLS = 300


class Spoken(msgspec.Struct, frozen=True):
    """What an answer says: its words, and the names of the tools that it calls."""

    text: str = ""
    tools: list[str] = []


class Told(msgspec.Struct, frozen=True):
    """One exchange, directly and through the gateway, as client and upstream saw it."""

    case: Cassette
    direct: Heard
    ours: Heard
    seen_directly: Seen
    seen: Seen


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Told], dict[str, Call]]:
    """Tell every exchange both ways; return them, and the rows that they left by id."""
    cases = cassette_cases(N_MODEL_CALLS) + cassette_cases(model_calls=False)
    cases = [case for case in cases if case.response_body or case.status == 204]  # else it was lost
    folder = tmp_path_factory.mktemp("fidelity")
    with ScriptedUpstream([]) as upstream:
        root = upstream.url.removesuffix("/v1")
        with running_gateway(folder, root) as gateway:
            port = int(gateway.url.rpartition(":")[2])
            with Caller(upstream.port) as direct, Caller(port) as ours:
                exchanges = [both_ways(case, upstream, direct, ours) for case in cases]
            return exchanges, {call.id: call for call in gateway.calls()}


def both_ways(case: Cassette, upstream: ScriptedUpstream, direct: Caller, ours: Caller) -> Told:
    upstream.play(script_of(case))
    asked = (case.method, case.path, list(sendable_headers(case)), case.request_body)
    heard_directly, heard = (caller.ask(*asked) for caller in (direct, ours))
    seen_directly, seen = upstream.requests[-2:]
    return Told(case, heard_directly, heard, seen_directly, seen)


def test_the_client_hears_the_same_status_and_body(told: Any) -> None:
    differing = [
        each.case.name
        for each in told[0]
        if (each.ours.status, each.ours.body) != (each.direct.status, each.direct.body)
    ]

    assert len(told[0]) >= N_MODEL_CALLS
    assert differing == []


def test_the_client_hears_the_same_headers_in_the_same_order(told: Any) -> None:
    def heard(reply: Heard) -> Lines:
        kept = [line for line in reply.lines if line[0] not in NOT_RETURNED]
        return [line for line in kept if not line[0].startswith(b"x-slimdown-")]

    differing = [each.case.name for each in told[0] if heard(each.ours) != heard(each.direct)]

    assert differing == []


def test_no_cookie_of_the_upstream_reaches_the_client(told: Any) -> None:
    given = [each for each in told[0] if each.direct.header(b"set-cookie")]

    assert len(given) > 10
    assert [each.case.name for each in given if each.ours.header(b"set-cookie")] == []


def test_a_stream_comes_in_the_chunks_that_the_upstream_made(told: Any) -> None:
    streams = [each for each in told[0] if each.case.is_stream]

    differing = [each.case.name for each in streams if each.ours.parts != each.direct.parts]

    assert sum(len(each.direct.parts) for each in streams) > 500
    assert differing == []


def test_the_upstream_sees_the_same_request(told: Any) -> None:
    def line(seen: Seen) -> tuple[str, str, bytes, int]:
        return seen.method, seen.path, seen.body, int(seen.header("content-length") or 0)

    differing = [each.case.name for each in told[0] if line(each.seen) != line(each.seen_directly)]

    assert differing == []


def test_the_upstream_sees_the_same_headers_in_the_same_order(told: Any) -> None:
    def sent(seen: Seen) -> Lines:
        lowered = [(name.lower(), value) for name, value in seen.headers]
        return [line for line in lowered if line[0] not in NOT_SENT]

    differing = [each.case.name for each in told[0] if sent(each.seen) != sent(each.seen_directly)]

    assert differing == []


def test_the_upstream_is_told_of_no_coding_that_the_client_does_not_read(told: Any) -> None:
    def codings(seen: Seen) -> set[str]:
        return {part.strip() for part in (seen.header("accept-encoding") or "").split(",")}

    added = [codings(each.seen) - codings(each.seen_directly) - {"identity"} for each in told[0]]

    assert not any(added)
    assert {"gzip", "deflate"} in [codings(each.seen) for each in told[0]]


def test_each_model_call_is_a_row_with_the_words_that_the_client_read(told: Any) -> None:
    exchanges, rows = told
    calls = [each for each in exchanges if each.ours.header(b"x-slimdown-logged")]

    differing = [
        each.case.name
        for each in calls
        if said_in(rows[each.ours.header(b"x-slimdown-call-id")]) != read_from(each)
    ]

    assert len(calls) == len(rows) >= N_MODEL_CALLS - 9
    assert differing == []


def test_a_call_is_in_error_where_the_provider_said_so(told: Any) -> None:
    exchanges, rows = told
    ids = {each.ours.header(b"x-slimdown-call-id"): each for each in exchanges}

    blamed = {ids[key].case.name for key, call in rows.items() if call.error}
    failed = {ids[key].case.name for key in rows if has_failed(ids[key])}

    assert blamed == failed


def said_in(call: Call) -> Spoken:
    """Return what a recorded answer's first choice says."""
    choices = (call.response or {}).get("choices") or [{}]
    message = choices[0].get("message") or {}
    called = [each["function"]["name"] for each in message.get("tool_calls") or ()]
    content = message.get("content") or ""
    if isinstance(content, list):  # where other blocks stand between the words
        content = "".join(part["text"] for part in content if part["type"] == "text")
    return Spoken(content, called)


def plain_of(each: Told) -> bytes:
    """Return an answer's body without its coding."""
    body = each.direct.body
    return gzip.decompress(body) if each.direct.header(b"content-encoding") == "gzip" else body


def read_from(each: Told) -> Spoken:
    """Return what an answer says, read from the upstream's bytes without any code of ours."""
    body = plain_of(each)
    if has_failed(each) or "/embeddings" in each.case.path:
        return Spoken()
    if body.lstrip().startswith(b"{"):
        return read_answer(json.loads(body))
    lines = [line[5:] for line in body.split(b"\n") if line.startswith(b"data:")]
    return read_events([json.loads(line) for line in lines if line.strip() != b"[DONE]"])


def has_failed(each: Told) -> bool:
    """Tell whether the upstream gave no answer, by its status or in so many words."""
    body = plain_of(each)
    told = json.loads(body) if body.lstrip().startswith(b"{") else {}
    return each.direct.status >= 400 or bool(told.get("error")) or told.get("status") == "queued"


def read_answer(value: Any) -> Spoken:
    """Read an answer in any dialect."""
    if "choices" in value:
        message = value["choices"][0].get("message") or {}
        called = [each["function"]["name"] for each in message.get("tool_calls") or ()]
        return Spoken(message.get("content") or "", called)
    parts = value.get("content") or [
        part for item in value["output"] for part in item.get("content") or [item]
    ]
    texts = [part["text"] for part in parts if part["type"] in ("text", "output_text")]
    called = [part["name"] for part in parts if part["type"] in ("tool_use", "function_call")]
    return Spoken("".join(texts), called)


def read_events(values: list[Any]) -> Spoken:
    """Read a stream in any dialect."""
    if values[-1].get("type") == "response.completed":
        return read_answer(values[-1]["response"])
    if values[0].get("type") == "message_start":
        opened = [value["content_block"] for value in values if "content_block" in value]
        deltas = [value["delta"].get("text", "") for value in values if "delta" in value]
        called = [block["name"] for block in opened if block["type"] == "tool_use"]
        return Spoken("".join(deltas), called)
    choices = [each for value in values for each in value.get("choices", ())]
    deltas = [each["delta"] for each in choices if each["index"] == 0]
    called = [call for delta in deltas for call in delta.get("tool_calls") or ()]
    names = [call["function"].get("name") for call in called]
    text = "".join(delta.get("content") or "" for delta in deltas)
    return Spoken(text, [name for name in names if name])
