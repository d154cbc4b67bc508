"""Only parameters that a specialist may be trusted with pass; the rest is named, or unknown."""

from typing import Any

import pytest
from releases import request

from slimdown.route.parameters import unsupported

SCHEMA = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}
TOOL = {"type": "function", "function": {"name": "search", "parameters": {}}}
CALL = {"id": "c", "type": "function", "function": {"name": "search", "arguments": "{}"}}


def with_message(**message: Any) -> dict[str, Any]:
    return request(messages=[*request()["messages"], message])


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"tools": [TOOL], "tool_choice": "auto", "parallel_tool_calls": False},
        {"tool_choice": {"type": "function", "function": {"name": "search"}}, "tools": [TOOL]},
        {"functions": [{"name": "search"}], "function_call": {"name": "search"}},
        {"response_format": SCHEMA, "temperature": 0, "top_p": 1.0, "seed": 7},
        {"stream": True, "stream_options": {"include_usage": True}},
        {"max_tokens": 5, "max_completion_tokens": 9, "n": 1, "store": False},
        {"user": "u", "metadata": {"a": "b"}, "service_tier": "auto", "reasoning_effort": "low"},
        {"presence_penalty": -1, "frequency_penalty": 0.5, "verbosity": "low"},
        {"prompt_cache_key": "k", "safety_identifier": "s", "logprobs": False, "stop": None},
    ],
    ids=lambda parameters: next(iter(parameters), "none"),
)
def test_what_changes_nothing_about_the_answer_passes(parameters: dict[str, Any]) -> None:
    assert unsupported(request(**parameters)) == ""


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n", 2),
        ("n", True),
        ("logprobs", True),
        ("top_logprobs", 3),
        ("logit_bias", {"50256": -100}),
        ("stop", ["\n"]),
        ("modalities", ["text", "audio"]),
        ("prediction", {"type": "content", "content": "a"}),
        ("web_search_options", {}),
        ("store", True),
        ("temperature", 2.5),
        ("temperature", "0"),
        ("temperature", float("nan")),
        ("seed", 0.5),
        ("max_tokens", 0),
        ("stream", "yes"),
        ("stream_options", {"include_everything": True}),
        ("tools", [{"type": "custom", "custom": {"name": "a"}}]),
        ("tools", [{"type": ["function"]}]),
        ("tool_choice", {"type": "allowed_tools"}),
        ("response_format", {"type": "grammar"}),
        ("response_format", {"type": ["text"]}),
        ("messages", []),
        ("messages", "hello"),
        ("model", ["gpt-4o-mini"]),
        ("model", None),
    ],
)
def test_what_changes_the_answer_or_makes_no_sense_is_named(name: str, value: Any) -> None:
    assert unsupported(request(**{name: value})) == name


@pytest.mark.parametrize("name", ["model", "messages"])
def test_a_request_without_what_it_needs_is_for_the_upstream_to_refuse(name: str) -> None:
    seen = {key: value for key, value in request().items() if key != name}

    assert unsupported(seen) == name


@pytest.mark.parametrize(
    "message",
    [
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "assistant", "content": "a", "refusal": None, "annotations": [], "audio": None},
        {"role": "tool", "content": "found", "tool_call_id": "c"},
        {"role": "user", "content": [{"type": "text", "text": "a"}], "name": "ann"},
    ],
)
def test_messages_that_are_all_text_pass(message: dict[str, Any]) -> None:
    assert unsupported(with_message(**message)) == ""


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "a"}}]},
        {"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]},
        {"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]},
        {"role": "user", "content": [{"type": "text", "text": None}]},
        {"role": "user", "content": None},
        {"role": "assistant", "content": "a", "audio": {"id": "a"}},
        {"role": "assistant", "content": "a", "reasoning_content": "because"},
        {"role": "assistant", "content": None, "function_call": {"name": "a"}},
        {"role": "assistant", "content": None, "tool_calls": [{"type": "custom"}]},
        {"role": "oracle", "content": "a"},
        {"role": ["user"], "content": "a"},
    ],
)
def test_a_message_that_a_specialist_would_not_see_whole_is_not_for_it(
    message: dict[str, Any],
) -> None:
    assert unsupported(with_message(**message)) == "messages"
