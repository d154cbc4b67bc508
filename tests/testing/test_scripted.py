"""Scripts are bytes and times, as their builders promise."""

from __future__ import annotations

from slimdown.testing import Close, Reset, Say, Seen, Wait, answer, chunk, head, refuse, sse


def said_by(steps: list[object]) -> bytes:
    return b"".join(step.data for step in steps if isinstance(step, Say))


def test_an_answer_is_one_write_with_its_length() -> None:
    steps = answer({"a": 1}, status=201, headers=[("X-Two", "1"), ("X-Two", "2")])

    assert steps == [
        Say(
            b"HTTP/1.1 201 Created\r\ncontent-type: application/json\r\nX-Two: 1\r\nX-Two: 2\r\n"
            b'content-length: 7\r\n\r\n{"a":1}'
        )
    ]


def test_bytes_are_answered_as_they_are() -> None:
    steps = answer(b"<html>", status=529, content_type="text/html")

    assert said_by([*steps]).startswith(b"HTTP/1.1 529 Unknown\r\ncontent-type: text/html\r\n")
    assert said_by([*steps]).endswith(b"\r\n\r\n<html>")


def test_each_event_is_a_chunk_of_its_own_and_the_last_is_empty() -> None:
    _, *steps = sse(["one", b": kept\n\n", {"two": 2}])

    assert steps == [
        Say(chunk(b"data: one\n\n")),
        Say(chunk(b": kept\n\n")),
        Say(chunk(b'data: {"two":2}\n\n')),
        Say(chunk(b"data: [DONE]\n\n")),
        Say(b"0\r\n\r\n"),
    ]


def test_a_gap_comes_before_each_event() -> None:
    _, *steps = sse(["one", "two"], gap_s=0.5, done=False)

    assert [type(step) for step in steps] == [Wait, Say, Wait, Say]


def test_a_stream_without_chunks_ends_with_the_connection() -> None:
    first, *_, last = sse(["one"], chunked=False)

    assert isinstance(first, Say)
    assert b"connection: close" in first.data
    assert last == Close()


def test_an_unfinished_stream_leaves_its_end_to_the_script() -> None:
    steps = sse(["one"], done=False)

    assert said_by([*steps]).endswith(chunk(b"data: one\n\n"))


def test_a_refusal_is_a_reset() -> None:
    assert refuse() == [Reset()]


def test_a_chunk_tells_its_size_in_hexadecimal() -> None:
    assert chunk(b"x" * 26) == b"1a\r\n" + b"x" * 26 + b"\r\n"


def test_a_head_ends_with_a_blank_line() -> None:
    assert head(204, []) == b"HTTP/1.1 204 No Content\r\n\r\n"


def test_headers_are_found_whatever_their_case() -> None:
    lines = ((b"X-One", b"1"), (b"x-one", b"2"))
    seen = Seen(method="POST", path="/", headers=lines, body=b'{"a":1}', at=0)

    assert seen.header("x-ONE") == "1"
    assert seen.header("absent") is None
    assert seen.json == {"a": 1}
