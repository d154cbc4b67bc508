"""The unmodified `openai` client gets from a replay exactly what was recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import openai
import pydantic
import pytest
from recordings import CALLED, TOOL, WORDS, asked, failed, recorded_call, replaying, said

from slimdown.testing import ScriptedUpstream, answer, completion
from slimdown.types import Call


class Forecast(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")
    city: str
    days: int


TOOL_CALL = recorded_call(asked("weather?", tools=[TOOL]), completion(None, CALLED))


@contextmanager
def client_of(*calls: Call, **settings: Any) -> Iterator[openai.OpenAI]:
    with (
        replaying(*calls, **settings) as url,
        openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client,
    ):
        yield client


def test_a_plain_answer_is_the_recorded_one_and_says_that_it_is_replayed() -> None:
    with client_of(said("where?")) as client:
        reply = client.chat.completions.create(**asked("where?"))

    assert reply.choices[0].message.content == WORDS
    assert reply.system_fingerprint == "slimdown-replay"
    assert reply.usage is not None
    assert reply.usage.total_tokens == 55


def test_a_streamed_answer_comes_in_pieces_that_join_to_the_recorded_one() -> None:
    with client_of(said("where?")) as client:
        stream = client.chat.completions.create(**asked("where?"), stream=True)
        chunks = list(stream)

    pieces = [chunk.choices[0].delta.content or "" for chunk in chunks]
    assert "".join(pieces) == WORDS
    assert sum(1 for piece in pieces if piece) > 3
    assert {chunk.system_fingerprint for chunk in chunks} == {"slimdown-replay"}
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_usage_ends_a_stream_where_it_was_asked_for() -> None:
    with client_of(said("where?")) as client:
        options: Any = {"include_usage": True}
        stream = client.chat.completions.create(
            **asked("where?"), stream=True, stream_options=options
        )
        *others, last = list(stream)

    assert last.choices == []
    assert last.usage is not None
    assert last.usage.completion_tokens == 5
    assert all(chunk.usage is None for chunk in others)


def test_streamed_tool_calls_join_to_the_recorded_ones() -> None:
    with (
        client_of(TOOL_CALL) as client,
        client.chat.completions.stream(**asked("weather?", tools=[TOOL])) as stream,
    ):
        message = stream.get_final_completion().choices[0].message

    assert message.tool_calls is not None
    functions = [call.function for call in message.tool_calls]
    assert [(f.name, f.arguments) for f in functions] == list(CALLED)
    assert [call.id for call in message.tool_calls] == ["call_0", "call_1"]


def test_plain_tool_calls_are_the_recorded_ones() -> None:
    with client_of(TOOL_CALL) as client:
        reply = client.chat.completions.create(**asked("weather?", tools=[TOOL]))

    assert TOOL_CALL.response is not None
    told = reply.choices[0].model_dump(exclude_none=True)["message"]["tool_calls"]
    assert told == TOOL_CALL.response["choices"][0]["message"]["tool_calls"]


def parsed(client: openai.OpenAI) -> Forecast | None:
    message: Any = {"role": "user", "content": "forecast?"}
    reply = client.chat.completions.parse(
        model="gpt-4o-mini", messages=[message], response_format=Forecast
    )
    return reply.choices[0].message.parsed


def test_a_structured_output_parses_into_the_callers_model_as_it_did_when_recorded() -> None:
    spoken = completion('{"city": "Rom", "days": 2}')
    with (
        ScriptedUpstream(answer(spoken)) as upstream,
        openai.OpenAI(base_url=upstream.url, api_key="none") as client,
    ):
        before = parsed(client)
    call = recorded_call(upstream.requests[0].json, spoken)

    with client_of(call) as client:
        after = parsed(client)

    assert before == after == Forecast(city="Rom", days=2)


def test_the_async_client_streams_too() -> None:
    async def told(url: str) -> str:
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none") as client:
            stream = await client.chat.completions.create(**asked("where?"), stream=True)
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    with replaying(said("where?")) as url:
        text = asyncio.run(told(url))

    assert text == WORDS


def test_many_async_calls_at_once_get_each_its_own_answer() -> None:
    calls = [said(f"question {n}", f"answer {n}") for n in range(40)]

    async def told(url: str) -> list[str | None]:
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none") as client:
            asks = (client.chat.completions.create(**call.request) for call in calls)
            answers = await asyncio.gather(*asks)
        return [reply.choices[0].message.content for reply in answers]

    with replaying(*calls) as url:
        texts = asyncio.run(told(url))

    assert texts == [f"answer {n}" for n in range(40)]


def test_responses_give_the_recorded_words() -> None:
    with client_of(said("where?")) as client:
        reply = client.responses.create(model="gpt-4o-mini", input="where?")

    assert reply.output_text == WORDS
    assert reply.status == "completed"
    assert reply.usage is not None
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (50, 5)


def test_streamed_responses_end_in_the_response_that_their_events_make() -> None:
    with client_of(said("where?")) as client:
        plain = client.responses.create(model="gpt-4o-mini", input="where?")
        with client.responses.stream(model="gpt-4o-mini", input="where?") as stream:
            events = list(stream)
            final = stream.get_final_response()

    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == WORDS
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert final.output_text == plain.output_text
    assert final.id == plain.id


@pytest.mark.parametrize("streamed", [False, True])
def test_responses_call_the_recorded_tools(streamed: bool) -> None:
    function: Any = {"type": "function", **TOOL["function"]}
    asking: Any = {"model": "gpt-4o-mini", "input": "weather?", "tools": [function]}

    with client_of(TOOL_CALL) as client:
        if streamed:
            with client.responses.stream(**asking) as stream:
                output = stream.get_final_response().output
        else:
            output = client.responses.create(**asking).output

    told = [(item.name, item.arguments) for item in output if item.type == "function_call"]
    assert told == list(CALLED)


def test_a_recorded_error_is_answered_with_its_status() -> None:
    with (
        client_of(failed("where?", "429 rate limit reached")) as client,
        pytest.raises(openai.RateLimitError) as caught,
    ):
        client.chat.completions.create(**asked("where?"))

    assert caught.value.code == "replay_recorded_error"
    assert "rate limit reached" in caught.value.message


def test_a_retried_failure_succeeds_as_it_did_then() -> None:
    calls = [failed("where?", "503 overloaded"), said("where?")]

    with client_of(*calls) as client:
        reply = client.with_options(max_retries=1).chat.completions.create(**asked("where?"))

    assert reply.choices[0].message.content == WORDS


def test_a_request_that_was_never_made_is_an_error_that_says_so() -> None:
    with client_of(said("where?")) as client, pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(**asked("who?"))

    assert caught.value.code == "replay_miss"
    assert "none of the 1 recorded calls asked this" in caught.value.message


def test_the_nearest_call_answers_where_that_is_wanted_and_it_is_marked() -> None:
    calls = [said("where is my parcel?", "on its way"), said("cancel the order", "cancelled")]

    with client_of(*calls, on_miss="nearest") as client:
        reply = client.chat.completions.create(**asked("Please cancel that order."))

    assert reply.choices[0].message.content == "cancelled"
    assert reply.system_fingerprint == "slimdown-replay-nearest"


def test_the_models_are_those_that_were_asked() -> None:
    calls = [said("a"), recorded_call(asked("b", model="gpt-4o"), completion("b"))]

    with client_of(*calls) as client:
        names = [model.id for model in client.models.list()]

    assert names == ["gpt-4o", "gpt-4o-mini"]


def test_what_is_not_replayed_is_not_found() -> None:
    with client_of(said("a")) as client, pytest.raises(openai.NotFoundError) as caught:
        client.embeddings.create(model="text-embedding-3-small", input="a")

    assert caught.value.code == "not_found"


def test_all_choices_of_an_answer_are_streamed() -> None:
    first, second = completion("one"), completion("two")
    both = {**first, "choices": [*first["choices"], {**second["choices"][0], "index": 1}]}
    call = recorded_call(asked("two, please", n=2), both)

    with client_of(call) as client:
        chunks = list(client.chat.completions.create(**asked("two, please", n=2), stream=True))

    told = [
        (c.index, c.delta.content) for chunk in chunks for c in chunk.choices if c.delta.content
    ]
    assert told == [(0, "one"), (1, "two")]


def test_the_body_of_a_plain_answer_is_the_recorded_completion_but_for_the_fingerprint() -> None:
    call = said("where?")

    with client_of(call) as client:
        raw = client.chat.completions.with_raw_response.create(**asked("where?"))

    assert call.response is not None
    assert msgspec.json.decode(raw.content) == {
        **call.response,
        "system_fingerprint": "slimdown-replay",
    }
