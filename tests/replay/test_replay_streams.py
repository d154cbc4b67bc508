"""Whatever was recorded: a stream, put together again, says what the plain answer says."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from slimdown.answer import answer_of
from slimdown.capture import read_log
from slimdown.capture.dialects import DIALECTS as CAPTURED
from slimdown.replay.dialects import DIALECTS
from slimdown.replay.pieces import pieces
from slimdown.replay.recorded import completion, recorded
from slimdown.sse import Event, SSEParser
from slimdown.testing import completion as spoken
from slimdown.types import Answer, Call, JsonObject

DATA = Path(os.environ.get("SLIMDOWN_DATA", Path(__file__).parents[3] / "shared/data"))
REQUEST: JsonObject = {"model": "m", "messages": [{"role": "user", "content": "?"}]}

TEXTS = st.text(st.characters(codec="utf-8"), max_size=200)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
ARGUMENTS = st.dictionaries(TEXTS, JSON_VALUES, max_size=4).map(
    lambda value: msgspec.json.encode(value).decode()
)
TOOL_CALLS = st.lists(st.tuples(st.from_regex(r"\A[a-z_]{1,20}\Z"), ARGUMENTS), max_size=3)


def heard(dialect: str, events: list[bytes]) -> JsonObject:
    parser = SSEParser()
    assembled = CAPTURED[dialect].assemble(parser.feed(b"".join(events)) + parser.close())
    assert (assembled.whole, assembled.inconsistent, assembled.failure) == (True, False, None)
    return CAPTURED[dialect].answer(assembled.answer)


def meaning(response: JsonObject) -> Answer | None:
    return answer_of(Call(id="", request=REQUEST, response=response))


@pytest.mark.parametrize("dialect", ["chat", "responses", "messages"])
@given(text=TEXTS, tool_calls=TOOL_CALLS)
def test_a_stream_says_what_the_plain_answer_says(
    dialect: str, text: str, tool_calls: list[tuple[str, str]]
) -> None:
    whole = completion(Call(id="c", request=REQUEST, response=spoken(text, tool_calls)))

    plain = CAPTURED[dialect].answer(DIALECTS[dialect].body(whole, {}))
    streamed = heard(dialect, DIALECTS[dialect].events(whole, {}))

    assert meaning(plain) == meaning(streamed) == meaning(whole)
    assert streamed["choices"][0]["finish_reason"] == whole["choices"][0]["finish_reason"]


@given(text=TEXTS, tool_calls=TOOL_CALLS)
def test_the_openai_client_makes_the_recorded_completion_of_a_stream(
    text: str, tool_calls: list[tuple[str, str]]
) -> None:
    whole = completion(Call(id="c", request=REQUEST, response=spoken(text, tool_calls)))
    events = DIALECTS["chat"].events(whole, {"stream_options": {"include_usage": True}})

    state = ChatCompletionStreamState()
    for event in events[:-1]:
        state.handle_chunk(ChatCompletionChunk.model_validate_json(event[len("data: ") :]))
    final = state.get_final_completion()

    want = ChatCompletion.model_validate(whole)
    assert final.choices[0].message.content == want.choices[0].message.content
    assert final.usage == want.usage
    assert (final.id, final.model) == (want.id, want.model)


@given(TEXTS)
def test_pieces_join_to_the_text(text: str) -> None:
    parts = pieces(text)

    assert "".join(parts) == text
    assert all(parts)


def test_a_piece_holds_a_few_words_however_long_they_are() -> None:
    parts = pieces("x" * 1_000_000 + " and some words more")

    assert max(map(len, parts)) <= 123
    assert parts[-1].endswith("more")


ODD_MESSAGES: list[JsonObject] = [
    {"content": [{"type": "thinking", "thinking": [{"text": "a list"}]}, {"type": "text"}]},
    {"content": [{"type": "text", "text": "parts"}, "no object", 5]},
    {"content": 7, "tool_calls": "none", "refusal": 3},
    {"content": None, "tool_calls": [{"function": None}, {}, "x", {"function": {"name": 5}}]},
    {"content": None, "tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}]},
    {"content": None, "tool_calls": [{"type": "custom", "custom": {"name": "c", "input": "i"}}]},
    {"content": None, "function_call": {"name": "f", "arguments": "{}"}},
    {"content": None, "thinking_blocks": [{"type": "redacted_thinking", "data": "x"}]},
    {},
]


@pytest.mark.parametrize("message", ODD_MESSAGES, ids=range(len(ODD_MESSAGES)))
@pytest.mark.parametrize("dialect", ["chat", "responses", "messages"])
def test_odd_recordings_are_rendered_all_the_same(dialect: str, message: JsonObject) -> None:
    odd: Any = {"choices": [{"message": message}], "usage": {"prompt_tokens": "many"}}
    whole = completion(Call(id="c", request=REQUEST, response=odd))

    events = DIALECTS[dialect].events(whole, {"stream_options": {"include_usage": True}})

    assert DIALECTS[dialect].body(whole, {})
    assert isinstance(heard_events(events)[0], Event)


def heard_events(events: list[bytes]) -> list[Event]:
    parser = SSEParser()
    return parser.feed(b"".join(events)) + parser.close()


def test_recorded_calls_of_many_providers_mean_the_same_in_every_dialect() -> None:
    path = DATA / "vcr_cassettes/calls_chat_completions.jsonl.gz"
    if not path.exists():
        pytest.skip(f"no recorded calls at {path}: set SLIMDOWN_DATA")
    kept = [recorded(call) for call in read_log(path)]
    wholes = [msgspec.json.decode(one.body) for one in kept if one and one.status == 200]

    for whole in wholes[::5]:
        for name, dialect in DIALECTS.items():
            plain = CAPTURED[name].answer(dialect.body(whole, {}))
            assert meaning(plain) == meaning(heard(name, dialect.events(whole, {})))
            refused = whole["choices"][0]["message"].get("refusal")
            assert refused or meaning(plain) == meaning(whole)
