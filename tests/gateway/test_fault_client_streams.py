"""F09: streams cut anywhere, in any mix of line ends, with comments and a byte order mark: they
reach the client byte for byte, and the row holds what was said."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import msgspec
import pytest
from gateways import Running, running_gateway
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from raw_client import RawClient, chat, request

from slimdown.testing import Say, ScriptedUpstream, Step, chunk, completion_chunks, sse

WORDS = "Grüße, 世界 \N{PACKAGE} and so on"
CHUNKS = [msgspec.json.encode(each) for each in completion_chunks(WORDS, usage=True)]
NUMBERS = itertools.count()
LINE_ENDS = (b"\n", b"\r\n", b"\r")


def stream_of(ends: Sequence[bytes], *, marked: bool = False) -> bytes:
    """Return a stream whose events end in these line ends, one after the other, with comments."""
    said = b"\xef\xbb\xbf" if marked else b""
    for n, data in enumerate([*CHUNKS, b"[DONE]"]):
        end = ends[n % len(ends)]
        said += b": keep-alive" + end + end + b"data: " + data + end + end
    return said


def script_of(pieces: Sequence[bytes]) -> list[Step]:
    """Return the script that says each piece as an HTTP chunk and in a write of its own."""
    start = sse([], done=False)
    return [*start, *(Say(chunk(piece)) for piece in pieces if piece), Say(chunk(b""))]


def cut(stream: bytes, places: Sequence[int]) -> list[bytes]:
    edges = [0, *sorted({place % len(stream) for place in places}), len(stream)]
    return [stream[begin:end] for begin, end in itertools.pairwise(edges)]


def relayed(gateway: Running, question: str) -> bytes:
    with RawClient(gateway.url) as client:
        return client.send(request(chat(question, stream=True))).reply().body


def text_of(gateway: Running, question: str) -> str:
    """Return what is stored as the answer to a question that only one call asked."""
    rows = [c for c in gateway.calls() if c.request["messages"][0]["content"] == question]
    (call,) = rows
    assert call.error is None
    assert call.response is not None
    return str(call.response["choices"][0]["message"]["content"])


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream([]) as made:
        yield made


@pytest.fixture(scope="module")
def gateway(
    upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    with running_gateway(tmp_path_factory.mktemp("streams"), upstream.url) as made:
        yield made


@pytest.mark.parametrize("end", LINE_ENDS, ids=["lf", "crlf", "cr"])
def test_f09_a_stream_that_comes_byte_by_byte_passes_as_it_is(
    upstream: ScriptedUpstream, gateway: Running, end: bytes
) -> None:
    stream = stream_of([end])
    upstream.play(script_of([bytes([byte]) for byte in stream]))

    body = relayed(gateway, f"byte by byte, {end!r}")

    assert body == stream
    assert text_of(gateway, f"byte by byte, {end!r}") == WORDS


def test_f09_a_byte_order_mark_passes_and_is_no_part_of_the_answer(
    upstream: ScriptedUpstream, gateway: Running
) -> None:
    stream = stream_of([b"\n"], marked=True)
    upstream.play(script_of([stream[:2], stream[2:]]))

    body = relayed(gateway, "marked")

    assert body == stream
    assert text_of(gateway, "marked") == WORDS


def test_f09_a_last_event_cut_anywhere_waits_for_the_row(
    upstream: ScriptedUpstream, gateway: Running
) -> None:
    stream = stream_of([b"\n"])
    last = stream.index(b"data: [DONE]")

    for place in range(last, len(stream)):
        upstream.play(script_of(cut(stream, [place])))
        assert relayed(gateway, f"cut at {place}") == stream
        assert text_of(gateway, f"cut at {place}") == WORDS


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    ends=st.lists(st.sampled_from(LINE_ENDS), min_size=1, max_size=4),
    places=st.lists(st.integers(0, 5000), max_size=40),
)
def test_f09_any_cuts_and_line_ends_pass_and_are_read_alike(
    upstream: ScriptedUpstream,
    gateway: Running,
    ends: list[bytes],
    places: list[int],
) -> None:
    question = f"number {next(NUMBERS)}"
    stream = stream_of(ends)
    upstream.play(script_of(cut(stream, places)))

    body = relayed(gateway, question)

    assert body == stream
    assert text_of(gateway, question) == WORDS
