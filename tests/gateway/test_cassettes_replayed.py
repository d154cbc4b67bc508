"""Traffic of real clients, once recorded, answers itself: from bytes to calls and back again."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

import msgspec
import pytest
from cassettes import Cassette, cassette_cases

from slimdown.answer import answer_of
from slimdown.capture.wire import Endpoint, call_of, endpoint_of
from slimdown.exchange import Exchange
from slimdown.replay import ReplayApp
from slimdown.types import Call


def exchange_of(case: Cassette, *, reply: bytes | None = None) -> Exchange:
    headers = tuple((name.lower(), value) for name, value in case.response_headers)
    return Exchange(
        call_id=case.name,
        path=case.path,
        request_headers=case.request_headers,
        request_body=case.request_body,
        status=case.status,
        response_headers=() if reply else headers,
        response_body=reply or case.response_body,
        started_at=0,
        latency_ms=0,
    )


def replayed(app: ReplayApp, case: Cassette) -> bytes:
    """Return the body with which the replay answers the cassette's request."""
    parts: list[bytes] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": case.request_body}

    async def send(message: MutableMapping[str, Any]) -> None:
        parts.append(message.get("body", b""))

    scope = {"type": "http", "method": "POST", "path": case.path.partition("?")[0]}
    asyncio.run(app(scope, receive, send))
    return b"".join(parts)


def recordings(endpoint: Endpoint) -> list[tuple[Cassette, Call]]:
    cases = [case for case in cassette_cases() if endpoint_of("POST", case.path) == endpoint]
    calls = [(case, call_of(exchange_of(case))) for case in cases]
    return [(case, call) for case, call in calls if call.error is None and answer_of(call)]


@pytest.mark.parametrize("endpoint", ["chat", "responses", "messages"])
def test_a_recorded_request_is_answered_as_it_was(endpoint: Endpoint) -> None:
    recorded = recordings(endpoint)[::3]

    for case, call in recorded:
        body = replayed(ReplayApp([call]), case)

        again = call_of(exchange_of(case, reply=body))
        assert answer_of(again) == answer_of(call), case.name
        assert again.error is None, case.name
    assert len(recorded) > 50


def test_what_a_replay_says_is_marked_whatever_the_dialect() -> None:
    for endpoint in ("chat", "responses", "messages"):
        case, call = recordings(endpoint)[0]

        body = replayed(ReplayApp([call]), case)

        assert b'"system_fingerprint":"slimdown-replay"' in body


def test_an_image_is_found_by_its_hash() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "QUJD" * 4000}}
    other = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "QUJE" * 4000}}
    case = next(case for case, _ in recordings("chat"))
    sent = msgspec.json.decode(case.request_body)
    asked = {**sent, "messages": [{"role": "user", "content": [image]}]}
    seen = msgspec.structs.replace(case, request_body=msgspec.json.encode(asked))
    app = ReplayApp([call_of(exchange_of(seen))])

    same = replayed(app, seen)
    asked["messages"][0]["content"] = [other]
    different = replayed(
        app, msgspec.structs.replace(case, request_body=msgspec.json.encode(asked))
    )

    assert b"replay_miss" not in same
    assert b"replay_miss" in different
