"""Conversations: which turns are calls, and what each was asked."""

from __future__ import annotations

from typing import Any

import pytest

from slimdown.capture.conversations import (
    MAX_TURNS,
    completion,
    prompt_completion_drafts,
    sharegpt_drafts,
    trajectory_drafts,
)
from slimdown.capture.draft import Draft, Unusable
from slimdown.capture.formats import format_of

USER = {"role": "user", "content": "?"}
REPLY = {"role": "assistant", "content": "!"}


def drafts(record: Any) -> list[Draft]:
    return [draft for draft in trajectory_drafts(record) if isinstance(draft, Draft)]


def test_each_turn_of_the_model_is_asked_what_was_said_before() -> None:
    found = drafts([USER, REPLY, USER, REPLY])
    assert [draft.request["messages"] for draft in found] == [[USER], [USER, REPLY, USER]]
    assert all(draft.response == completion(REPLY) for draft in found)


def test_turns_of_one_conversation_share_a_session_and_differ_in_name() -> None:
    found = drafts({"messages": [USER, REPLY, USER, REPLY], "id": "run-7"})
    assert {draft.session_id for draft in found} == {"run-7"}
    assert len({draft.source_id for draft in found}) == 2


def test_the_same_conversation_without_an_id_has_the_same_session() -> None:
    assert drafts([USER, REPLY])[0].session_id == drafts([USER, REPLY])[0].session_id
    assert drafts([USER, REPLY])[0].session_id != drafts([USER, USER, REPLY])[0].session_id


def test_turns_that_fine_tuning_leaves_out_are_no_calls() -> None:
    untrained = {**REPLY, "weight": 0}
    found = drafts({"messages": [USER, untrained, USER, {**REPLY, "weight": 1}]})
    assert len(found) == 1
    assert found[0].request["messages"] == [USER, REPLY, USER]
    assert found[0].response == completion(REPLY)


def test_a_demonstration_is_part_of_the_prompt() -> None:
    found = drafts({"history": [USER, {**REPLY, "is_demo": True}, USER, REPLY]})
    assert [len(draft.request["messages"]) for draft in found] == [3]


def test_tools_and_model_of_a_conversation_go_into_each_request() -> None:
    tools = [{"type": "function", "function": {"name": "f"}}]
    record = {"messages": [USER, REPLY], "tools": tools, "parallel_tool_calls": False, "model": "m"}
    (draft,) = drafts(record)
    assert draft.request["tools"] == tools
    assert draft.request["parallel_tool_calls"] is False
    assert draft.request["model"] == "m"


def test_notes_of_a_tool_are_no_part_of_a_message() -> None:
    noted = {**REPLY, "agent": "main", "thought": "hm", "tool_calls": None}
    (draft,) = drafts({"trajectory": [{**USER, "message_type": "x"}, noted]})
    assert draft.request["messages"] == [USER]
    assert draft.response == completion({**REPLY, "tool_calls": None})


def test_a_very_long_conversation_is_cut_and_told() -> None:
    found = list(trajectory_drafts([USER, *[REPLY] * (MAX_TURNS + 1)]))
    assert len(found) == MAX_TURNS + 1
    assert isinstance(found[-1], Unusable)


def test_a_conversation_without_the_model_is_unusable() -> None:
    with pytest.raises(Unusable, match="says nothing"):
        list(trajectory_drafts([USER, USER]))


@pytest.mark.parametrize(
    ("prompt", "completed"), [("?", "!"), ([USER], [REPLY]), ([USER], "!"), ("?", [REPLY])]
)
def test_prompt_and_completion_are_texts_or_messages(prompt: Any, completed: Any) -> None:
    (draft,) = prompt_completion_drafts({"prompt": prompt, "completion": completed})
    assert isinstance(draft, Draft)
    assert draft.request["messages"] == [USER]
    assert draft.response == completion(REPLY)


def test_prompts_of_another_shape_are_unusable() -> None:
    with pytest.raises(Unusable):
        list(prompt_completion_drafts({"prompt": 3, "completion": "!"}))


def test_sharegpt_speakers_become_roles() -> None:
    turns = [
        {"from": "human", "value": "?"},
        {"from": "gpt", "value": "!"},
        {"from": "observation", "value": "42"},
        {"from": "gpt", "value": "!"},
    ]
    found = list(sharegpt_drafts({"conversations": turns, "system": "be brief"}))
    assert isinstance(found[-1], Draft)
    roles = [message["role"] for message in found[-1].request["messages"]]
    assert roles == ["system", "user", "assistant", "tool"]


FORMS = [
    ({"messages": [USER, REPLY]}, "conversation"),
    ({"traj": [USER, REPLY], "trial": 0}, "conversation"),
    ([USER, REPLY], "conversation"),
    ({"conversations": [{"from": "human", "value": "?"}]}, "sharegpt"),
    ({"prompt": "?", "completion": "!"}, "prompt-completion"),
    ({"request": {"messages": []}, "response": {}}, "calls"),
    ({"request": {}, "response": {}, "client_id": "c"}, "flywheel"),
    ({"custom_id": "1", "method": "POST", "body": {}}, "openai-batch"),
    ({"custom_id": "1", "response": None, "error": {}}, "openai-batch"),
    ({"object": "chat.completion", "choices": []}, "openai-stored"),
    ({"trace": {}, "observations": []}, "langfuse"),
    ({"trace_id": "t", "type": "GENERATION", "input": "?"}, "langfuse"),
    ({"call_type": "completion", "messages": [], "response": {}}, "litellm"),
]


@pytest.mark.parametrize(("record", "name"), FORMS)
def test_each_format_is_recognised_by_its_fields(record: Any, name: str) -> None:
    form = format_of(record)
    assert form is not None
    assert form.name == name


@pytest.mark.parametrize("record", [None, 3, "text", [], {}, [1], {"messages": "?"}, [{"a": 1}]])
def test_what_has_no_such_fields_is_of_no_format(record: Any) -> None:
    assert format_of(record) is None
