"""Two requests ask the same whatever only concerns how the answer is sent."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recordings import TOOL, asked

from slimdown.replay.likeness import TRANSPORT, kin_key, request_key, said_text
from slimdown.types import JsonObject

SAME: list[tuple[JsonObject, JsonObject]] = [
    (asked("a"), asked("a", stream=True, stream_options={"include_usage": True})),
    (asked("a"), asked("a", user="u", metadata={"k": "v"}, store=True, seed=1)),
    (asked("a"), asked("a", model="another")),
    (asked("a"), asked("a", tools=[], stop=None, response_format=None)),
    (asked("a", max_tokens=5), asked("a", max_completion_tokens=5)),
    (
        asked("a"),
        asked("a") | {"messages": [{"content": [{"type": "text", "text": "a"}], "role": "user"}]},
    ),
    (
        {"messages": [{"role": "developer", "content": "s"}]},
        {"messages": [{"role": "system", "content": "s"}]},
    ),
    (
        {"messages": [{"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}]},
        {
            "messages": [
                {
                    "role": "assistant",
                    "tool_calls": [{"id": "1"}],
                    "refusal": None,
                    "annotations": [],
                }
            ]
        },
    ),
]
DIFFERENT: list[tuple[JsonObject, JsonObject]] = [
    (asked("a"), asked("A")),
    (asked("a"), asked("a", temperature=0)),
    (asked("a"), asked("a", tools=[TOOL])),
    (asked("a"), asked("a", n=2)),
    (asked("a"), asked("a", previous_response_id="resp_1")),
    (asked("a"), {"messages": [{"role": "system", "content": "a"}]}),
]


@pytest.mark.parametrize(("one", "other"), SAME, ids=range(len(SAME)))
def test_what_only_concerns_the_sending_does_not_tell_requests_apart(
    one: JsonObject, other: JsonObject
) -> None:
    assert request_key(one) == request_key(other)


@pytest.mark.parametrize(("one", "other"), DIFFERENT, ids=range(len(DIFFERENT)))
def test_what_is_asked_tells_requests_apart(one: JsonObject, other: JsonObject) -> None:
    assert request_key(one) != request_key(other)


@given(st.dictionaries(st.sampled_from(sorted(TRANSPORT)), st.integers() | st.text(max_size=5)))
def test_no_transport_field_counts(fields: dict[str, Any]) -> None:
    assert request_key(asked("a") | fields) == request_key(asked("a"))


@pytest.mark.parametrize("messages", [None, "text", 5, [], ["a", 1], [{"content": 5, "role": []}]])
def test_malformed_messages_have_keys_too(messages: Any) -> None:
    request = {"messages": messages}

    assert request_key(request) == request_key(dict(request))
    assert kin_key(request) == kin_key(dict(request))
    assert isinstance(said_text(request), str)


def test_kin_share_tools_contract_and_system_texts_alone() -> None:
    system = {"role": "system", "content": "s"}
    one = {"messages": [system, {"role": "user", "content": "a"}], "temperature": 0}
    other = {"messages": [system, {"role": "user", "content": "b"}]}

    assert kin_key(one) == kin_key(other)
    assert kin_key(one) != kin_key(asked("a"))
    assert kin_key(one) != kin_key({**one, "tools": [TOOL]})


def test_what_was_said_starts_at_the_last_user_message() -> None:
    messages = [
        {"role": "user", "content": "first"},
        {"role": "user", "content": "second"},
        {"role": "tool", "content": "result"},
    ]

    assert said_text({"messages": messages}) == "second\nresult"
