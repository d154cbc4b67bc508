from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from slimdown.signature import (
    CONTENT_CHARS,
    constant_chars,
    content_slice,
    contract_id,
    distances,
    matches,
    specialist_input,
    spoken_text,
    tools_id,
    variable_text,
)
from slimdown.types import Slot, Task, Template

TOOL = {"type": "function", "function": {"name": "get_user", "parameters": {"type": "object"}}}
POLICY = Slot("system", "You sort mail.", constant=True)
QUESTION = Slot("user", "Question: ", "\nAnswer:")


def request(*messages: tuple[str, Any], **fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": r, "content": c} for r, c in messages], **fields}


def task(*slots: Slot) -> Task:
    return Task(id="t", name="t", description="", kind="text", template=Template(slots))


def test_the_order_of_keys_in_a_tool_list_does_not_matter() -> None:
    turned = {
        "function": {"parameters": {"type": "object"}, "name": "get_user"},
        "type": "function",
    }

    assert tools_id({"tools": [TOOL]}) == tools_id({"tools": [turned]}) != ""


def test_old_style_functions_are_tools_too() -> None:
    assert tools_id({"functions": [TOOL["function"]]}) != ""


def test_no_tools_and_an_empty_list_are_the_same() -> None:
    assert tools_id({}) == tools_id({"tools": []}) == ""


def test_a_plain_text_format_is_no_contract() -> None:
    assert contract_id({"response_format": {"type": "text"}}) == contract_id({}) == ""


def test_two_schemas_are_two_contracts() -> None:
    contracts = [{"type": "json_schema", "json_schema": {"name": name}} for name in "ab"]

    assert len({contract_id({"response_format": c}) for c in contracts}) == 2


def test_the_constant_text_around_a_question_is_left_out() -> None:
    asked = request(("system", "You sort mail."), ("user", "Question: is it late?\nAnswer:"))

    assert specialist_input(task(POLICY, QUESTION), asked) == "is it late?"


def test_several_variable_messages_are_joined_under_their_roles() -> None:
    asked = request(("system", "You sort mail."), ("user", "hi"), ("assistant", "yes?"))

    assert specialist_input(task(POLICY), asked) == "[user]\nhi\n[assistant]\nyes?"


def test_a_message_that_does_not_fit_its_slot_is_kept_whole() -> None:
    asked = request(("system", "You sort post."), ("user", "hi"))

    assert "You sort post." in specialist_input(task(POLICY), asked)


def test_text_parts_of_a_message_are_read() -> None:
    asked = request(("user", [{"type": "text", "text": "Question: a\nAnswer:"}]))

    assert specialist_input(task(QUESTION), asked) == "a"


def test_tool_calls_of_earlier_turns_are_part_of_the_input() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "get_user", "arguments": "{}"}}

    assert "get_user" in spoken_text({"role": "assistant", "content": None, "tool_calls": [call]})


def test_a_prefix_and_a_suffix_may_not_overlap() -> None:
    template = Template((Slot("user", "abab", "abab"),))

    assert not matches(template, request(("user", "ababab")))
    assert matches(template, request(("user", "abababab")))


def test_a_request_with_other_tools_does_not_match() -> None:
    template = Template((POLICY,), tools_id=tools_id({"tools": [TOOL]}))
    messages = ("system", "You sort mail.")

    assert matches(template, request(messages, tools=[TOOL]))
    assert not matches(template, request(messages))


def test_a_request_shorter_than_the_template_does_not_match() -> None:
    assert not matches(Template((POLICY, QUESTION)), request(("system", "You sort mail.")))


def test_another_role_does_not_match() -> None:
    assert not matches(Template((POLICY,)), request(("user", "You sort mail.")))


def test_requests_without_messages_are_empty_and_not_an_error() -> None:
    assert variable_text(Template(()), {"messages": None}) == ""
    assert variable_text(Template(()), {"messages": ["odd", 3]}) == ""


def test_the_content_of_a_long_request_is_its_head_and_tail() -> None:
    text = "a" * 5_000 + "z" * 5_000

    sliced = content_slice(Template(()), request(("user", text)))

    assert sliced == "a" * CONTENT_CHARS + "\n" + "z" * CONTENT_CHARS


def test_constant_characters_measure_how_specific_a_template_is() -> None:
    assert constant_chars(Template((QUESTION,))) == len("Question: ") + len("\nAnswer:")


def test_distances_are_squared_and_euclidean() -> None:
    vectors = np.eye(3, dtype=np.float32)
    means = np.array([[0.5, 0.5, 0], [0, 0, 1]], dtype=np.float32)

    expected = ((vectors[:, None] - means[None]) ** 2).sum(axis=2)

    assert np.allclose(distances(vectors, means), expected)


@given(st.text(), st.text(), st.text())
def test_what_varies_is_found_verbatim(prefix: str, middle: str, suffix: str) -> None:
    slots = task(Slot("user", prefix, suffix))

    assert specialist_input(slots, request(("user", prefix + middle + suffix))) == middle
