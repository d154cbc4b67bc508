"""What a replay does beside answering: time, malformed requests, clients that leave."""

from __future__ import annotations

import asyncio
import http.client
import time
from collections.abc import MutableMapping
from typing import Any

import msgspec
import pytest
from recordings import asked, replaying, said

from slimdown.replay import ReplayApp
from slimdown.replay.app import times_of
from slimdown.replay.recorded import Recorded
from slimdown.types import JsonObject


def posted(url: str, body: bytes, path: str = "/v1/chat/completions") -> tuple[int, Any]:
    client = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
    client.request("POST", path, body)
    with client.getresponse() as reply:
        told = reply.status, msgspec.json.decode(reply.read())
    client.close()
    return told


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'"text"', b"\xff", b'{"a":NaN}', b"[" * 100_000]
)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses", "/v1/messages"])
def test_a_body_that_is_no_object_is_refused_in_words(path: str, body: bytes) -> None:
    with replaying(said("a")) as url:
        status, told = posted(url, body, path)

    assert status == 400
    assert told["error"]["message"] == "the body is not a JSON object."


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses", "/v1/messages"])
@pytest.mark.parametrize(
    "body", [b"{}", b'{"messages":5,"input":7}', b'{"messages":[1,{"content":[{}]}],"input":[2]}']
)
def test_a_malformed_request_was_never_recorded(path: str, body: bytes) -> None:
    with replaying(said("a")) as url:
        status, told = posted(url, body, path)

    assert status == 404
    assert "none of the 1 recorded calls" in told["error"]["message"]


@pytest.mark.parametrize("path", ["/openai/deployments/x/chat/completions", "/chat/completions"])
def test_other_providers_paths_are_known(path: str) -> None:
    with replaying(said("a", "b")) as url:
        status, told = posted(url, msgspec.json.encode(asked("a")), path)

    assert (status, told["choices"][0]["message"]["content"]) == (200, "b")


def test_the_recorded_time_is_taken_divided_by_the_speed() -> None:
    with replaying(said("a", latency_ms=3000), speed=10) as url:
        began = time.monotonic()
        posted(url, msgspec.json.encode(asked("a")))
        took = time.monotonic() - began

    assert took >= 0.3


def test_without_a_speed_nothing_is_waited_for() -> None:
    with replaying(said("a", latency_ms=3_600_000)) as url:
        status, _ = posted(url, msgspec.json.encode(asked("a")))

    assert status == 200


def test_a_streams_time_is_spread_over_its_events() -> None:
    found = Recorded(status=200, body=b"", model="", latency_ms=1000)

    assert times_of(found, 4) == [250, 500, 750, 1000]


def test_a_streams_first_event_comes_when_the_first_byte_came() -> None:
    found = Recorded(status=200, body=b"", model="", latency_ms=1000, first_ms=700)

    assert times_of(found, 4) == [700, 800, 900, 1000]


@pytest.mark.parametrize("first_ms", [0.0, 5000.0])
def test_no_event_is_due_after_the_end(first_ms: float) -> None:
    found = Recorded(status=200, body=b"", model="", latency_ms=30, first_ms=first_ms)

    assert max(times_of(found, 1) + times_of(found, 7)) == 30


class Caller:
    """A client as an ASGI server shows it: one that leaves once it has sent its request."""

    def __init__(self, request: JsonObject) -> None:
        self.heard: list[MutableMapping[str, Any]] = []
        self._left: list[JsonObject] = [
            {"type": "http.request", "body": msgspec.json.encode(request)},
            {"type": "http.disconnect"},
        ]

    async def says(self) -> MutableMapping[str, Any]:
        return self._left.pop(0)

    async def hears(self, message: MutableMapping[str, Any]) -> None:
        self.heard.append(message)


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_ends_the_wait(stream: bool) -> None:
    app = ReplayApp([said("a", latency_ms=3_600_000)], speed=1)
    caller = Caller(asked("a", stream=stream))
    scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions"}

    asyncio.run(asyncio.wait_for(app(scope, caller.says, caller.hears), 10))

    assert caller.heard == []


def test_answers_and_misses_are_counted() -> None:
    app = ReplayApp([said("a")])

    for text in ("a", "a", "b"):
        caller = Caller(asked(text))
        scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions"}
        asyncio.run(app(scope, caller.says, caller.hears))

    assert (app.n_given, app.n_missed) == (2, 1)
