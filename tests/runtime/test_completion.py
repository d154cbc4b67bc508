"""A specialist's output as the completion that an LLM would have sent."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion

from slimdown.answer import answer_of, output_of
from slimdown.runtime.completion import Given, completion_of, message_of, n_characters
from slimdown.types import Call, JsonObject, OutputKind

ID = "chatcmpl-0123456789abcdef01234567"
LEAVES = st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5)
OBJECTS = st.dictionaries(st.text(max_size=4), LEAVES | st.lists(LEAVES, max_size=2), max_size=3)
CALLS = st.lists(
    st.fixed_dictionaries({"name": st.sampled_from(["find", "book"]), "arguments": OBJECTS}),
    min_size=1,
    max_size=3,
)
WORDS = st.text(st.characters(categories=["L", "P"]), min_size=1).filter(lambda t: t[0] not in "{[")


def completion(kind: OutputKind, output: Any, request: JsonObject | None = None) -> JsonObject:
    given = Given(
        task_id="t", specialist_id="s", kind=kind, output=output, score=0.9, confidence=0.8
    )
    return completion_of(given, request or {"messages": []}, id=ID, created=1_700_000_000)


def test_a_label_is_the_message() -> None:
    assert message_of("label", "refund", id=ID) == {"role": "assistant", "content": "refund"}


def test_an_object_is_written_as_llms_write_it() -> None:
    message = message_of("json", {"b": 1, "a": ["é", None]}, id=ID)

    assert message["content"] == '{"b": 1, "a": ["é", null]}'


def test_tool_calls_have_ids_and_arguments_as_text() -> None:
    output = [{"name": "find", "arguments": {"city": "Oslo"}}, {"name": "wait", "arguments": {}}]

    message = message_of("tool", output, id=ID)

    assert message["content"] is None
    calls = message["tool_calls"]
    assert [call["function"]["arguments"] for call in calls] == ['{"city": "Oslo"}', "{}"]
    assert len({call["id"] for call in calls}) == 2
    assert all(call["id"].startswith("call_") for call in calls)


def test_words_of_a_tool_task_are_words() -> None:
    assert message_of("tool", "I cannot do that.", id=ID)["content"] == "I cannot do that."


@pytest.mark.parametrize(
    ("kind", "output", "reason"),
    [
        ("label", "a", "stop"),
        ("tool", [{"name": "find", "arguments": {}}], "tool_calls"),
        ("tool", "no", "stop"),
    ],
)
def test_the_finish_reason_tells_calls_from_words(
    kind: OutputKind, output: Any, reason: str
) -> None:
    assert completion(kind, output)["choices"][0]["finish_reason"] == reason


def test_usage_counts_four_characters_a_token() -> None:
    request = {"messages": [{"role": "user", "content": "x" * 36}], "tools": []}

    usage = completion("label", "refund", request)["usage"]

    assert usage == {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}


def test_the_score_is_told_beside_the_completion() -> None:
    told = completion("label", "a")["slimdown"]

    assert told == {"task": "t", "specialist": "s", "score": 0.9, "confidence": 0.8}


@given(st.one_of(*(st.tuples(st.just(k), o) for k, o in {"json": OBJECTS, "tool": CALLS}.items())))
def test_what_was_put_in_is_what_is_read_out(made: tuple[OutputKind, Any]) -> None:
    kind, output = made

    call = Call(id="c", request={}, response=completion(kind, output))

    answer = answer_of(call)
    assert answer is not None
    assert output_of(kind, answer) == output


@given(WORDS)
def test_words_are_read_out_as_they_were(words: str) -> None:
    answer = answer_of(Call(id="c", request={}, response=completion("text", words)))

    assert answer is not None
    assert answer.value == words.strip()


@given(st.one_of(*(st.tuples(st.just(k), o) for k, o in {"json": OBJECTS, "tool": CALLS}.items())))
def test_a_client_reads_every_completion(made: tuple[OutputKind, Any]) -> None:
    text = msgspec.json.encode(completion(*made))

    read = ChatCompletion.model_validate_json(text, strict=True)

    assert read.choices[0].finish_reason in ("stop", "tool_calls")


def test_only_texts_are_counted() -> None:
    assert n_characters({"key": ["ab", {"further": "c"}, 3, None]}) == 3
