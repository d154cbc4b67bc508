"""The unmodified `openai` client hears through the gateway what it would hear without it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openai
import pydantic
import pytest
from gateways import CHAT, running_gateway
from recorded_calls import (
    CALLED,
    FORECAST,
    TOOL,
    WORDS,
    Replayed,
    Row,
    asked,
    recorded_call,
    replaying,
    row_of,
    said,
)

from slimdown.testing import ScriptedUpstream, answer, completion, completion_chunks, sse

USAGE: Any = {"include_usage": True}


class Forecast(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")
    city: str
    days: int


NUMBERED = [said(f"question {n}", f"answer {n}") for n in range(20)]
RECORDED = [
    said("where?"),
    recorded_call(asked("weather?", tools=[TOOL]), completion(None, CALLED)),
    recorded_call(asked("too much?"), None, error="upstream_status_429: rate_limit_exceeded"),
    *NUMBERED,
]


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replayed]:
    with replaying(tmp_path_factory.mktemp("openai"), *RECORDED) as replayed:
        yield replayed


@contextmanager
def client_of(base_url: str, session: str = "", **options: Any) -> Iterator[openai.OpenAI]:
    headers = {"x-slimdown-session": session} if session else {}
    options = {"api_key": "none", "max_retries": 0, "default_headers": headers, **options}
    with openai.OpenAI(base_url=base_url, **options) as client:
        yield client


def row(replayed: Replayed, session: str) -> Row:
    (call,) = replayed.rows(session)
    return row_of(call)


def test_a_plain_answer_is_the_upstreams_and_says_who_gave_it(replayed: Replayed) -> None:
    with client_of(f"{replayed.upstream}/v1") as direct, client_of(replayed.base_url, "s") as ours:
        expected = direct.chat.completions.create(**asked("where?"))
        raw = ours.chat.completions.with_raw_response.create(**asked("where?"))

    (call,) = replayed.rows("s")
    assert raw.parse() == expected
    assert raw.headers["x-slimdown-call-id"] == call.id
    assert raw.headers["x-slimdown-served-by"] == "upstream"
    assert raw.headers["x-slimdown-logged"] == "1"
    assert float(raw.headers["x-slimdown-overhead-ms"]) > 0
    assert row_of(call) == Row("chat", False, None, WORDS, 55)


def test_a_stream_is_the_upstreams_chunk_by_chunk(replayed: Replayed) -> None:
    request: Any = {**asked("where?"), "stream": True}

    with client_of(f"{replayed.upstream}/v1") as direct, client_of(replayed.base_url, "st") as ours:
        expected = list(direct.chat.completions.create(**request))
        told = list(ours.chat.completions.create(**request))

    assert told == expected
    assert len(told) > 5
    assert row(replayed, "st") == Row("chat", True, None, WORDS, None)


def test_the_usage_that_ends_a_stream_reaches_caller_and_row(replayed: Replayed) -> None:
    request: Any = {**asked("where?"), "stream": True, "stream_options": USAGE}

    with client_of(replayed.base_url, "usage") as client:
        *_, last = client.chat.completions.create(**request)

    assert (last.choices, last.usage.total_tokens) == ([], 55)
    assert row(replayed, "usage") == Row("chat", True, None, WORDS, 55)


def test_plain_tool_calls_are_the_upstreams(replayed: Replayed) -> None:
    with client_of(replayed.base_url, "tools") as client:
        reply = client.chat.completions.create(**asked("weather?", tools=[TOOL]))

    calls: Any = reply.choices[0].message.tool_calls
    assert tuple((call.function.name, call.function.arguments) for call in calls) == CALLED
    assert row(replayed, "tools") == Row("chat", False, None, CALLED, 55)


def test_parallel_tool_calls_are_assembled_from_a_stream(replayed: Replayed) -> None:
    with (
        client_of(replayed.base_url, "deltas") as client,
        client.chat.completions.stream(
            **asked("weather?", tools=[TOOL], stream_options=USAGE)
        ) as stream,
    ):
        message = stream.get_final_completion().choices[0].message

    calls = message.tool_calls or []
    assert [(call.function.name, call.function.arguments) for call in calls] == list(CALLED)
    assert row(replayed, "deltas") == Row("chat", True, None, CALLED, 55)


PARSED: Any = {**asked("forecast?"), "response_format": Forecast}


def test_a_structured_output_parses_into_the_callers_model(tmp_path: Path) -> None:
    with (
        ScriptedUpstream(answer(completion(FORECAST))) as upstream,
        running_gateway(tmp_path, upstream.url) as gateway,
        client_of(gateway.base_url) as client,
    ):
        reply = client.chat.completions.parse(**PARSED)
        (call,) = gateway.calls()

    assert reply.choices[0].message.parsed == Forecast(city="San Sebastián", days=3)
    assert row_of(call) == Row("chat", False, None, FORECAST, 55)
    assert call.request["response_format"]["json_schema"]["name"] == "Forecast"


def test_a_structured_output_parses_at_the_end_of_its_stream(tmp_path: Path) -> None:
    with (
        ScriptedUpstream(sse(completion_chunks(FORECAST, usage=True))) as upstream,
        running_gateway(tmp_path, upstream.url) as gateway,
        client_of(gateway.base_url) as client,
        client.chat.completions.stream(**PARSED) as stream,
    ):
        reply = stream.get_final_completion()
        (call,) = gateway.calls()

    assert reply.choices[0].message.parsed == Forecast(city="San Sebastián", days=3)
    assert row_of(call) == Row("chat", True, None, FORECAST, 55)


def test_a_response_is_the_upstreams_and_recorded_in_chats_words(replayed: Replayed) -> None:
    with client_of(replayed.base_url, "response") as client:
        reply = client.responses.create(model="gpt-4o-mini", input="where?")

    assert (reply.output_text, reply.status) == (WORDS, "completed")
    (call,) = replayed.rows("response")
    assert row_of(call) == Row("responses", False, None, WORDS, 55)
    assert call.request["messages"] == [{"role": "user", "content": "where?"}]


def test_a_streamed_response_is_assembled_by_client_and_recorder(replayed: Replayed) -> None:
    with (
        client_of(replayed.base_url, "events") as client,
        client.responses.stream(model="gpt-4o-mini", input="where?") as stream,
    ):
        events = [event.type for event in stream]
        final = stream.get_final_response()

    assert (events[0], events[-1]) == ("response.created", "response.completed")
    assert final.output_text == WORDS
    assert row(replayed, "events") == Row("responses", True, None, WORDS, 55)


@pytest.mark.parametrize("streamed", [False, True])
def test_a_response_calls_tools(replayed: Replayed, streamed: bool) -> None:
    session = f"response-tools-{streamed}"
    tool = {**TOOL["function"], "type": "function"}
    request: Any = {"model": "gpt-4o-mini", "input": "weather?", "tools": [tool]}

    with client_of(replayed.base_url, session) as client:
        if streamed:
            with client.responses.stream(**request) as stream:
                reply: Any = stream.get_final_response()
        else:
            reply = client.responses.create(**request)

    told = [(item.name, item.arguments) for item in reply.output]
    assert told == list(CALLED)
    assert row(replayed, session).said == CALLED


def test_an_error_of_the_upstream_is_the_clients_with_our_call_id(replayed: Replayed) -> None:
    with (
        client_of(replayed.base_url, "miss") as client,
        pytest.raises(openai.NotFoundError) as caught,
    ):
        client.chat.completions.create(**asked("never asked"))

    (call,) = replayed.rows("miss")
    assert caught.value.code == "replay_miss"
    assert caught.value.response.headers["x-slimdown-call-id"] == call.id
    assert call.error == "upstream_status_404: invalid_request_error replay_miss"


def test_a_recorded_failure_keeps_its_kind(replayed: Replayed) -> None:
    with client_of(replayed.base_url, "429") as client, pytest.raises(openai.RateLimitError):
        client.chat.completions.create(**{**asked("too much?"), "stream": True})

    assert (row(replayed, "429").error or "").startswith("upstream_status_429")


def test_many_async_calls_at_once_get_each_its_own_answer_and_row(replayed: Replayed) -> None:
    async def told() -> list[str | None]:
        headers = {"x-session-id": "many"}
        async with openai.AsyncOpenAI(
            base_url=replayed.base_url, api_key="none", default_headers=headers
        ) as client:
            asks = (client.chat.completions.create(**call.request) for call in NUMBERED)
            return [reply.choices[0].message.content for reply in await asyncio.gather(*asks)]

    answers = asyncio.run(told())

    assert answers == [f"answer {n}" for n in range(20)]
    rows = [row_of(call).said for call in replayed.rows("many")]
    assert sorted(rows) == sorted(answers, key=str)


def test_async_streams_at_once_stay_apart(replayed: Replayed) -> None:
    async def one(client: openai.AsyncOpenAI, request: Any) -> str:
        stream = await client.chat.completions.create(**request, stream=True)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    async def all_told() -> list[str]:
        async with openai.AsyncOpenAI(base_url=replayed.base_url, api_key="none") as client:
            return await asyncio.gather(*(one(client, call.request) for call in NUMBERED))

    assert asyncio.run(all_told()) == [f"answer {n}" for n in range(20)]


def test_a_turn_that_sends_its_history_again_stays_in_its_session(tmp_path: Path) -> None:
    opening: list[Any] = [{"role": "user", "content": "where?"}]
    later = [*opening, {"role": "assistant", "content": "there"}, {"role": "user", "content": "?"}]

    with (
        ScriptedUpstream(answer(completion("there"))) as upstream,
        running_gateway(tmp_path, upstream.url) as gateway,
        client_of(gateway.base_url) as client,
    ):
        for messages in (opening, later):
            client.chat.completions.create(model="gpt-4o-mini", messages=messages)
        first, second = gateway.calls()

    assert first.session_id == second.session_id
    assert (first.session_id or "").startswith("opening-")


def test_each_try_of_a_client_that_retries_is_a_row(tmp_path: Path) -> None:
    busy = answer({"error": {"message": "busy", "code": "busy"}}, status=503)

    with (
        ScriptedUpstream([busy, answer(completion("ok"))]) as upstream,
        running_gateway(tmp_path, upstream.url) as gateway,
        client_of(gateway.base_url, max_retries=1) as client,
    ):
        reply = client.chat.completions.create(**asked("where?"))
        calls = gateway.calls()

    assert reply.choices[0].message.content == "ok"
    assert [call.error for call in calls] == ["upstream_status_503: busy", None]
    assert len(upstream.requests) == 2


def test_embeddings_reach_the_client_and_leave_a_row_without_vectors(tmp_path: Path) -> None:
    vector = {"object": "embedding", "index": 0, "embedding": "AACAPwAAAEA="}
    usage = {"prompt_tokens": 3, "total_tokens": 3}
    body = {"object": "list", "data": [vector], "model": "text-embedding-3-small", "usage": usage}

    with (
        ScriptedUpstream(answer(body)) as upstream,
        running_gateway(tmp_path, upstream.url) as gateway,
        client_of(gateway.base_url) as client,
    ):
        reply = client.embeddings.create(model="text-embedding-3-small", input="where?")
        (call,) = gateway.calls()

    assert reply.data[0].embedding == [1.0, 2.0]
    assert call.metadata["gateway"]["endpoint"] == "embeddings"
    assert call.error is None


def test_a_file_is_uploaded_and_fetched_untouched_without_a_row(tmp_path: Path) -> None:
    stored = {"id": "file-1", "object": "file", "bytes": 4, "created_at": 0, "filename": "a.bin"}
    scripts = [
        answer({**stored, "purpose": "batch", "status": "processed"}),
        answer(b"\x00\xff\r\n", content_type="application/octet-stream"),
    ]

    with (
        ScriptedUpstream(scripts) as upstream,
        running_gateway(tmp_path, upstream.url) as gateway,
        client_of(gateway.base_url) as client,
    ):
        made = client.files.create(file=("a.bin", b"\x00\xff\r\n"), purpose="batch")
        fetched = client.files.content(made.id).read()
        calls = gateway.calls()

    assert b"\x00\xff\r\n" in upstream.requests[0].body
    assert fetched == b"\x00\xff\r\n"
    assert calls == []


def test_a_key_that_the_client_sends_is_the_one_that_the_upstream_sees(tmp_path: Path) -> None:
    options: Any = {"api_key": "sk-mine", "organization": "org-1", "project": "proj-1"}

    with (
        ScriptedUpstream(answer(completion("ok"))) as upstream,
        running_gateway(tmp_path, upstream.url) as gateway,
        client_of(gateway.base_url, **options) as client,
    ):
        client.chat.completions.create(**CHAT)  # type: ignore[call-overload]

    (seen,) = upstream.requests
    assert seen.header("authorization") == "Bearer sk-mine"
    assert (seen.header("openai-organization"), seen.header("openai-project")) == (
        "org-1",
        "proj-1",
    )
