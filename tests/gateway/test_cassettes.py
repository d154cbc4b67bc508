"""Recorded exchanges are told again as they were, so that others may compare bytes with them."""

from __future__ import annotations

import http.client
from contextlib import closing

import pytest
from cassettes import Cassette, HeaderLines, cassette_cases, script_of, sendable_headers

from slimdown.testing import ScriptedUpstream


def told_again(case: Cassette, upstream: ScriptedUpstream) -> tuple[int, HeaderLines, bytes]:
    upstream.play(script_of(case))
    with closing(http.client.HTTPConnection("127.0.0.1", upstream.port, timeout=10)) as client:
        client.putrequest(case.method, case.path, skip_accept_encoding=True)
        for name, value in sendable_headers(case):
            client.putheader(name.decode(), value)
        client.putheader("Content-Length", str(len(case.request_body)))
        client.endheaders(case.request_body)
        reply = client.getresponse()
        lines = tuple((name.encode(), value.encode()) for name, value in reply.getheaders())
        return reply.status, lines, reply.read()


@pytest.mark.parametrize("model_calls", [True, False])
def test_a_scripted_upstream_tells_a_cassette_byte_for_byte(model_calls: bool) -> None:
    cases = cassette_cases(limit=60, model_calls=model_calls)

    with ScriptedUpstream([]) as upstream:
        for case in cases:
            status, lines, body = told_again(case, upstream)

            assert (status, body) == (case.status, case.response_body), case.name
            assert lines[: len(case.response_headers)] == case.response_headers, case.name


def test_the_upstream_sees_a_cassettes_request_as_it_was_recorded() -> None:
    cases = cassette_cases(limit=20)

    with ScriptedUpstream([]) as upstream:
        for case in cases:
            told_again(case, upstream)

    assert [seen.path for seen in upstream.requests] == [case.path for case in cases]
    assert [seen.body for seen in upstream.requests] == [case.request_body for case in cases]


def test_the_cassettes_hold_streams_errors_and_compressed_bodies() -> None:
    cases = cassette_cases()

    assert sum(case.is_stream for case in cases) > 100
    assert {200, 400, 401, 404} <= {case.status for case in cases}
    assert any(case.response_body.startswith(b"\x1f\x8b") for case in cases)


def test_a_stream_is_told_event_by_event() -> None:
    case = next(case for case in cassette_cases() if case.is_stream and case.chunked)

    steps = script_of(case)

    assert len(steps) == 2 + case.response_body.count(b"\n\n")
