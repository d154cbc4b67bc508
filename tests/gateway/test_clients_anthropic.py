"""The unmodified `anthropic` client hears through the gateway what it would hear without it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anthropic
import msgspec
import pytest
from gateways import running_gateway
from recorded_calls import (
    CALLED,
    SCHEMA,
    TOOL,
    WORDS,
    Replayed,
    Row,
    recorded_call,
    replaying,
    row_of,
)

from slimdown.gateway.outgoing import upstream_headers
from slimdown.testing import ScriptedUpstream, answer, completion

ASKING: Any = {
    "model": "claude-of-the-test",
    "max_tokens": 100,
    "system": "You know parcels.",
    "messages": [{"role": "user", "content": "where?"}],
}
IN_CHAT: Any = {
    "model": "claude-of-the-test",
    "max_completion_tokens": 100,
    "messages": [
        {"role": "system", "content": "You know parcels."},
        {"role": "user", "content": "where?"},
    ],
}
TOOLS: Any = [{"name": "weather", "description": "Tells the weather.", "input_schema": SCHEMA}]
RECORDED = [
    recorded_call(IN_CHAT, completion(WORDS)),
    recorded_call({**IN_CHAT, "tools": [TOOL]}, completion(None, CALLED)),
]
OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replayed]:
    with replaying(tmp_path_factory.mktemp("anthropic"), *RECORDED) as replayed:
        yield replayed


@contextmanager
def client_of(url: str, session: str = "") -> Iterator[anthropic.Anthropic]:
    headers = {"x-conversation-id": session} if session else {}
    with anthropic.Anthropic(
        base_url=url, api_key="sk-ant", max_retries=0, default_headers=headers
    ) as client:
        yield client


def row(replayed: Replayed, session: str) -> Row:
    (call,) = replayed.rows(session)
    return row_of(call)


def inputs_of(message: Any) -> list[tuple[str, Any]]:
    return [(block.name, block.input) for block in message.content if block.type == "tool_use"]


EXPECTED_INPUTS = [(name, msgspec.json.decode(text)) for name, text in CALLED]


def test_a_message_is_the_upstreams_and_recorded_in_chats_words(replayed: Replayed) -> None:
    with client_of(replayed.upstream) as direct, client_of(replayed.gateway.url, "s") as ours:
        expected = direct.messages.create(**ASKING)
        raw = ours.messages.with_raw_response.create(**ASKING)

    (call,) = replayed.rows("s")
    assert raw.parse().to_dict() == expected.to_dict()
    assert raw.headers["x-slimdown-call-id"] == call.id
    assert raw.headers["x-slimdown-logged"] == "1"
    assert row_of(call) == Row("messages", False, None, WORDS, 55)
    assert call.request["messages"] == IN_CHAT["messages"]


def test_a_streamed_message_comes_in_the_upstreams_pieces(replayed: Replayed) -> None:
    def told(client: anthropic.Anthropic) -> tuple[list[str], Any]:
        with client.messages.stream(**ASKING) as stream:
            return list(stream.text_stream), stream.get_final_message().to_dict()

    with client_of(replayed.upstream) as direct, client_of(replayed.gateway.url, "st") as ours:
        expected = told(direct)
        heard = told(ours)

    assert heard == expected
    assert "".join(heard[0]) == WORDS
    assert row(replayed, "st") == Row("messages", True, None, WORDS, 55)


@pytest.mark.parametrize("streamed", [False, True])
def test_tools_are_called_and_recorded(replayed: Replayed, streamed: bool) -> None:
    session = f"tools-{streamed}"

    with client_of(replayed.gateway.url, session) as client:
        if streamed:
            with client.messages.stream(**ASKING, tools=TOOLS) as stream:
                message = stream.get_final_message()
        else:
            message = client.messages.create(**ASKING, tools=TOOLS)

    assert inputs_of(message) == EXPECTED_INPUTS
    assert message.stop_reason == "tool_use"
    found = row(replayed, session)
    assert (found.endpoint, found.stream, found.error) == ("messages", streamed, None)
    said = [(name, msgspec.json.decode(arguments)) for name, arguments in found.said]
    assert said == EXPECTED_INPUTS


def test_the_async_client_streams_many_at_once(replayed: Replayed) -> None:
    async def one(client: anthropic.AsyncAnthropic) -> str:
        async with client.messages.stream(**ASKING) as stream:
            return "".join([piece async for piece in stream.text_stream])

    async def told() -> list[str]:
        headers = {"x-session-id": "many"}
        async with anthropic.AsyncAnthropic(
            base_url=replayed.gateway.url, api_key="k", default_headers=headers
        ) as client:
            return await asyncio.gather(*(one(client) for _ in range(10)))

    assert asyncio.run(told()) == [WORDS] * 10
    assert [row_of(call).said for call in replayed.rows("many")] == [WORDS] * 10


def test_a_miss_is_an_error_of_the_client_with_our_call_id(replayed: Replayed) -> None:
    with (
        client_of(replayed.gateway.url, "miss") as client,
        pytest.raises(anthropic.NotFoundError) as caught,
    ):
        client.messages.create(**{**ASKING, "system": "Never asked."})

    (call,) = replayed.rows("miss")
    assert caught.value.response.headers["x-slimdown-call-id"] == call.id
    assert (call.error or "").startswith("upstream_status_404")


@pytest.mark.parametrize("streamed", [False, True])
def test_an_overloaded_upstream_is_named_by_its_own_error(tmp_path: Path, streamed: bool) -> None:
    with (
        ScriptedUpstream(answer(OVERLOADED, status=529)) as upstream,
        running_gateway(tmp_path, upstream.url) as gateway,
        client_of(gateway.url) as client,
        pytest.raises(anthropic.APIStatusError) as caught,
    ):
        client.messages.create(**ASKING, stream=streamed)

    assert caught.value.status_code == 529
    assert caught.value.body == OVERLOADED


def test_the_key_and_the_version_reach_the_upstream(tmp_path: Path) -> None:
    counted = {"input_tokens": 7}

    with (
        ScriptedUpstream(answer(counted)) as upstream,
        running_gateway(tmp_path, upstream.url) as gateway,
        client_of(gateway.url) as client,
    ):
        told = client.messages.count_tokens(model="claude-x", messages=ASKING["messages"])
        calls = gateway.calls()

    (seen,) = upstream.requests
    assert told.input_tokens == 7
    assert seen.path == "/v1/messages/count_tokens"
    assert "sk-ant" in (seen.header("authorization") or seen.header("x-api-key") or "")
    assert seen.header("anthropic-version")
    assert calls == []


def test_a_key_of_the_settings_is_sent_as_anthropic_takes_it() -> None:
    headers = upstream_headers([(b"anthropic-version", b"1"), (b"x-api-key", b"theirs")], "ours")

    assert headers.getall("x-api-key") == ["ours"]
    assert "authorization" not in headers
