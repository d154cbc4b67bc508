"""A completion cut into chunks is what the `openai` client puts together again."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk

from slimdown.backends.chat_stream import DONE, chunks
from slimdown.testing import completion
from slimdown.types import JsonObject

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
ARGUMENTS = st.dictionaries(TEXTS, TEXTS | st.integers(-9, 9), max_size=3).map(
    lambda value: msgspec.json.encode(value).decode()
)
CALLS = st.lists(st.tuples(st.sampled_from(["search", "book"]), ARGUMENTS), min_size=1, max_size=3)
COMPLETIONS = st.builds(completion, TEXTS) | st.builds(completion, st.none() | TEXTS, CALLS)


def decoded(events: list[bytes]) -> list[JsonObject]:
    return [msgspec.json.decode(event.removeprefix(b"data: ")) for event in events[:-1]]


def assembled(events: list[bytes]) -> JsonObject:
    state = ChatCompletionStreamState()
    for chunk in decoded(events):
        state.handle_chunk(ChatCompletionChunk.model_validate(chunk))
    return state.get_final_completion().model_dump()


def said(message: JsonObject) -> tuple[Any, ...]:
    calls = message.get("tool_calls") or ()
    functions = [(c["id"], c["function"]["name"], c["function"]["arguments"]) for c in calls]
    return message["role"], message["content"] or None, functions


def in_pairs(text: str) -> list[str]:
    return [text[at : at + 2] for at in range(0, len(text), 2)]


@given(COMPLETIONS, st.booleans())
def test_the_client_assembles_the_completion(whole: JsonObject, in_pieces: bool) -> None:
    events = chunks(whole, include_usage=True, **({"pieces": in_pairs} if in_pieces else {}))

    again = assembled(events)

    choice, original = again["choices"][0], whole["choices"][0]
    assert said(choice["message"]) == said(original["message"])
    assert choice["finish_reason"] == original["finish_reason"]
    assert {key: again[key] for key in ("id", "model", "created")}.items() <= whole.items()
    assert whole["usage"].items() <= again["usage"].items()


@given(COMPLETIONS, st.booleans())
def test_each_event_is_one_chunk_and_the_last_says_that_it_is_done(
    whole: JsonObject, include_usage: bool
) -> None:
    events = chunks(whole, include_usage=include_usage)

    assert events[-1] == DONE
    assert all(event.endswith(b"\n\n") and event.count(b"\n") == 2 for event in events)
    assert {chunk["object"] for chunk in decoded(events)} == {"chat.completion.chunk"}


def test_usage_comes_in_a_last_chunk_without_choices_and_is_null_before() -> None:
    parts = decoded(chunks(completion("delivery"), include_usage=True))

    assert (parts[-1]["choices"], parts[-1]["usage"]["total_tokens"]) == ([], 55)
    assert [part["usage"] for part in parts[:-1]] == [None] * (len(parts) - 1)


def test_usage_that_was_not_asked_for_is_not_told() -> None:
    parts = decoded(chunks(completion("delivery"), include_usage=False))

    assert not any("usage" in part for part in parts)


def test_a_tool_call_gives_its_name_first_and_then_its_arguments() -> None:
    parts = decoded(chunks(completion(None, [("search", '{"q": 1}')]), include_usage=False))

    deltas = [part["choices"][0]["delta"] for part in parts]
    named = {"id": "call_0", "type": "function", "function": {"name": "search", "arguments": ""}}
    assert deltas[0] == {"role": "assistant", "content": None, "refusal": None}
    assert deltas[1] == {"tool_calls": [{"index": 0, **named}]}
    assert deltas[2] == {"tool_calls": [{"index": 0, "function": {"arguments": '{"q": 1}'}}]}
    assert parts[-1]["choices"][0]["finish_reason"] == "tool_calls"


def test_a_function_called_in_the_old_way_is_streamed_in_the_old_way() -> None:
    whole = completion(None)
    whole["choices"][0]["message"]["function_call"] = {"name": "search", "arguments": "{}"}

    again = [part["choices"][0]["delta"] for part in decoded(chunks(whole, include_usage=False))]

    assert [delta["function_call"] for delta in again[1:-1]] == [
        {"name": "search", "arguments": ""},
        {"arguments": "{}"},
    ]


def test_a_refusal_reaches_the_client() -> None:
    whole = completion(None)
    whole["choices"][0]["message"]["refusal"] = "I will not."

    assert assembled(chunks(whole, include_usage=False))["choices"][0]["message"]["refusal"]
