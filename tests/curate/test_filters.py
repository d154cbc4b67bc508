from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slimdown.curate.filters import CurationRules, checks, objection, system_text
from slimdown.errors import UsageError
from slimdown.testing import sample_call
from slimdown.types import Call, Dropped, JsonObject

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


def verdict(call: Call, **rules: Any) -> Dropped | None:
    return objection(call, checks(CurationRules(**rules)))[1]


def reason(call: Call, **rules: Any) -> str | None:
    dropped = verdict(call, **rules)
    return dropped.reason if dropped else None


def finished(why: str, content: str | None = "x") -> JsonObject:
    return {"choices": [{"message": {"content": content}, "finish_reason": why}]}


def asking(content: Any, **rest: Any) -> JsonObject:
    return {"messages": [{"role": "user", "content": content}], **rest}


def test_a_plain_call_is_kept() -> None:
    assert verdict(sample_call()) is None


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"error": "upstream_truncated"}, "failure"),
        ({"metadata": {"http_status": 429}}, "failure"),
        ({"response": None}, "failure"),
        ({"response": {"error": {"message": "no"}}}, "failure"),
        ({"response": {"choices": []}}, "failure"),
        ({"response": finished("length")}, "truncated"),
        ({"response": finished("content_filter", None)}, "truncated"),
        ({"response": finished("stop", " ")}, "empty"),
        ({"response": finished("stop", "I can't assist with that.")}, "refusal"),
        ({"request": {"input": "x"}}, "unsupported"),
        ({"request": asking("x", n=2)}, "unsupported"),
        ({"request": asking([{"type": "image_url"}])}, "unsupported"),
        ({"request": asking("x", modalities=["text", "audio"])}, "unsupported"),
        ({"request": asking("x", response_format={"type": "json_object"})}, "contract_violation"),
        ({"metadata": {"gateway": {"served_by": "spec-1"}}}, "specialist_answer"),
        ({"metadata": {"gateway": {"served_by": "upstream"}}}, None),
        ({"metadata": {"gateway": "front"}}, None),
        ({"metadata": {"audience": "human"}}, "human_facing"),
        ({"metadata": {"x-slimdown-audience": "human"}}, "human_facing"),
        ({"request": asking([{"type": "text", "text": "x"}], n=1)}, None),
    ],
)
def test_each_reason_sets_its_calls_aside(fields: JsonObject, why: str | None) -> None:
    assert reason(sample_call(**fields)) == why


def test_a_refusal_by_the_api_is_not_taken_for_emptiness() -> None:
    message = {"content": None, "refusal": "I'm sorry."}

    assert reason(sample_call(response={"choices": [{"message": message}]})) == "refusal"


def test_outcome_rules_hold_where_the_outcome_is_known() -> None:
    rules = {"outcomes": ("reward>=1", "success=true")}

    assert verdict(sample_call(metadata={"reward": 1}), **rules) is None
    failed = verdict(sample_call(metadata={"reward": 1, "success": False}), **rules)
    assert failed is not None
    assert (failed.reason, failed.detail) == ("outcome", "success=true")


def test_human_facing_calls_are_found_by_prompt_or_metadata() -> None:
    rules = {"human_facing": ("system:friendly assistant", "app=chat")}
    by_prompt = sample_call(system="You are a friendly assistant.")

    assert reason(by_prompt, **rules) == "human_facing"
    assert reason(sample_call(metadata={"app": "chat"}), **rules) == "human_facing"
    assert reason(sample_call(), **rules) is None


def test_a_call_that_says_machine_is_spared_the_rules() -> None:
    call = sample_call(metadata={"app": "chat", "audience": "machine"})

    assert reason(call, human_facing=("app=chat",)) is None


def test_human_facing_calls_are_kept_if_asked() -> None:
    call = sample_call(metadata={"audience": "human"})

    assert reason(call, keep_human_facing=True) is None


def test_a_malformed_rule_is_refused_before_any_call_is_read() -> None:
    with pytest.raises(UsageError, match="no comparison"):
        checks(CurationRules(outcomes=("good",)))
    with pytest.raises(UsageError, match="no comparison"):
        checks(CurationRules(human_facing=("chat",)))


def test_the_developer_message_is_system_text() -> None:
    messages = [{"role": "developer", "content": "a"}, {"role": "user", "content": "b"}]

    assert system_text({"messages": messages}) == "a"


@given(ANYTHING, ANYTHING)
def test_no_call_makes_it_stumble(a: Any, b: Any) -> None:
    for request in ({"messages": a, "n": b}, asking(a, modalities=b, response_format=a)):
        response = {"choices": [{"message": a, "finish_reason": b}]}
        for answered in (response, {"choices": a}, {"choices": b, "error": a}):
            metadata = {"http_status": a, "audience": b}
            verdict(sample_call(request=request, response=answered, metadata=metadata))
