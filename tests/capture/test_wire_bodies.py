"""Compressed bodies, large parts, and embeddings: what is stored of what weighs most."""

from __future__ import annotations

import base64
import gzip
import hashlib
import zlib
from typing import Any

import msgspec
import pytest
import zstandard

from slimdown.capture.wire import call_of
from slimdown.capture.wire_body import Undecodable, plain
from slimdown.exchange import Exchange
from slimdown.types import Call, JsonObject

ANSWER = {
    "choices": [{"message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 1},
}
BODY = msgspec.json.encode(ANSWER)
IMAGE = base64.b64encode(bytes(range(256)) * 40).decode()


def bare_deflate(data: bytes) -> bytes:
    packing = zlib.compressobj(wbits=-15)
    return packing.compress(data) + packing.flush()


def exchanged(
    request: JsonObject, body: bytes = BODY, encoding: bytes = b"", path: str = "chat/completions"
) -> Call:
    return call_of(
        Exchange(
            call_id="c",
            path=f"/v1/{path}",
            request_headers=[],
            request_body=msgspec.json.encode(request),
            status=200,
            response_headers=[(b"content-encoding", encoding)] if encoding else [],
            response_body=body,
            started_at=1.7e9,
            latency_ms=1.0,
        )
    )


def known(call: Call) -> JsonObject:
    found: JsonObject = call.metadata["gateway"]
    return found


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        (b"gzip", gzip.compress),
        (b"X-GZip", gzip.compress),
        (b"deflate", zlib.compress),
        (b"deflate", bare_deflate),
        (b"zstd", zstandard.compress),
        (b"identity", bytes),
        (b"gzip, zstd", lambda data: zstandard.compress(gzip.compress(data))),
        (b"gzip", lambda data: gzip.compress(data[:9]) + gzip.compress(data[9:])),
        (b"gzip", lambda data: gzip.compress(data) + b"noise"),
    ],
)
def test_a_compressed_answer_is_read(encoding: bytes, pack: Any) -> None:
    assert exchanged({}, pack(BODY), encoding).response == ANSWER


