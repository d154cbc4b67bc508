"""F22-F25, F30: bodies that are too large, lie, are no JSON or JSON of the worst kind.

What is within the bounds goes upstream as it came, whatever it is: the upstream is the judge of
it, and its answer the caller's. The row holds the same, as JSON or as bytes.
"""

from __future__ import annotations

import base64
import hashlib
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest
from gateways import CHAT, running_gateway
from raw_client import JSON, RawClient, chat, request

from slimdown.testing import ScriptedUpstream, answer, completion
from slimdown.types import Call

OK = answer(completion("ok"))
LONG = chat("x" * 2000)
ODD = {
    "invalid_utf8": b'{"model": "m", "messages": [{"role": "user", "content": "\xff\xfe"}]}',
    "lone_surrogate": b'{"messages": [{"role": "user", "content": "\\ud800 alone"}]}',
    "nul": b'{"messages": [{"role": "user", "content": "a\\u0000b"}]}',
    "raw_nul": b'{"messages": [{"role": "user", "content": "a\x00b"}]}',
    "bom": b'\xef\xbb\xbf{"messages": []}',
    "duplicate_keys": b'{"model": "one", "messages": [], "model": "two"}',
    "duplicate_inner_keys": b'{"messages": [{"role": "user", "role": "system"}]}',
    "nan": b'{"messages": [], "temperature": NaN}',
    "infinity": b'{"messages": [], "temperature": -Infinity}',
    "too_large_a_float": b'{"messages": [], "temperature": 1e400}',
    "too_large_an_integer": b'{"messages": [], "seed": 1' + b"0" * 400 + b"}",
    "cut_off": b'{"messages": [{"role": "us',
    "two_values": b'{"messages": []}{"messages": []}',
    "no_object": b'["messages"]',
    "no_json": b"\x00\x01\x02\xff",
    "hostile_keys": b'{"__proto__": {"a": 1}, "__class__": 1, "constructor": 2, "$where": "x"}',
    "model_is_a_list": b'{"model": ["a", "b"], "messages": []}',
    "model_is_an_object": b'{"model": {"a": 1}, "messages": []}',
    "messages_are_a_text": b'{"model": "m", "messages": "none"}',
    "stream_is_a_text": b'{"model": "m", "messages": [], "stream": "yes"}',
}
VAST = {
    "depth_of_100k": b'{"messages": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "objects_in_objects": b'{"a": ' * 20_000 + b"1" + b"}" * 20_000,
    "a_million_elements": b'{"messages": [' + b"1," * 999_999 + b"1]}",
    "a_million_lists": b'{"messages": [' + b"[]," * 999_999 + b"[]]}",
    "a_million_keys": b"{" + b",".join(b'"k%d":1' % n for n in range(1_000_000)) + b"}",
    "keys_that_differ_little": b"{" + b",".join(b'"%0200d":1' % n for n in range(20_000)) + b"}",
    "a_model_of_4_mb": chat("x", model="m" * (4 << 20)),
}


def kept(call: Call) -> Any:
    """Return the request as it is stored: its bytes where they are kept, else what they say."""
    raw = call.metadata["gateway"].get("raw_request")
    return call.request if raw is None else base64.b64decode(raw["base64"])


@pytest.mark.parametrize("name", ODD)
def test_f23_f25_an_odd_body_passes_byte_for_byte_and_is_stored_exactly(
    tmp_path: Path, name: str
) -> None:
    body = ODD[name]

    with (
        ScriptedUpstream(OK) as upstream,
        running_gateway(tmp_path, upstream.url) as gateway,
    ):
        reply = gateway.post(content=body)
        (call,) = gateway.calls()

    assert reply.status_code == 200
    assert reply.headers["x-slimdown-logged"] == "1"
    assert upstream.requests[0].body == body
    assert kept(call) in (body, decoded(body))


def decoded(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def test_f23_a_body_that_says_a_key_twice_is_kept_as_bytes_too(tmp_path: Path) -> None:
    with (
        ScriptedUpstream(OK) as upstream,
        running_gateway(tmp_path, upstream.url) as gateway,
    ):
        gateway.post(content=ODD["duplicate_keys"])
        (call,) = gateway.calls()

    assert kept(call) == ODD["duplicate_keys"]
    assert call.request["model"] == "two"


@pytest.mark.parametrize("name", VAST)
def test_f24_a_vast_body_passes_is_stored_and_holds_nobody_up(tmp_path: Path, name: str) -> None:
    body = VAST[name]

    with (
        ScriptedUpstream(OK) as upstream,
        running_gateway(tmp_path, upstream.url, record_budget_s=20) as gateway,
    ):
        vast = threading.Thread(target=gateway.post, kwargs={"content": body})
        vast.start()
        others = [gateway.post().headers["x-slimdown-logged"] for _ in range(5)]
        vast.join()
        calls = gateway.calls_after(6)

    assert others == ["1"] * 5
    assert body in [seen.body for seen in upstream.requests]
    assert sorted(call.error or "" for call in calls) == [""] * 6


def test_f22_a_body_that_says_it_is_too_large_is_refused_before_it_comes(tmp_path: Path) -> None:
    with (
        ScriptedUpstream(OK) as upstream,
        running_gateway(tmp_path, upstream.url, max_body_bytes=1000) as gateway,
        RawClient(gateway.url) as client,
    ):
        reply = client.send(request(b"", "Content-Length: 1001")).reply()
        after = client.rest()

    assert (reply.status, reply.code, after) == (413, "request_too_large", b"")
    assert upstream.requests == []


@pytest.mark.parametrize("length", ["9" * 18, "9" * 25])
def test_f22_an_absurd_length_is_refused(tmp_path: Path, length: str) -> None:
    with (
        ScriptedUpstream(OK) as upstream,
        running_gateway(tmp_path, upstream.url) as gateway,
        RawClient(gateway.url) as client,
    ):
        reply = client.send(request(b"", f"Content-Length: {length}")).reply()

    assert reply.status in (400, 413)
    assert upstream.requests == []


def test_f22_a_body_without_a_length_is_refused_once_it_is_too_large(tmp_path: Path) -> None:
    piece = b"%x\r\n%b\r\n" % (len(LONG), LONG)

    with (
        ScriptedUpstream(OK) as upstream,
        running_gateway(tmp_path, upstream.url, max_body_bytes=1000) as gateway,
        RawClient(gateway.url) as client,
    ):
        reply = client.send(request(piece, "Transfer-Encoding: chunked")).reply()
        after = client.rest()

    assert (reply.status, reply.code, after) == (413, "request_too_large", b"")
    assert upstream.requests == []


def test_f22_a_client_that_is_still_sending_hears_why_it_is_refused(tmp_path: Path) -> None:
    with (
        ScriptedUpstream(OK) as upstream,
        running_gateway(tmp_path, upstream.url, max_body_bytes=1 << 20) as gateway,
    ):
        reply = gateway.post(content=chat("x" * (16 << 20)))

    assert (reply.status_code, reply.json()["error"]["code"]) == (413, "request_too_large")
    assert reply.headers["x-slimdown-call-id"]
    assert upstream.requests == []


def test_f22_a_body_longer_than_it_says_is_taken_at_its_word(tmp_path: Path) -> None:
    with (
        ScriptedUpstream(OK) as upstream,
        running_gateway(tmp_path, upstream.url) as gateway,
        RawClient(gateway.url) as client,
    ):
        reply = client.send(request(JSON + b"more", f"Content-Length: {len(JSON)}")).reply()
        after = client.rest()

    assert (reply.status, after) == (200, b"")
    assert [seen.body for seen in upstream.requests] == [JSON]


def test_f22_a_body_shorter_than_it_says_is_waited_for_and_then_refused(tmp_path: Path) -> None:
    with (
        ScriptedUpstream(OK) as upstream,
        running_gateway(tmp_path, upstream.url, client_timeout_s=0.3) as gateway,
        RawClient(gateway.url) as client,
    ):
        reply = client.send(request(JSON, f"Content-Length: {len(JSON) + 1}")).reply()

    assert (reply.status, reply.code) == (408, "request_timeout")
    assert upstream.requests == []


def test_f30_a_large_image_passes_byte_for_byte_and_its_hash_is_stored(tmp_path: Path) -> None:
    url = "data:image/png;base64," + base64.b64encode(bytes(range(256)) * 30_000).decode()
    image = {"type": "image_url", "image_url": {"url": url}}
    body = msgspec.json.encode({**CHAT, "messages": [{"role": "user", "content": [image]}]})

    with (
        ScriptedUpstream(OK) as upstream,
        running_gateway(tmp_path, upstream.url) as gateway,
    ):
        reply = gateway.post(content=body)
        (call,) = gateway.calls_after(1)

    part = {"sha256": hashlib.sha256(url.encode()).hexdigest(), "n_bytes": len(url)}
    stored = call.request["messages"][0]["content"][0]["image_url"]["url"]
    assert (len(body) > 10_000_000, reply.status_code) == (True, 200)
    assert upstream.requests[0].body == body
    assert msgspec.json.decode(stored) == part
    assert call.metadata["gateway"]["dropped_parts"] == [part]
