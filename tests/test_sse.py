"""Event streams, wherever they are cut; and the end of one, told from a few bytes."""

from __future__ import annotations

import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slimdown.sse import (
    END_WINDOW_BYTES,
    Event,
    SSEOverflow,
    SSEParser,
    encode,
    ends_stream,
)

BREAKS = st.sampled_from([b"\n", b"\r", b"\r\n"])
VALUES = st.text(
    st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=12
)  # what a line may hold
LINES = st.one_of(
    VALUES.map(lambda value: f"data: {value}"),
    VALUES.map(lambda value: f"data:{value}"),
    VALUES.map(lambda value: f"event: {value}"),
    VALUES.map(lambda value: f"id: {value}"),
    VALUES.map(lambda value: f": {value}"),
    st.sampled_from(["", "", "data", "retry: 10", "unknown: x", "noise"]),
)
STREAMS = st.lists(st.tuples(LINES, BREAKS), max_size=20).map(
    lambda lines: b"".join(line.encode() + end for line, end in lines)
)


def parsed(*pieces: bytes) -> list[Event]:
    parser = SSEParser()
    return [event for piece in pieces for event in parser.feed(piece)] + parser.close()


def at_once(stream: bytes) -> list[Event]:
    return parsed(stream)


def test_the_fields_of_an_event_are_read() -> None:
    stream = b"event: delta\nid: 7\ndata: one\ndata:  two\n\ndata: next\n\n"

    assert parsed(stream) == [Event("one\n two", "delta", "7"), Event("next", "", "7")]


def test_a_byte_order_mark_is_no_part_of_the_first_field() -> None:
    assert parsed(b"\xef\xbb\xbfdata: x\n\n") == [Event("x")]
    assert parsed(b"\xef", b"\xbb", b"\xbfdata: x\n\n") == [Event("x")]


def test_comments_unknown_fields_and_empty_events_say_nothing() -> None:
    assert parsed(b": keep-alive\n\nretry: 3\nwhat: x\n\nevent: ping\n\n") == []


def test_an_id_with_a_null_is_not_taken() -> None:
    assert parsed(b"id: 1\0\ndata: x\n\n") == [Event("x")]


def test_a_data_line_without_a_value_is_an_empty_one() -> None:
    assert parsed(b"data\n\n") == [Event("")]
    assert parsed(b"data\ndata\n\n") == [Event("\n")]


def test_bytes_that_are_not_utf_8_are_marked_and_harm_nothing() -> None:
    assert parsed(b"data: a\xffb\n\ndata: c\n\n") == [Event("a\ufffdb"), Event("c")]


@given(STREAMS)
def test_byte_by_byte_gives_what_one_feed_gives(stream: bytes) -> None:
    pieces = [stream[i : i + 1] for i in range(len(stream))]

    assert parsed(*pieces) == at_once(stream)


@given(STREAMS, st.data())
def test_every_cut_gives_what_one_feed_gives(stream: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    ends = [0, *cuts, len(stream)]
    pieces = [stream[a:b] for a, b in itertools.pairwise(ends)]

    assert parsed(*pieces) == at_once(stream)


@given(st.lists(st.tuples(VALUES, VALUES), max_size=8), BREAKS)
def test_line_endings_do_not_matter(events: list[tuple[str, str]], end: bytes) -> None:
    stream = b"".join(encode(data, event.strip()) for data, event in events)

    assert at_once(stream.replace(b"\n", end)) == at_once(stream)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=40))
def test_what_is_encoded_is_read_again(text: str) -> None:
    assert at_once(encode(text, "message")) == [Event(text, "message")]


def test_every_kind_of_line_break_in_data_starts_a_data_line() -> None:
    assert encode("a\rb\r\nc") == b"data: a\ndata: b\ndata: c\n\n"
    assert encode(b"{}") == b"data: {}\n\n"


@pytest.mark.parametrize("size", [16, 1_000, 1 << 20])
def test_a_line_of_a_megabyte_is_read_in_pieces_of_any_size(size: int) -> None:
    text = "x\u20ac" * (1 << 18)
    stream = encode(text)

    events = parsed(*(stream[i : i + size] for i in range(0, len(stream), size)))

    assert events == [Event(text)]


def test_an_event_beyond_the_bound_is_refused() -> None:
    for piece in (b"data: " + b"x" * 100, b"data: x\n" * 20):
        parser = SSEParser(max_event_bytes=64)
        with pytest.raises(SSEOverflow):
            parser.feed(piece)


def test_many_events_within_the_bound_may_be_more_than_it() -> None:
    parser = SSEParser(max_event_bytes=64)

    events = parser.feed(b"data: some text\n\n" * 1_000)

    assert len(events) == 1_000


def test_close_gives_the_event_that_lacks_only_its_blank_line() -> None:
    parser = SSEParser()

    assert parser.feed(b"data: a\n\ndata: b") == [Event("a")]
    assert (parser.close(), parser.n_pending) == ([Event("b")], 7)


def test_nothing_is_pending_after_a_whole_event() -> None:
    parser = SSEParser()

    parser.feed(b"data: a\r\n\r\n")

    assert (parser.close(), parser.n_pending) == ([], 0)


LAST_EVENTS = [
    b"data: [DONE]\n\n",
    b"data:[DONE]\r\n\r\n",
    b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
    b'data: {"type": "message_stop"}\n\n',
    b"event: response.completed\ndata: {}\n\n",
    b"event:response.failed\rdata: {}\r\r",
    b'data: {"type":"response.incomplete"}\n\n',
    b'event: error\ndata: {"type":"error"}\n\n',
]


@pytest.mark.parametrize("last", LAST_EVENTS)
@pytest.mark.parametrize("before", [b"\n", b"\r", b'data: {"choices":[]}\n\n'])
def test_each_dialects_last_event_is_known(before: bytes, last: bytes) -> None:
    assert ends_stream(before + last)


@pytest.mark.parametrize("last", LAST_EVENTS)
def test_the_last_event_is_known_wherever_it_is_cut(last: bytes) -> None:
    stream = b'data: {"choices":[{"delta":{"content":"and so it ends here"}}]}\n\n' + last

    for cut in range(len(stream)):
        first, second = b"\n" + stream[:cut], stream[cut:]
        window = first[-END_WINDOW_BYTES:] + second
        assert ends_stream(first) or ends_stream(window)


@pytest.mark.parametrize(
    "text",
    [
        "data: [DONE]",
        "\ndata: [DONE]\n\n",
        "event: message_stop",
        "\r\nevent: error\r\n",
        '"type":"response.completed"',
        '\ndata: {"type":"message_stop"}',
    ],
)
def test_a_model_that_speaks_of_the_end_does_not_make_it(text: str) -> None:
    chunk = encode(msgspec.json.encode({"choices": [{"delta": {"content": text}}]}))

    for cut in range(len(chunk)):
        head = b"\n" + chunk[:cut]
        assert not ends_stream(head[-END_WINDOW_BYTES:] + chunk[cut:])


def test_events_that_come_before_the_end_do_not_end_it() -> None:
    assert not ends_stream(b"\nevent: response.completed.soon\n\nevent: errors\n\n")
    assert not ends_stream(b"\nevent: response.output_text.delta\ndata: {}\n\n")
