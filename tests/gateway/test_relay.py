"""What passes through: the upstream's bytes and headers, untouched, and a row for each call."""

from pathlib import Path

import httpx
import msgspec
import pytest
from gateways import CHAT, running_gateway

from slimdown.testing import ScriptedUpstream, answer, completion, completion_chunks, sse


def test_an_answer_passes_byte_for_byte_and_is_recorded(tmp_path: Path) -> None:
    body = b'{ "choices" : [ {"message":{"role":"assistant","content":"ok"}} ],\n "x": 1 }'

    with (
        ScriptedUpstream(answer(body, headers=[("X-Request-Id", "req_7")])) as upstream,
        running_gateway(tmp_path, upstream.url) as gateway,
    ):
        response = gateway.post()
        (call,) = gateway.calls()

    assert response.content == body
    assert response.headers["x-request-id"] == "req_7"
    assert response.headers["x-slimdown-logged"] == "1"
    assert response.headers["x-slimdown-served-by"] == "upstream"
    assert call.id == response.headers["x-slimdown-call-id"]
    assert call.request == CHAT
    assert call.response == msgspec.json.decode(body)


def test_the_upstream_sees_the_callers_bytes_and_headers(tmp_path: Path) -> None:
    body = b'{"model": "gpt-4o-mini",  "messages": [], "unknown_field": {"a": 1.0}}'
    headers = {
        "authorization": "Bearer sk-1",
        "content-type": "application/json",
        "x-stainless": "y",
    }

    with (
        ScriptedUpstream(answer(completion("ok"))) as upstream,
        running_gateway(tmp_path, upstream.url) as gateway,
    ):
        gateway.post("/v1/chat/completions?a=1", content=body, headers=headers)

    (seen,) = upstream.requests
    assert (seen.method, seen.path, seen.body) == ("POST", "/v1/chat/completions?a=1", body)
    sent = {name.lower(): value for name, value in seen.headers}
    assert sent[b"authorization"] == b"Bearer sk-1"
    assert sent[b"x-stainless"] == b"y"
    assert sent[b"host"] == upstream.url.split("/")[2].encode()


def test_a_stream_passes_chunk_by_chunk_and_is_recorded_before_its_end(tmp_path: Path) -> None:
    events = completion_chunks("where it was")

    with (
        ScriptedUpstream(sse(events, gap_s=0.02)) as upstream,
        running_gateway(tmp_path, upstream.url) as gateway,
        httpx.Client() as client,
        client.stream("POST", f"{gateway.base_url}/chat/completions", json=CHAT) as response,
    ):
        pieces, n_before_end = [], -1
        for piece in response.iter_raw():
            pieces.append(piece)
            if b"[DONE]" in piece:
                n_before_end = len(gateway.calls())
        (call,) = gateway.calls()

    assert n_before_end == 1
    assert len(pieces) > 3
    assert call.error is None
    assert call.response is not None
    assert call.response["choices"][0]["message"]["content"] == "where it was"


@pytest.mark.parametrize("path", ["/v1/files", "/v1/fine_tuning/jobs", "/anything?x=1"])
def test_what_is_no_model_call_passes_without_a_row(tmp_path: Path, path: str) -> None:
    with (
        ScriptedUpstream(answer(b"\x00\xff raw", headers=[("X-Y", "z")])) as upstream,
        running_gateway(tmp_path, upstream.url) as gateway,
    ):
        response = gateway.get(path)
        calls = gateway.calls()

    assert (response.content, response.headers["x-y"]) == (b"\x00\xff raw", "z")
    assert "x-slimdown-logged" not in response.headers
    assert calls == []


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 529])
def test_an_error_of_the_upstream_passes_with_its_headers(tmp_path: Path, status: int) -> None:
    body = {"error": {"message": "no", "type": "t", "param": None, "code": "c"}}

    with (
        ScriptedUpstream(answer(body, status=status, headers=[("Retry-After", "3")])) as upstream,
        running_gateway(tmp_path, upstream.url) as gateway,
    ):
        response = gateway.post()
        (call,) = gateway.calls()

    assert (response.status_code, response.json()) == (status, body)
    assert response.headers["retry-after"] == "3"
    assert call.error is not None
    assert len(upstream.requests) == 1
