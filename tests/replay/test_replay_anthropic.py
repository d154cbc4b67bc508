"""The unmodified `anthropic` client gets from a replay exactly what was recorded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import anthropic
import msgspec
import pytest
from recordings import CALLED, SCHEMA, TOOL, WORDS, failed, recorded_call, replaying

from slimdown.testing import completion
from slimdown.types import Call, JsonObject

MODEL = "claude-of-the-test"
ASKING: Any = {
    "model": MODEL,
    "max_tokens": 100,
    "system": "You know parcels.",
    "messages": [{"role": "user", "content": "where?"}],
}
RECORDED: JsonObject = {
    "model": MODEL,
    "max_completion_tokens": 100,
    "messages": [
        {"role": "system", "content": "You know parcels."},
        {"role": "user", "content": "where?"},
    ],
}
TOOLS: Any = [{"name": "weather", "description": "Tells the weather.", "input_schema": SCHEMA}]
CALLS_TOOLS = recorded_call({**RECORDED, "tools": [TOOL]}, completion(None, CALLED))


@contextmanager
def client_of(*calls: Call, **settings: Any) -> Iterator[anthropic.Anthropic]:
    with (
        replaying(*calls, **settings) as url,
        anthropic.Anthropic(base_url=url, api_key="none", max_retries=0) as client,
    ):
        yield client


def test_a_message_has_the_recorded_words_and_counts() -> None:
    usage = {"prompt_tokens": 30, "prompt_tokens_details": {"cached_tokens": 20}}
    response = completion(WORDS) | {"usage": usage | {"completion_tokens": 4}}

    with client_of(recorded_call(RECORDED, response)) as client:
        message = client.messages.create(**ASKING)

    assert [block.text for block in message.content if block.type == "text"] == [WORDS]
    assert message.stop_reason == "end_turn"
    assert (message.usage.input_tokens, message.usage.cache_read_input_tokens) == (10, 20)
    assert message.usage.output_tokens == 4


def test_a_streamed_message_is_the_plain_one() -> None:
    with client_of(recorded_call(RECORDED, completion(WORDS))) as client:
        plain = client.messages.create(**ASKING)
        with client.messages.stream(**ASKING) as stream:
            pieces = list(stream.text_stream)
            final = stream.get_final_message()

    assert "".join(pieces) == WORDS
    assert len(pieces) > 3
    assert final.to_dict(exclude_none=True) == plain.to_dict(exclude_none=True)


@pytest.mark.parametrize("streamed", [False, True])
def test_tools_are_called_as_recorded(streamed: bool) -> None:
    with client_of(CALLS_TOOLS) as client:
        if streamed:
            with client.messages.stream(**ASKING, tools=TOOLS) as stream:
                message = stream.get_final_message()
        else:
            message = client.messages.create(**ASKING, tools=TOOLS)

    told = [(block.name, block.input) for block in message.content if block.type == "tool_use"]
    assert told == [(name, msgspec.json.decode(text)) for name, text in CALLED]
    assert message.stop_reason == "tool_use"


@pytest.mark.parametrize("streamed", [False, True])
def test_thoughts_keep_their_signature(streamed: bool) -> None:
    thought = {"type": "thinking", "thinking": "It left on Tuesday.", "signature": "c2ln"}
    response = completion("Hamburg")
    response["choices"][0]["message"]["thinking_blocks"] = [thought]

    with client_of(recorded_call(RECORDED, response)) as client:
        if streamed:
            with client.messages.stream(**ASKING) as stream:
                message = stream.get_final_message()
        else:
            message = client.messages.create(**ASKING)

    assert message.content[0].to_dict() == thought
    assert [block.type for block in message.content] == ["thinking", "text"]


def test_arguments_that_are_no_object_become_an_empty_one() -> None:
    call = recorded_call({**RECORDED, "tools": [TOOL]}, completion(None, [("weather", "[1")]))

    with client_of(call) as client, client.messages.stream(**ASKING, tools=TOOLS) as stream:
        message = stream.get_final_message()

    assert [block.input for block in message.content if block.type == "tool_use"] == [{}]


def test_a_refusal_is_said_in_words() -> None:
    response = completion(None)
    response["choices"][0]["message"]["refusal"] = "I cannot do that."

    with client_of(recorded_call(RECORDED, response)) as client:
        message = client.messages.create(**ASKING)

    assert [block.text for block in message.content if block.type == "text"] == [
        "I cannot do that."
    ]


def test_a_miss_has_the_shape_of_anthropics_errors() -> None:
    with (
        client_of(failed("else", "500")) as client,
        pytest.raises(anthropic.NotFoundError) as caught,
    ):
        client.messages.create(**ASKING)

    assert caught.value.body == {
        "type": "error",
        "error": {
            "type": "invalid_request_error",
            "message": "none of the 1 recorded calls asked this, and nobody else was asked. "
            "Record such a call and replay it too, or let the nearest one answer (on_miss).",
        },
    }


def test_a_recorded_error_keeps_its_status_and_kind() -> None:
    error = {"type": "overloaded_error", "message": "Overloaded"}
    call = recorded_call(
        RECORDED, {"type": "error", "error": error}, error="upstream_status_529: overloaded_error"
    )

    with client_of(call) as client, pytest.raises(anthropic.APIStatusError) as caught:
        client.messages.create(**ASKING)

    assert caught.value.status_code == 529
    assert caught.value.body == {"type": "error", "error": error}
