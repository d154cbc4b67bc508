"""Which recorded answer a request gets."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from recordings import asked, failed, recorded_call, said

from slimdown.replay.index import ReplayIndex
from slimdown.testing import completion
from slimdown.types import Call, JsonObject


def text_of(index: ReplayIndex, request: JsonObject) -> str | None:
    found = index.find(request)
    if found is None:
        return None
    text: str = msgspec.json.decode(found.body)["choices"][0]["message"]["content"]
    return text


def test_several_answers_come_in_recorded_order_and_then_again() -> None:
    index = ReplayIndex([said("a", "1"), said("a", "2"), said("b", "3"), said("a", "4")])

    told = [text_of(index, asked("a")) for _ in range(7)]

    assert told == ["1", "2", "4", "1", "2", "4", "1"]


def test_streams_and_plain_answers_take_turns_with_each_other() -> None:
    index = ReplayIndex([said("a", "1"), said("a", "2")])

    told = [text_of(index, asked("a", stream=stream)) for stream in (True, False)]

    assert told == ["1", "2"]


def test_the_asked_models_own_answer_comes_first() -> None:
    large = recorded_call(asked("a", model="large"), completion("from large"))
    index = ReplayIndex([said("a", "from mini"), large])

    assert text_of(index, asked("a", model="large")) == "from large"
    assert text_of(index, asked("a")) == "from mini"


@pytest.mark.parametrize(("checked", "told"), [(False, "from mini"), (True, None)])
def test_another_models_answer_is_given_unless_models_are_checked(
    checked: bool, told: str | None
) -> None:
    index = ReplayIndex([said("a", "from mini")], model_check=checked)

    assert text_of(index, asked("a", model="large")) == told


def test_a_call_of_no_known_model_answers_for_any() -> None:
    request = {"messages": asked("a")["messages"]}
    index = ReplayIndex([recorded_call(request, completion("any"))], model_check=True)

    assert text_of(index, asked("a")) == "any"


def test_the_nearest_answer_is_never_an_error() -> None:
    calls = [failed("cancel my order", "500 failed"), said("where is it", "there")]
    index = ReplayIndex(calls, nearest=True)

    assert text_of(index, asked("cancel my order now")) == "there"


def test_the_nearest_answer_has_the_same_system_text() -> None:
    system: Any = {"role": "system", "content": "Other rules."}
    index = ReplayIndex([said("a")], nearest=True)

    assert index.find({"messages": [system, *asked("a")["messages"]]}) is None


UNANSWERED = [
    Call(id="no answer", request=asked("a")),
    Call(id="no choice", request=asked("a"), response={"choices": []}),
    Call(id="no messages", request={"input": "a"}, response=completion("x")),
    said("a", error="client_disconnected", metadata={"gateway": {"status": 200}}),
    said("a", error="upstream_truncated"),
]


def test_calls_without_a_whole_answer_are_counted_and_not_replayed() -> None:
    index = ReplayIndex([*UNANSWERED, said("b")])

    assert (index.n_answers, index.n_skipped) == (1, len(UNANSWERED))
    assert index.find(asked("a")) is None


FAILURES = [
    (failed("a", "429 rate limit reached"), 429),
    (failed("a", "upstream_status_503: overloaded"), 503),
    (failed("a", "refused", metadata={"http_status": 400}), 400),
    (failed("a", "slow", metadata={"gateway": {"status": 529}}), 529),
]


@pytest.mark.parametrize(("call", "status"), FAILURES, ids=[status for _, status in FAILURES])
def test_a_failure_is_replayed_where_its_status_is_known(call: Call, status: int) -> None:
    found = ReplayIndex([call]).find(asked("a"))

    assert found is not None
    assert found.status == status
    assert msgspec.json.decode(found.body)["error"]["message"] == call.error


def test_a_recorded_error_object_is_kept_as_it_was() -> None:
    error = {"message": "too long", "type": "invalid_request_error", "code": "context_length"}
    index = ReplayIndex([recorded_call(asked("a"), {"error": error}, error="400 too long")])

    found = index.find(asked("a"))

    assert found is not None
    assert msgspec.json.decode(found.body) == {"error": error}