@pytest.mark.parametrize(
    ("encoding", "body", "code"),
    [
        (b"gzip", b"no gzip at all", "undecodable_gzip"),
        (b"zstd", b"no zstd at all", "undecodable_zstd"),
        (b"br", b"\x0b\x02\x80", "undecodable_encoding"),
        (b"gzip, gzip, gzip, gzip", b"", "undecodable_nested"),
    ],
)
def test_an_answer_that_cannot_be_unpacked_is_kept_as_it_came(
    encoding: bytes, body: bytes, code: str
) -> None:
    call = exchanged({}, body, encoding)

    assert call.error == "upstream_invalid"
    assert known(call)["flags"] == [code]
    assert known(call).get("raw_response", {"n_bytes": 0})["n_bytes"] == len(body)


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress, zstandard.compress])
def test_a_bomb_is_not_unpacked(pack: Any) -> None:
    names = {gzip.compress: b"gzip", zlib.compress: b"deflate", zstandard.compress: b"zstd"}

    with pytest.raises(Undecodable, match="undecodable_bomb"):
        plain(pack(bytes(2 << 20)), [(b"content-encoding", names[pack])], bound=1 << 20)


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [(b"gzip", gzip.compress), (b"deflate", zlib.compress), (b"zstd", zstandard.compress)],
)
def test_a_compressed_answer_that_breaks_off_gives_what_came(encoding: bytes, pack: Any) -> None:
    data = b"".join(hashlib.sha256(bytes([i])).digest() for i in range(256)) * 200
    packed = pack(data)

    came = plain(packed[: len(packed) * 9 // 10], [(b"content-encoding", encoding)])

    assert data.startswith(came)


PARTS: dict[str, JsonObject] = {
    "image": {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{IMAGE}"}},
    "audio": {"type": "input_audio", "input_audio": {"data": IMAGE, "format": "wav"}},
    "file": {"type": "file", "file": {"file_data": f"data:application/pdf;base64,{IMAGE}"}},
    "anthropic": {"type": "document", "source": {"type": "base64", "data": IMAGE}},
}


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
def test_a_large_part_gives_way_to_its_hash(part: JsonObject) -> None:
    request = {"messages": [{"role": "user", "content": [{"type": "text", "text": "?"}, part]}]}

    call = exchanged(request)

    (dropped,) = known(call)["dropped_parts"]
    assert dropped["n_bytes"] >= len(IMAGE)
    assert IMAGE not in msgspec.json.encode(call).decode()
    assert dropped["sha256"] in str(call.request["messages"])


def test_the_hash_is_that_of_the_text_as_it_was_sent() -> None:
    url = f"data:image/png;base64,{IMAGE}"
    content = [{"type": "input_image", "image_url": url}]

    call = exchanged({"input": [{"role": "user", "content": content}]}, path="responses")

    sent = {"sha256": hashlib.sha256(url.encode()).hexdigest(), "n_bytes": len(url)}
    assert known(call)["dropped_parts"] == [sent]


def test_a_request_that_was_decoded_before_keeps_its_parts() -> None:
    request = {"messages": [{"role": "user", "content": [PARTS["image"]]}]}
    before = msgspec.json.encode(request)

    call_of(
        Exchange(
            call_id="c",
            path="/v1/chat/completions",
            request_headers=[],
            request_body=before,
            request=request,
            started_at=1.7e9,
            latency_ms=1.0,
        )
    )

    assert msgspec.json.encode(request) == before


@pytest.mark.parametrize(
    "content",
    [
        IMAGE,
        [{"type": "text", "text": IMAGE}],
        [{"type": "text", "text": "data: " + "a b " * 5_000}],
        [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}],
        [{"type": "input_audio", "input_audio": {"data": "words " * 5_000}}],
    ],
)
def test_words_and_small_parts_are_stored_as_they_are(content: Any) -> None:
    request = {"messages": [{"role": "user", "content": content}], "pad": "x" * 5_000}

    call = exchanged(request)

    assert call.request == request
    assert "dropped_parts" not in known(call)


def test_a_large_part_of_an_answer_gives_way_too() -> None:
    message = {"role": "assistant", "content": None, "audio": {"id": "a", "data": IMAGE}}
    answer = {**ANSWER, "choices": [{"message": message, "finish_reason": "stop"}]}

    call = exchanged({}, msgspec.json.encode(answer))

    assert len(known(call)["dropped_answer_parts"]) == 1
    assert IMAGE not in msgspec.json.encode(call).decode()


def test_embeddings_are_kept_without_their_vectors() -> None:
    vectors = [{"object": "embedding", "index": i, "embedding": [0.1, 0.2, 0.3]} for i in (0, 1)]
    usage = {"prompt_tokens": 3, "total_tokens": 3}
    answer = {"object": "list", "model": "m-1", "data": vectors, "usage": usage}
    request = {"model": "m", "input": ["a", "b"]}

    call = exchanged(request, msgspec.json.encode(answer), path="embeddings")

    assert (call.request, call.error) == (request, None)
    assert known(call)["dropped_vectors"] == {"n": 2, "n_dims": 3}
    assert call.response == {
        "object": "list",
        "model": "m-1",
        "usage": {"completion_tokens": 0, "prompt_tokens": 3, "total_tokens": 3},
    }


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"error": {"type": "invalid_request_error"}}, "upstream_error: invalid_request_error"),
        ({"data": "none"}, "upstream_invalid"),
        ({"data": [], "usage": {"prompt_tokens": -1}}, None),
        ({"data": [{"embedding": "AAAA"}]}, None),
    ],
)
def test_embeddings_too_are_an_answer_or_say_why_not(answer: JsonObject, error: Any) -> None:
    call = exchanged({}, msgspec.json.encode(answer), path="embeddings")

    assert call.error == error
