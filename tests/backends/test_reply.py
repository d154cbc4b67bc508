"""What a runtime says is checked for its shape before anybody believes it."""

import contextlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slimdown.backends.reply import REFUSALS, RuntimeAnswer, RuntimeRefusal, reply_of
from slimdown.errors import RuntimeUnavailable
from slimdown.testing import completion
from slimdown.types import JsonObject

FACTS = {"task": "t1", "specialist": "s1", "score": 0.9, "confidence": 0.8}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-2, 2) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


def told(**changes: Any) -> bytes:
    body: JsonObject = {**completion("delivery"), "slimdown": FACTS}
    return msgspec.json.encode({**body, **changes})


def test_a_chat_completion_with_its_score_is_an_answer() -> None:
    answer = reply_of(200, told(), ["s0", "s1"])

    assert isinstance(answer, RuntimeAnswer)
    assert (answer.task_id, answer.specialist_id, answer.score) == ("t1", "s1", 0.9)
    assert answer.completion["choices"][0]["message"]["content"] == "delivery"


@pytest.mark.parametrize(
    "changes",
    [
        {"choices": []},
        {"choices": completion("a")["choices"] * 2},
        {"choices": [{"message": {"content": 7}, "finish_reason": "stop"}]},
        {"choices": [{"message": {"content": "a"}, "finish_reason": None}]},
        {"usage": None},
        {"slimdown": None},
        {"slimdown": {**FACTS, "score": 1.01}},
        {"slimdown": {**FACTS, "score": -0.01}},
        {"slimdown": {**FACTS, "score": "0.9"}},
        {"slimdown": {**FACTS, "specialist": "s2"}},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_is_no_answer_to_our_question_is_not_believed(changes: JsonObject) -> None:
    with pytest.raises(RuntimeUnavailable):
        reply_of(200, told(**changes), ["s1"])


@pytest.mark.parametrize("code", sorted(REFUSALS))
@pytest.mark.parametrize("status", [404, 409, 422, 503])
def test_a_refusal_keeps_its_code(code: str, status: int) -> None:
    body = msgspec.json.encode({"error": {"message": "no", "code": code}})

    assert reply_of(status, body, ["s1"]) == RuntimeRefusal(code)


def test_an_unheard_of_refusal_has_one_code_for_all() -> None:
    body = b'{"error": {"message": "no", "code": "where-is-my-parcel"}}'

    assert reply_of(400, body, ["s1"]) == RuntimeRefusal("refused")


def test_an_unheard_of_failure_is_one() -> None:
    with pytest.raises(RuntimeUnavailable, match="HTTP status 500"):
        reply_of(500, b"Internal Server Error", ["s1"])


@given(st.integers(100, 599), st.binary(max_size=40) | JSON.map(msgspec.json.encode))
def test_no_bytes_do_more_than_count_as_down(status: int, content: bytes) -> None:
    with contextlib.suppress(RuntimeUnavailable):
        assert isinstance(reply_of(status, content, ["s1"]), RuntimeRefusal)
