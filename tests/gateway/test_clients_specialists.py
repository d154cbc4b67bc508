"""The unmodified `openai` client, answered by live specialists: in its own words, or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import openai
import pydantic
import pytest
from live_specialists import (
    FORECAST,
    SORT,
    UNSURE,
    UPSTREAM_SAYS,
    WEATHER,
    Kind,
    Live,
    live_specialists,
)
from recorded_calls import Row, row_of

ROM_AND_BERN = "Rom and Bern for 3 days"
CALLED = tuple(
    ("weather", f'{{"city": "{city}", "days": {days}}}') for city, days in (("Rom", 3), ("Bern", 3))
)
PICTURE = [
    {"type": "text", "text": "where is it?"},
    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
]


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with live_specialists(tmp_path_factory.mktemp("live")) as live:
        yield live


@contextmanager
def client_of(live: Live, session: str) -> Iterator[openai.OpenAI]:
    headers = {"x-slimdown-session": session}
    with openai.OpenAI(
        base_url=live.gateway.base_url, api_key="none", max_retries=0, default_headers=headers
    ) as client:
        yield client


def raw_of(live: Live, session: str, request: Any, **headers: str) -> Any:
    with client_of(live, session) as client:
        return client.chat.completions.with_raw_response.create(**request, extra_headers=headers)


def row(live: Live, session: str) -> Row:
    (call,) = (call for call in live.gateway.calls() if call.session_id == session)
    return row_of(call)


def functions_of(message: Any) -> tuple[tuple[str, str], ...]:
    return tuple((call.function.name, call.function.arguments) for call in message.tool_calls)


def test_a_plain_answer_is_the_specialists_under_the_callers_own_model(live: Live) -> None:
    n_asked = len(live.upstream.requests)

    raw = raw_of(live, "plain", SORT.request("i want my money"))

    reply = raw.parse()
    assert reply.choices[0].message.content == "refund"
    assert reply.model == "gpt-4o-mini"
    assert reply.system_fingerprint.startswith("slimdown-")
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens > 0
    assert raw.headers["x-slimdown-served-by"] == live.ids["sort"]
    assert raw.headers["x-slimdown-task"] == "id-of-sort"
    assert raw.headers["x-slimdown-logged"] == "1"
    assert len(live.upstream.requests) == n_asked
    assert row(live, "plain") == Row("chat", False, None, "refund", reply.usage.total_tokens)


def test_a_streamed_answer_is_well_formed_and_ends_with_its_usage(live: Live) -> None:
    request: Any = SORT.request("where is it?", stream=True, stream_options={"include_usage": True})

    with client_of(live, "stream") as client:
        *chunks, last = client.chat.completions.create(**request)

    choices = [chunk.choices[0] for chunk in chunks]
    assert choices[0].delta.role == "assistant"
    assert "".join(choice.delta.content or "" for choice in choices) == "delivery"
    assert [choice.finish_reason for choice in choices[-2:]] == [None, "stop"]
    assert (last.choices, last.usage.total_tokens > 0) == ([], True)
    assert len({chunk.id for chunk in [*chunks, last]}) == 1
    assert row(live, "stream") == Row("chat", True, None, "delivery", last.usage.total_tokens)


def test_a_stream_without_a_wish_for_usage_has_none(live: Live) -> None:
    request: Any = SORT.request("where is it?", stream=True)

    with client_of(live, "no usage") as client:
        chunks = list(client.chat.completions.create(**request))

    assert all(len(chunk.choices) == 1 and chunk.usage is None for chunk in chunks)


@pytest.mark.parametrize("streamed", [False, True])
def test_parallel_tool_calls_are_the_specialists(live: Live, streamed: bool) -> None:
    session, request = f"tools-{streamed}", WEATHER.request(ROM_AND_BERN)

    with client_of(live, session) as client:
        if streamed:
            with client.chat.completions.stream(**request) as stream:
                reply: Any = stream.get_final_completion()
        else:
            reply = client.chat.completions.create(**request)

    (choice,) = reply.choices
    assert functions_of(choice.message) == CALLED
    assert (choice.finish_reason, choice.message.content) == ("tool_calls", None)
    assert len({call.id for call in choice.message.tool_calls}) == 2
    assert row(live, session).said == CALLED


class Forecast(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")
    city: str
    days: int


def test_a_structured_output_of_a_specialist_is_the_callers_model(live: Live) -> None:
    reply = raw_of(live, "parsed", FORECAST.request("Rom, 2 days")).parse()

    content = reply.choices[0].message.content
    assert Forecast.model_validate_json(content) == Forecast(city="Rom", days=2)
    assert live.ids["forecast"].startswith(reply.system_fingerprint.removeprefix("slimdown-"))


def test_a_tools_result_sent_back_goes_to_the_upstream(live: Live) -> None:
    request = WEATHER.request("Rom for 2 days")
    reply = raw_of(live, "turn one", request).parse()
    called = reply.choices[0].message.model_dump(exclude_none=True)
    result = {"role": "tool", "tool_call_id": called["tool_calls"][0]["id"], "content": "sunny"}

    raw = raw_of(live, "turn two", {**request, "messages": [*request["messages"], called, result]})

    assert raw.headers["x-slimdown-served-by"] == "upstream"
    assert raw.content == UPSTREAM_SAYS


UPSTREAMS: dict[str, tuple[Kind, str, dict[str, Any], dict[str, str]]] = {
    "below threshold": (UNSURE, "where is it?", {}, {}),
    "unknown input": (SORT, "good day", {}, {}),
    "off": (SORT, "where is it?", {}, {"x-slimdown-route": "off"}),
    "off in capitals": (SORT, "where is it?", {}, {"x-slimdown-route": "OFF"}),
    "two answers": (SORT, "where is it?", {"n": 2}, {}),
    "logprobs": (SORT, "where is it?", {"logprobs": True, "top_logprobs": 2}, {}),
    "stop": (SORT, "where is it?", {"stop": ["e"]}, {}),
    "unknown field": (SORT, "where is it?", {"extra_body": {"top_k": 1}}, {}),
    "other model": (SORT, "where is it?", {"model": "gpt-4o"}, {}),
    "other tools": (SORT, "where is it?", WEATHER.declares, {}),
    "no tools": (WEATHER, "Rom for 2 days", {"tools": openai.NOT_GIVEN}, {}),
    "too long": (SORT, "where is it?" * 100, {}, {}),
    "bounded": (SORT, "where is it?", {"max_tokens": 1}, {}),
}


@pytest.mark.parametrize("case", UPSTREAMS)
def test_the_upstreams_own_bytes_answer_what_a_specialist_may_not(live: Live, case: str) -> None:
    kind, text, fields, headers = UPSTREAMS[case]

    raw = raw_of(live, case, kind.request(text, **fields), **headers)

    assert raw.content == UPSTREAM_SAYS
    assert raw.headers["x-slimdown-served-by"] == "upstream"
    assert row(live, case).said == "the upstream"


def test_a_picture_goes_to_the_upstream(live: Live) -> None:
    request = SORT.request("")
    request["messages"][-1]["content"] = PICTURE

    raw = raw_of(live, "picture", request)

    assert raw.content == UPSTREAM_SAYS
    assert live.upstream.requests[-1].json["messages"][-1]["content"] == PICTURE


def test_text_in_parts_is_text(live: Live) -> None:
    request = SORT.request("")
    request["messages"][-1]["content"] = PICTURE[:1]

    assert raw_of(live, "parts", request).parse().choices[0].message.content == "delivery"


def test_the_runtime_never_sees_what_is_asked_with_the_route_off(live: Live) -> None:
    raw_of(live, "unseen", SORT.request("where is it?"), **{"x-slimdown-route": "off"})

    (call,) = (call for call in live.gateway.calls() if call.session_id == "unseen")
    facts = call.metadata["gateway"]
    assert (facts["reason"], facts["served_by"]) == ("off", "upstream")
    assert "score" not in facts


def test_a_specialists_answer_is_marked_in_its_row(live: Live) -> None:
    raw_of(live, "marked", SORT.request("where is it?"))

    (call,) = (call for call in live.gateway.calls() if call.session_id == "marked")
    facts = call.metadata["gateway"]
    assert (facts["served_by"], facts["task"]) == (live.ids["sort"], "id-of-sort")
    assert (facts["reason"], facts["score"]) == ("live", 1.0)
    assert "upstream" not in facts
