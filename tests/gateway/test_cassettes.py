"""Recorded exchanges are told again as they were, so that others may compare bytes with them."""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit

import pytest
from cassettes import Cassette, cassette_cases, script_of, sendable_headers

from slimdown.testing import ScriptedUpstream


def told_again(case: Cassette, upstream: ScriptedUpstream) -> http.client.HTTPResponse:
    upstream.play(script_of(case))
    client = http.client.HTTPConnection(urlsplit(upstream.url).netloc, timeout=10)
    client.putrequest(case.method, case.path, skip_accept_encoding=True)
    for name, value in sendable_headers(case):
        client.putheader(name, value)
    client.putheader("Content-Length", str(len(case.request_body)))
    client.endheaders(case.request_body)
    return client.getresponse()


@pytest.mark.parametrize("model_calls", [True, False])
def test_a_scripted_upstream_tells_a_cassette_byte_for_byte(model_calls: bool) -> None:
    cases = cassette_cases(limit=60, model_calls=model_calls)

    with ScriptedUpstream([]) as upstream:
        for case in cases:
            with told_again(case, upstream) as reply:
                told = (reply.status, reply.read())

            assert told == (case.status, case.response_body), case.name
