"""Streams that stall, break, never end or contradict themselves: caller and row are told so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
import pytest
from callers import Heard
from faulty import BEGUN, STREAMED, Faulty, faulty, flags, problem, said

from slimdown.testing import (
    Close,
    Hang,
    Reset,
    Say,
    Step,
    Wait,
    answer,
    chunk,
    completion,
    completion_chunks,
    head,
    sse,
)
from slimdown.types import Call, JsonObject

WORDS = completion_chunks("so it goes")
UNFINISHED = WORDS[:-1]
MOST = 64 << 10


@pytest.fixture(scope="module")
def llm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Faulty]:
    with faulty(tmp_path_factory.mktemp("streams"), max_body_bytes=MOST) as made:
        yield made


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Faulty]:
    folder = tmp_path_factory.mktemp("impatient")
    with faulty(folder, idle_timeout_s=0.3, longest_s=1.5) as made:
        yield made


def events(heard: Heard) -> list[bytes]:
    return heard.body.split(b"\n\n")[:-1]


def last_code(heard: Heard) -> str:
    """Return the code of the error that a stream ends with."""
    assert b"[DONE]" not in heard.body
    return str(msgspec.json.decode(events(heard)[-1].removeprefix(b"data: "))["error"]["code"])


def row(llm: Faulty, heard: Heard) -> Call:
    return llm.call(heard.header(b"x-slimdown-call-id"))


def test_f03_a_stream_that_stalls_ends_with_an_error_and_its_part_is_kept(
    impatient: Faulty,
) -> None:
    told = impatient.heard([*sse(UNFINISHED, done=False), Hang()], STREAMED)

    kept = row(impatient, told)
    assert (told.status, last_code(told)) == (200, "upstream_stalled")
    assert (kept.error, said(kept)) == ("upstream_stalled", "so it goes")
    impatient.upstream.wait_for_abort()


def test_f03_a_stall_after_the_head_is_told_in_the_stream(impatient: Faulty) -> None:
    told = impatient.heard([BEGUN, Hang()], STREAMED)

    assert (told.status, last_code(told)) == (200, "upstream_stalled")
    assert row(impatient, told).error == "upstream_stalled"


def test_f03_a_stall_in_a_whole_answer_is_an_error(impatient: Faulty) -> None:
    lines = [("content-type", "application/json"), ("content-length", "99")]

    told = impatient.ask([Say(head(200, lines) + b'{"choices"'), Hang()])

    assert problem(told) == (504, "upstream_stalled")
    assert impatient.row(told).error == "upstream_stalled"


def test_f10_a_stream_without_end_is_ended(impatient: Faulty) -> None:
    script: list[Step] = [BEGUN]
    for _ in range(2_000):
        script += [Say(chunk(b": still here\n\n")), Wait(0.02)]

    told = impatient.heard(script, STREAMED)

    assert last_code(told) == "upstream_endless"
    assert row(impatient, told).error == "upstream_stalled"
    impatient.upstream.wait_for_abort()


def test_f10_an_event_of_a_mebibyte_passes_whole_and_is_recorded(impatient: Faulty) -> None:
    text = "x" * (1 << 20)
    large = {**WORDS[1], "choices": [{"index": 0, "delta": {"content": text}}]}
    sent = sse([WORDS[0], large, WORDS[-1]])

    told = impatient.heard(sent, STREAMED)

    assert len(told.body) > 1 << 20
    assert said(row(impatient, told)) == text


def test_f10_of_a_long_stream_all_passes_and_the_beginning_is_kept(llm: Faulty) -> None:
    line = b": " + b"x" * 10_000 + b"\n\n"
    script = sse([*UNFINISHED, *[line] * 12, WORDS[-1]])

    told = llm.heard(script, STREAMED)

    kept = row(llm, told)
    assert told.body.count(line) == 12
    assert told.body.endswith(b"data: [DONE]\n\n")
    assert (kept.error, said(kept)) == ("recorded_in_part", "so it goes")


def test_f10_a_whole_answer_beyond_the_bound_is_refused(llm: Faulty) -> None:
    told = llm.ask(answer(completion("x" * 2 * MOST)))

    assert problem(told) == (502, "upstream_too_large")
    assert llm.row(told).error == "too_large"


@pytest.mark.parametrize("end", [[Say(chunk(b""))], [Close()], [Reset()], [Say(b"zz\r\n"), Hang()]])
def test_f06_a_stream_that_ends_before_its_last_event_is_broken_off(
    llm: Faulty, end: list[Step]
) -> None:
    # A reset may overtake what was written before it.
    script = [*sse(UNFINISHED, done=False), Wait(0.1), *end]

    told = llm.heard(script, STREAMED)

    kept = row(llm, told)
    assert (told.status, last_code(told)) == (200, "upstream_truncated")
    assert (kept.error, said(kept)) == ("upstream_truncated", "so it goes")


def test_f06_a_break_between_two_lines_of_an_event_ends_it_before_ours(llm: Faulty) -> None:
    line = b'data: {"choices":[]}\n'

    told = llm.heard(
        [*sse(UNFINISHED, done=False), Say(chunk(line)), Wait(0.05), Close()], STREAMED
    )

    assert events(told)[-2] + b"\n" == line
    assert last_code(told) == "upstream_truncated"


@pytest.mark.parametrize("end", [Close(), Reset(), Say(chunk(b""))])
def test_f06_a_break_inside_a_line_breaks_the_callers_stream_since_no_event_could_follow(
    llm: Faulty, end: Step
) -> None:
    half = Say(chunk(b'data: {"choi'))

    with pytest.raises(AssertionError, match="ended before the reply did"):
        llm.heard([*sse(UNFINISHED, done=False), half, Wait(0.05), end], STREAMED)

    kept = llm.gateway.calls()[-1]
    assert (kept.error, said(kept)) == ("upstream_truncated", "so it goes")


def test_f06_a_stream_that_breaks_before_its_first_event_is_not_asked_again(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with faulty(tmp_path_factory.mktemp("retries"), retries=5) as llm:
        told = llm.heard([BEGUN, Wait(0.05), Reset()], STREAMED)

        assert llm.n_asked == 1
        assert last_code(told) == "upstream_truncated"


def test_f06_a_finished_stream_without_done_is_whole(llm: Faulty) -> None:
    told = llm.heard([*sse(WORDS, done=False), Say(chunk(b""))], STREAMED)

    assert len(events(told)) == len(WORDS)
    assert row(llm, told).error is None


def test_f06_a_break_after_the_last_event_is_none(llm: Faulty) -> None:
    done = Say(chunk(b"data: [DONE]\n\n"))

    told = llm.heard([*sse(WORDS, done=False), done, Wait(0.05), Reset()], STREAMED)

    assert told.body.endswith(b"data: [DONE]\n\n")
    assert row(llm, told).error is None


@pytest.mark.parametrize("is_ended", [True, False])
def test_f07_an_error_inside_a_stream_passes_and_is_a_failure(llm: Faulty, is_ended: bool) -> None:
    error = {"error": {"message": "no", "type": "overloaded", "code": "busy", "param": None}}
    script = sse([*UNFINISHED, error], done=is_ended)

    told = llm.heard([*script, Say(chunk(b""))] if not is_ended else script, STREAMED)

    kept = row(llm, told)
    assert b'"code":"busy"' in told.body
    assert (kept.error or "").endswith("overloaded busy")
    assert said(kept) == "so it goes"


def test_f07_an_answer_in_place_of_a_stream_passes_as_it_is(llm: Faulty) -> None:
    told = llm.heard(answer(completion("whole")), STREAMED)

    assert msgspec.json.decode(told.body) == completion("whole")
    assert row(llm, told).error is None


def test_f08_a_page_in_place_of_a_stream_is_an_invalid_answer(llm: Faulty) -> None:
    told = llm.heard(answer(b"<html>", content_type="text/html"), STREAMED)

    assert told.status == 502
    assert row(llm, told).error == "upstream_invalid"


@pytest.mark.parametrize("data", ["{", "[1]", "null", '{"choices": 7}', "\x00", '{"choices":[[]]}'])
def test_f08_events_that_say_nothing_pass_and_are_a_failure(llm: Faulty, data: str) -> None:
    told = llm.heard(sse([WORDS[0], data]), STREAMED)

    assert events(told)[1] == f"data: {data}".encode()
    assert row(llm, told).error is not None


def tool_delta(index: int, **fields: Any) -> JsonObject:
    delta = {"tool_calls": [{"index": index, **fields}]}
    return {**WORDS[0], "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}


def named(index: int, call_id: str, name: str) -> JsonObject:
    function = {"name": name, "arguments": ""}
    return tool_delta(index, id=call_id, type="function", function=function)


def words(index: int, arguments: str) -> JsonObject:
    return tool_delta(index, function={"arguments": arguments})


ENDED = {**WORDS[0], "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}


def test_f11_interleaved_tool_calls_pass_unchanged_and_are_put_together(llm: Faulty) -> None:
    deltas = [named(1, "b", "second"), named(0, "a", "first")]
    deltas += [words(0, '{"x":'), words(1, '{"y":'), words(1, "2}"), words(0, "1}"), ENDED]

    told = llm.heard(sse(deltas), STREAMED)

    kept = row(llm, told)
    assert events(told)[:-1] == [b"data: " + msgspec.json.encode(each) for each in deltas]
    assert kept.response is not None
    calls = kept.response["choices"][0]["message"]["tool_calls"]
    found = [(each["function"]["name"], each["function"]["arguments"]) for each in calls]
    assert found == [("first", '{"x":1}'), ("second", '{"y":2}')]


@pytest.mark.parametrize(
    "deltas",
    [
        [named(0, "a", "first"), words(0, "{}"), named(0, "b", "second"), words(0, "{}")],
        [named(0, "a", "first"), words(3, "{}")],
    ],
    ids=["a doubled index", "an index without a name"],
)
def test_f11_tool_calls_that_contradict_themselves_pass_and_are_never_learned_from(
    llm: Faulty, deltas: list[JsonObject]
) -> None:
    told = llm.heard(sse([*deltas, ENDED]), STREAMED)

    kept = row(llm, told)
    assert len(events(told)) == len(deltas) + 2
    assert "inconsistent" in flags(kept)
    assert kept.error is not None


def test_f12_usage_told_twice_and_differently_is_not_trusted(llm: Faulty) -> None:
    counts = [{"prompt_tokens": n, "completion_tokens": 1, "total_tokens": n + 1} for n in (5, 9)]
    told_twice = [{**WORDS[0], "choices": [], "usage": each} for each in counts]

    told = llm.heard(sse([*WORDS, *told_twice]), STREAMED)

    kept = row(llm, told)
    assert flags(kept) == ["usage_unusable"]
    assert kept.response is not None
    assert "usage" not in kept.response


def test_a_broken_stream_breaks_the_parsers_of_no_client(llm: Faulty) -> None:
    llm.upstream.play([*sse(UNFINISHED, done=False), Wait(0.05), Close()])

    with httpx.Client() as client:
        url = f"{llm.gateway.base_url}/chat/completions"
        with client.stream("POST", url, json=STREAMED) as response:
            lines = [line for line in response.iter_lines() if line]

    assert msgspec.json.decode(lines[-1].removeprefix("data: "))["error"]["type"] == (
        "upstream_error"
    )
