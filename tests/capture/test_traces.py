"""Langfuse and LiteLLM records, batch halves and stored completions, in small."""

from __future__ import annotations

import json
from typing import Any

import pytest

from slimdown.capture.batch import BatchJoin
from slimdown.capture.draft import Draft, Unusable
from slimdown.capture.recorded import completion_drafts, flywheel_drafts
from slimdown.capture.traces import langfuse_drafts, litellm_drafts, unwrapped

ASKED = [{"role": "user", "content": "?"}]
ANSWER = {"role": "assistant", "content": "!"}


def generation(**fields: Any) -> dict[str, Any]:
    made = {
        "id": "o-1",
        "traceId": "t-1",
        "type": "GENERATION",
        "startTime": "2025-01-01T00:00:00.000Z",
        "endTime": "2025-01-01T00:00:01.250Z",
        "model": "m",
        "input": json.dumps(ASKED),
        "output": json.dumps(ANSWER),
        "usageDetails": {"input": 5, "output": 2, "total": 7},
    }
    return {**made, **fields}


def drafted(record: dict[str, Any]) -> Draft:
    (draft,) = langfuse_drafts(record)
    assert isinstance(draft, Draft)
    return draft


def test_a_generation_becomes_a_call_with_times_and_tokens() -> None:
    draft = drafted(generation())
    assert draft.request == {"model": "m", "messages": ASKED}
    assert draft.response is not None
    assert draft.response["choices"] == [{"index": 0, "message": ANSWER}]
    assert draft.response["usage"]["prompt_tokens"] == 5
    assert (draft.started_at, draft.latency_ms) == ("2025-01-01T00:00:00.000Z", 1250.0)
    assert (draft.session_id, draft.source_id) == ("t-1", "o-1")


def test_an_export_with_underscores_is_read_alike() -> None:
    record = {
        "id": "o-1",
        "trace_id": "t-1",
        "type": "GENERATION",
        "start_time": "2025-01-01 00:00:00",
        "end_time": "2025-01-01 00:00:02",
        "provided_model_name": "m",
        "input": json.dumps(ASKED),
        "output": json.dumps(ANSWER),
        "usage_details": json.dumps({"input": 5, "output": 2}),
        "session_id": "s-1",
    }
    draft = drafted(record)
    assert draft.request["model"] == "m"
    assert (draft.latency_ms, draft.session_id) == (2000.0, "s-1")
    assert draft.response is not None
    assert draft.response["usage"] == {"prompt_tokens": 5, "completion_tokens": 2}


def test_the_session_of_a_trace_goes_before_its_id() -> None:
    trace = {"trace": {"id": "t", "sessionId": "s"}, "observations": [generation()]}
    assert drafted(trace).session_id == "s"


def test_a_failed_generation_keeps_its_error() -> None:
    failed = generation(level="ERROR", statusMessage="overloaded", output=None)
    assert drafted(failed).error == "overloaded"
    assert drafted(failed).response is None


def test_latency_in_seconds_stands_in_for_a_missing_end() -> None:
    assert drafted(generation(endTime=None, latency=0.5)).latency_ms == 500.0


def test_observations_of_other_types_are_no_calls() -> None:
    with pytest.raises(Unusable, match="SPAN"):
        list(langfuse_drafts(generation(type="SPAN")))
    with pytest.raises(Unusable, match="without an observation"):
        list(langfuse_drafts({"trace": {}, "observations": [generation(type="SPAN")]}))


def test_a_generation_without_input_is_told_and_the_next_is_read() -> None:
    record = {"observations": [generation(input=None), generation(id="o-2")]}
    told, read = langfuse_drafts(record)
    assert isinstance(told, Unusable)
    assert isinstance(read, Draft)


@pytest.mark.parametrize("value", ["?", '{"broken', "", 3, None, ["a"], "[" * 100_000])
def test_what_is_not_wrapped_json_stays_as_it_is(value: Any) -> None:
    assert unwrapped(value) == value


def test_json_in_text_in_text_is_unwrapped() -> None:
    assert unwrapped(json.dumps(json.dumps({"a": 1}))) == {"a": 1}


def test_a_failed_litellm_call_keeps_its_error_and_no_answer() -> None:
    record = {
        "id": "1",
        "call_type": "acompletion",
        "messages": ASKED,
        "response": {},
        "status": "failure",
        "error_str": "rate limited",
        "model_parameters": {"temperature": 0},
        "metadata": {"session_id": "s"},
    }
    (draft,) = litellm_drafts(record)
    assert isinstance(draft, Draft)
    assert (draft.error, draft.response, draft.session_id) == ("rate limited", None, "s")
    assert draft.request["temperature"] == 0


def test_a_flywheel_record_keeps_whose_workload_it_was() -> None:
    record = {
        "timestamp": 1_735_689_600,
        "workload_id": "w",
        "client_id": "c",
        "request": {"messages": ASKED},
        "response": {"choices": [{"message": ANSWER}]},
    }
    (draft,) = flywheel_drafts(record)
    assert isinstance(draft, Draft)
    assert draft.started_at == "2025-01-01T00:00:00.000Z"
    assert draft.metadata == {"workload_id": "w", "client_id": "c"}


def test_a_stored_completion_needs_its_messages() -> None:
    stored = {"id": "c", "object": "chat.completion", "created": 1, "choices": [], "model": "m"}
    with pytest.raises(Unusable, match="listed apart"):
        list(completion_drafts(stored))
    (draft,) = completion_drafts({**stored, "messages": ASKED})
    assert isinstance(draft, Draft)
    assert draft.request == {"model": "m", "messages": ASKED}
    assert draft.response == stored


def half(custom_id: str, **body: Any) -> dict[str, Any]:
    return {"custom_id": custom_id, "url": "/v1/chat/completions", "body": body}


def outcome(custom_id: str, body: Any, **fields: Any) -> dict[str, Any]:
    response = {"status_code": 200, "body": body}
    return {"id": f"b-{custom_id}", "custom_id": custom_id, "response": response, **fields}


def test_batch_halves_wait_for_each_other() -> None:
    join = BatchJoin()
    assert join.draft(half("1", messages=ASKED), "in", 1) is None
    assert join.draft(outcome("2", {"choices": []}), "out", 1) is None
    draft = join.draft(outcome("1", {"choices": [{"message": ANSWER}]}), "out", 2)
    assert draft is not None
    assert draft.request["messages"] == ASKED
    assert draft.error is None
    assert [(w.source, w.line) for w, _, _ in join.unmatched()] == [("out", 1)]


def test_a_failed_batch_call_keeps_its_error() -> None:
    join = BatchJoin()
    join.draft(half("1", messages=ASKED), "in", 1)
    failed = {"custom_id": "1", "response": None, "error": {"code": "batch_expired"}}
    draft = join.draft(failed, "out", 1)
    assert draft is not None
    assert (draft.error, draft.response) == ("batch_expired", None)


def test_a_custom_id_of_several_batches_is_not_guessed() -> None:
    join = BatchJoin()
    join.draft(half("1", messages=ASKED), "a", 1)
    join.draft(half("1", messages=[]), "b", 1)
    with pytest.raises(Unusable, match="several batch files"):
        join.draft(outcome("1", {"choices": []}), "out", 1)


def test_a_batch_of_embeddings_is_no_call() -> None:
    join = BatchJoin()
    join.draft(half("1", input="?"), "a", 1)
    with pytest.raises(Unusable, match="not a chat completion"):
        join.draft(outcome("1", {"data": []}), "out", 1)
