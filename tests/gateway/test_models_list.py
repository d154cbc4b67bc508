"""Live specialists are listed beside the upstream's models, and answer to their own names."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from gateways import running_gateway
from live_specialists import SORT, UNSURE, Live, live_specialists
from recorded_calls import row_of

from slimdown.testing import ScriptedUpstream, Seen, Step, answer

LIST = b"""{ "object": "list",
  "data": [ {"id": "gpt-4o-mini", "object": "model", "created": 1, "owned_by": "system"} ] }"""


OTHER_SHAPE = b'{ "models": [{"name": "llama"}] }'
NO_KEY = b'{ "error": {"message": "no key"} }'


def lists(seen: Seen) -> list[Step]:
    """Answer by what the query says."""
    coded = [("content-encoding", "gzip"), ("etag", "1")]
    return {
        "packed": answer(gzip.compress(LIST), headers=coded),
        "broken": answer(b"no gzip", headers=coded),
        "other": answer(OTHER_SHAPE),
        "refused": answer(NO_KEY, status=401),
    }.get(seen.path.partition("?")[2], answer(LIST))


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with live_specialists(tmp_path_factory.mktemp("models"), lists) as live:
        yield live


def client_of(live: Live) -> openai.OpenAI:
    return openai.OpenAI(base_url=live.gateway.base_url, api_key="none", max_retries=0)


def test_without_a_live_route_the_list_passes_byte_for_byte(tmp_path: Path) -> None:
    with (
        ScriptedUpstream(answer(LIST, headers=[("x-request-id", "r")])) as upstream,
        running_gateway(tmp_path, upstream.url) as gateway,
    ):
        heard = gateway.get("/v1/models")
        calls = gateway.calls()

    assert heard.content == LIST
    assert heard.headers["x-request-id"] == "r"
    assert int(heard.headers["content-length"]) == len(LIST)
    assert calls == []


def test_live_specialists_are_listed_after_the_upstreams_models(live: Live) -> None:
    with client_of(live) as client:
        names = [model.id for model in client.models.list()]

    assert names == [
        "gpt-4o-mini",
        "slimdown/sort",
        "slimdown/weather",
        "slimdown/forecast",
        "slimdown/unsure",
    ]


def test_one_model_of_the_upstreams_is_told_as_the_upstream_tells_it(live: Live) -> None:
    assert live.gateway.get("/v1/models/gpt-4o-mini").content == LIST


def test_an_error_in_place_of_the_list_passes_as_it_is(live: Live) -> None:
    heard = live.gateway.get("/v1/models?refused")

    assert (heard.status_code, heard.content) == (401, NO_KEY)


def test_a_list_of_another_shape_passes_as_it_is(live: Live) -> None:
    assert live.gateway.get("/v1/models?other").content == OTHER_SHAPE


def test_a_caller_of_anthropics_hears_its_own_models_alone(live: Live) -> None:
    heard = live.gateway.get("/v1/models", headers={"anthropic-version": "2023-06-01"})

    assert heard.content == LIST


def test_a_packed_list_is_unpacked_to_be_added_to(live: Live) -> None:
    heard = live.gateway.get("/v1/models?packed")

    assert [model["id"] for model in heard.json()["data"]][:2] == ["gpt-4o-mini", "slimdown/sort"]
    assert not {"content-encoding", "etag"} & set(heard.headers)


def test_a_list_that_cannot_be_unpacked_passes_as_it_is(live: Live) -> None:
    with (
        httpx.Client() as client,
        client.stream("GET", f"{live.gateway.url}/v1/models?broken") as heard,
    ):
        body = b"".join(heard.iter_raw())

    assert (body, heard.headers["content-encoding"]) == (b"no gzip", "gzip")


@pytest.mark.parametrize("streamed", [False, True])
def test_a_specialist_answers_to_its_own_name(live: Live, streamed: bool) -> None:
    n_asked = len(live.upstream.requests)
    request: Any = SORT.request("where is it?", model="slimdown/sort", user=f"named-{streamed}")

    with client_of(live) as client:
        if streamed:
            with client.chat.completions.stream(**request) as stream:
                reply: Any = stream.get_final_completion()
        else:
            reply = client.chat.completions.create(**request)

    assert reply.choices[0].message.content == "delivery"
    assert reply.model == "slimdown/sort"
    assert len(live.upstream.requests) == n_asked
    call = live.gateway.calls()[-1]
    assert (row_of(call).said, row_of(call).stream) == ("delivery", streamed)
    assert call.metadata["gateway"]["reason"] == "by_name"


def test_a_specialist_asked_by_name_for_what_it_cannot_give_says_so(live: Live) -> None:
    request: Any = SORT.request("where is it?", model="slimdown/sort", n=2)

    with client_of(live) as client, pytest.raises(openai.UnprocessableEntityError) as caught:
        client.chat.completions.create(**request)

    assert "unsupported:n" in caught.value.message


def test_a_specialist_that_declines_has_no_upstream_to_fall_back_on(live: Live) -> None:
    n_asked = len(live.upstream.requests)

    with client_of(live) as client, pytest.raises(openai.UnprocessableEntityError) as caught:
        client.chat.completions.create(**UNSURE.request("where is it?", model="slimdown/unsure"))

    assert caught.value.code == "specialist_declined"
    assert caught.value.response.headers["x-slimdown-call-id"]
    assert len(live.upstream.requests) == n_asked


def test_a_name_that_no_specialist_has_is_not_found(live: Live) -> None:
    with client_of(live) as client, pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(**SORT.request("where is it?", model="slimdown/nobody"))

    call = live.gateway.calls()[-1]
    assert caught.value.code == "model_not_found"
    assert caught.value.response.headers["x-slimdown-call-id"] == call.id
    assert (call.error or "").startswith("upstream_status_404")
