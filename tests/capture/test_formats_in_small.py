"""Every log format in small, from a file on disk to calls: what is kept, and what is told."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
import zstandard

from slimdown.capture import FORMATS, Reject, read_log, read_logs, sniff
from slimdown.errors import ImportProblem
from slimdown.types import Call

USER = {"role": "user", "content": "?"}
REPLY = {"role": "assistant", "content": "!"}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
ASKED = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
USES = {"role": "assistant", "content": None, "tool_calls": [ASKED]}
TOLD = {"role": "tool", "tool_call_id": "c1", "content": "42"}
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
SEES = {"role": "user", "content": [{"type": "text", "text": "what is this?"}, PICTURE]}
CHAT = {"model": "m", "messages": [USER]}
ANSWER = {"choices": [{"index": 0, "message": REPLY, "finish_reason": "stop"}]}
TIME = "2025-01-01T00:00:00.000Z"

SAMPLES: dict[str, list[Any]] = {
    "calls": [{"request": CHAT, "response": ANSWER}],
    "flywheel": [{"request": CHAT, "response": ANSWER, "client_id": "c", "timestamp": 1}],
    "openai-batch": [
        {"custom_id": "1", "body": CHAT},
        {"custom_id": "1", "response": {"status_code": 200, "body": ANSWER}},
    ],
    "openai-stored": [{**ANSWER, "object": "chat.completion", "messages": [USER]}],
    "langfuse": [{"traceId": "t", "type": "GENERATION", "input": [USER], "output": REPLY}],
    "litellm": [{"call_type": "completion", "messages": [USER], "response": ANSWER}],
    "conversation": [{"messages": [USER, REPLY]}],
    "prompt-completion": [{"prompt": "?", "completion": "!"}],
    "sharegpt": [
        {"conversations": [{"from": "human", "value": "?"}, {"from": "gpt", "value": "!"}]}
    ],
}
"""Format -> the records of one call that asked "?" and was answered "!"."""


def read(path: Path, *records: Any, **options: Any) -> tuple[list[Call], list[Reject]]:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    rejects: list[Reject] = []
    return list(read_log(path, rejects=rejects.append, **options)), rejects


def one(path: Path, *records: Any) -> Call:
    (call,), rejects = read(path, *records)
    assert not rejects
    return call


def only_reason(path: Path, *records: Any) -> str:
    calls, (reject,) = read(path, {"request": CHAT}, *records)
    assert len(calls) == 1
    return reject.reason


def answer(call: Call) -> Any:
    assert call.response is not None
    return call.response["choices"][0]["message"]


def test_there_is_a_sample_of_each_format() -> None:
    assert {"auto", *SAMPLES} == set(FORMATS)


@pytest.mark.parametrize("name", SAMPLES)
def test_the_same_exchange_is_found_in_each_format(tmp_path: Path, name: str) -> None:
    call = one(tmp_path / "log", *SAMPLES[name])

    assert sniff(tmp_path / "log") == name
    assert call.request["messages"] == [USER]
    assert answer(call) == REPLY
    assert call.error is None


@pytest.mark.parametrize("name", SAMPLES)
def test_a_format_named_is_read_as_when_it_is_sniffed(tmp_path: Path, name: str) -> None:
    sniffed, _ = read(tmp_path / "log", *SAMPLES[name])
    named, rejects = read(tmp_path / "log", *SAMPLES[name], format=name)

    assert named == sniffed
    assert not rejects


LAYOUTS: list[Any] = [
    lambda records: json.dumps(records).encode(),
    lambda records: json.dumps(records, indent=2).encode(),
    lambda records: json.dumps({"object": "list", "data": records}).encode(),
    lambda records: "\r\n\r\n".join(map(json.dumps, records)).encode(),
    lambda records: gzip.compress(b"\xef\xbb\xbf" + "\n".join(map(json.dumps, records)).encode()),
    lambda records: zstandard.compress("\n".join(map(json.dumps, records)).encode()),
]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", SAMPLES)
def test_the_layout_of_a_file_changes_no_call_and_no_id(
    tmp_path: Path, name: str, layout: Any
) -> None:
    expected, _ = read(tmp_path / "log", *SAMPLES[name])

    (tmp_path / "log").write_bytes(layout(SAMPLES[name]))

    assert list(read_log(tmp_path / "log")) == expected


def test_a_file_may_mix_all_formats(tmp_path: Path) -> None:
    calls, rejects = read(tmp_path / "log", *(r for sample in SAMPLES.values() for r in sample))

    assert not rejects
    assert [answer(call) for call in calls] == [REPLY] * len(SAMPLES)


def test_a_named_format_that_nothing_has_is_refused_with_what_was_seen(tmp_path: Path) -> None:
    with pytest.raises(ImportProblem, match="keys completion, prompt"):
        read(tmp_path / "log", *SAMPLES["prompt-completion"], format="litellm")


def test_a_recorded_call_is_kept_untouched_with_tools_and_images(tmp_path: Path) -> None:
    request = {"tools": [TOOL], "messages": [SEES, USES, TOLD], "model": "m", "x-own": {"b": 1}}
    response = {**ANSWER, "choices": [{"index": 0, "message": USES}], "unheard_of": [None]}

    call = one(tmp_path / "log", {"request": request, "response": response})

    assert (call.request, call.response) == (request, response)
    assert list(call.request) == ["tools", "messages", "model", "x-own"]


@pytest.mark.parametrize("label", [0, False, "", [], {"intent": None}])
def test_a_label_that_is_false_is_a_label(tmp_path: Path, label: Any) -> None:
    assert one(tmp_path / "log", {"request": CHAT, "label": label}).label == label


@pytest.mark.parametrize("latency", [-1, True, "12", None, 1e12, [5]])
def test_what_is_no_latency_stays_missing(tmp_path: Path, latency: Any) -> None:
    assert one(tmp_path / "log", {"request": CHAT, "latency_ms": latency}).latency_ms is None


@pytest.mark.parametrize("time", ["soon", -1, True, [1], {"at": 1}])
def test_what_is_no_time_is_kept_as_it_was_logged(tmp_path: Path, time: Any) -> None:
    call = one(tmp_path / "log", {"request": CHAT, "started_at": time})

    assert call.started_at is None
    assert call.metadata == {"started_at_as_logged": time}


ERRORS = [
    ({"error": "refused"}, "refused"),
    ({"error": {"message": "slow down", "code": 429}}, "slow down"),
    ({"error": {"code": 429}}, "429"),
    ({"error": {"type": "server_error", "message": ""}}, "server_error"),
    ({"response": {"error": {"message": "no such model"}}}, "no such model"),
    ({"response": {**ANSWER, "error": {"message": "a warning beside an answer"}}}, None),
    ({"error": ""}, None),
    ({"error": {}}, None),
]


@pytest.mark.parametrize(("fields", "error"), ERRORS)
def test_an_error_is_told_in_its_own_words(tmp_path: Path, fields: Any, error: str | None) -> None:
    assert one(tmp_path / "log", {"request": CHAT, **fields}).error == error


def test_a_call_of_the_responses_api_is_put_into_words_of_chat(tmp_path: Path) -> None:
    image = {"type": "input_image", "image_url": "data:image/png;base64,aGk="}
    said = {"role": "user", "content": [{"type": "input_text", "text": "what is this?"}, image]}
    called = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a":1}'}
    output = {"type": "function_call_output", "call_id": "c1", "output": "42"}
    request = {"model": "m", "input": [said, called, output], "store": False}
    response = {"id": "r", "output": [called], "usage": {"input_tokens": 7, "output_tokens": 2}}

    call = one(tmp_path / "log", {"request": request, "response": response})

    first, *others = call.request["messages"]
    assert first["content"] == [{"type": "text", "text": "what is this?"}, image]
    assert others == [USES, TOLD]
    assert call.request["store"] is False
    assert answer(call) == USES
    assert call.response is not None
    assert call.response["choices"][0]["finish_reason"] == "tool_calls"
    assert call.response["usage"] == {"prompt_tokens": 7, "completion_tokens": 2}


def test_a_flywheel_record_needs_only_one_of_its_two_names(tmp_path: Path) -> None:
    call = one(tmp_path / "log", {"request": CHAT, "workload_id": "w", "timestamp": 1_735_689_600})

    assert call.metadata == {"workload_id": "w"}
    assert (call.started_at, call.response) == (TIME, None)


def batch(folder: Path, asked: list[Any], answered: list[Any]) -> tuple[list[Call], list[Reject]]:
    rejects: list[Reject] = []
    for name, records in (("input", asked), ("output", answered)):
        (folder / name).write_text("".join(json.dumps(record) + "\n" for record in records))
    paths = [folder / "input", folder / "output"]
    return list(read_logs(paths, rejects=rejects.append)), rejects


def outcome(custom_id: Any, body: Any, **fields: Any) -> dict[str, Any]:
    return {"custom_id": custom_id, "response": {"status_code": 200, "body": body}, **fields}


def test_a_batch_is_joined_across_files_in_the_order_of_its_answers(tmp_path: Path) -> None:
    asked = [{"custom_id": str(i), "body": {**CHAT, "seed": i}} for i in range(3)]
    answered = [outcome(str(i), {**ANSWER, "created": 1_735_689_600}) for i in (2, 0, 1)]

    calls, rejects = batch(tmp_path, asked, answered)

    assert not rejects
    assert [call.request["seed"] for call in calls] == [2, 0, 1]
    assert [call.metadata["custom_id"] for call in calls] == ["2", "0", "1"]
    assert {call.started_at for call in calls} == {TIME}


def test_each_batch_half_left_alone_is_told_with_its_file_line_and_text(tmp_path: Path) -> None:
    asked = [{"custom_id": "1", "body": CHAT}, {"custom_id": "2", "body": CHAT}]

    calls, rejects = batch(tmp_path, asked, [outcome("1", ANSWER), outcome("3", ANSWER)])

    assert len(calls) == 1
    assert [(Path(r.source).name, r.line) for r in rejects] == [("input", 2), ("output", 2)]
    assert [json.loads(r.raw)["custom_id"] for r in rejects] == ["2", "3"]


FAILURES = [
    ({"response": {"status_code": 400, "body": {"error": {"message": "too long"}}}}, "too long"),
    ({"response": None, "error": {"code": "batch_expired", "message": "late"}}, "late"),
    ({"response": {"status_code": 500, "body": None}}, "the batch gave no answer"),
    ({"response": {"status_code": 200, "body": "text"}}, "the batch gave no answer"),
]


@pytest.mark.parametrize(("fields", "error"), FAILURES)
def test_a_batch_call_without_answer_is_kept_with_its_error(
    tmp_path: Path, fields: Any, error: str
) -> None:
    (call,), _ = batch(tmp_path, [{"custom_id": 1, "body": CHAT}], [{"custom_id": 1, **fields}])

    assert call.error == error
    assert call.request == CHAT


def test_a_stored_completion_keeps_its_tools_metadata_and_answer(tmp_path: Path) -> None:
    stored = {**ANSWER, "object": "chat.completion", "id": "s", "created": 1_735_689_600}
    beside = {"input_messages": [SEES], "tools": [TOOL], "metadata": {"session_id": "s-1"}}

    call = one(tmp_path / "log", {**stored, **beside})

    assert call.request == {"messages": [SEES], "tools": [TOOL]}
    assert call.response == stored
    assert (call.session_id, call.started_at) == ("s-1", TIME)


def generation(**fields: Any) -> dict[str, Any]:
    return {"type": "GENERATION", "input": [USER], "output": REPLY, **fields}


def test_a_langfuse_trace_gives_its_generations_and_tells_the_one_without_input(
    tmp_path: Path,
) -> None:
    listed = [{"type": "SPAN"}, generation(id="a"), generation(id="b", input=None), "odd"]
    calls, rejects = read(tmp_path / "log", {"id": "t", "observations": listed})

    assert [call.metadata["source_id"] for call in calls] == ["a"]
    assert calls[0].session_id == "t"
    assert [reject.reason for reject in rejects] == ["a generation without its input"]


def test_a_langfuse_generation_without_output_is_a_call_without_answer(tmp_path: Path) -> None:
    call = one(tmp_path / "log", generation(traceId="t", output=None, usage=None))

    assert (call.response, call.error, call.latency_ms) == (None, None, None)


def test_tools_that_a_tracer_logs_as_messages_are_tools_of_the_request(tmp_path: Path) -> None:
    asked = [SEES, {"role": "tool", "content": TOOL}]
    call = one(tmp_path / "log", generation(traceId="t", input={"messages": asked}, output=USES))

    assert call.request == {"messages": [SEES], "tools": [TOOL]}
    assert answer(call) == USES


def test_parameters_of_a_langfuse_generation_go_into_the_request(tmp_path: Path) -> None:
    told = {"temperature": 0, "max_tokens": -1, "top_p": "null", "unheard_of": 1, "seed": 7}
    call = one(tmp_path / "log", generation(traceId="t", modelParameters=json.dumps(told)))

    assert call.request == {"messages": [USER], "temperature": 0, "seed": 7}


def litellm(**fields: Any) -> dict[str, Any]:
    return {"call_type": "acompletion", "messages": [USER], "response": ANSWER, **fields}


def test_a_litellm_payload_keeps_its_parameters_times_and_tags(tmp_path: Path) -> None:
    times = {"startTime": 1_735_689_600.0, "endTime": 1_735_689_601.25}
    whole = litellm(**times, model="m", model_parameters={"tools": [TOOL]}, request_tags=["a"])

    call = one(tmp_path / "log", whole)

    assert call.request == {"messages": [USER], "model": "m", "tools": [TOOL]}
    assert (call.started_at, call.latency_ms) == (TIME, 1250.0)
    assert call.metadata == {"call_type": "acompletion", "request_tags": ["a"]}


def test_a_litellm_failure_without_a_reason_is_still_a_failure(tmp_path: Path) -> None:
    call = one(tmp_path / "log", litellm(status="failure", error_str=None, response={}))

    assert (call.error, call.response) == ("failed", None)


@pytest.mark.parametrize("messages", [None, "", []])
def test_a_litellm_payload_whose_messages_were_not_logged_is_told(
    tmp_path: Path, messages: Any
) -> None:
    assert "without its messages" in only_reason(tmp_path / "log", litellm(messages=messages))


def test_a_conversation_carries_tool_calls_and_images_into_later_requests(tmp_path: Path) -> None:
    whole = {"messages": [SEES, USES, TOLD, REPLY], "tools": [TOOL]}

    calls, rejects = read(tmp_path / "log", whole)

    assert not rejects
    assert [call.request["messages"] for call in calls] == [[SEES], [SEES, USES, TOLD]]
    assert [answer(call) for call in calls] == [USES, REPLY]
    assert all(call.request["tools"] == [TOOL] for call in calls)


@pytest.mark.parametrize(("weight", "n_calls"), [(0, 0), (0.0, 0), (1, 1), (None, 1), (0.5, 1)])
def test_only_a_weight_of_zero_leaves_a_turn_out(tmp_path: Path, weight: Any, n_calls: int) -> None:
    record = {"messages": [USER, {**REPLY, "weight": weight}, USER, REPLY]}
    calls, _ = read(tmp_path / "log", record)

    assert len(calls) == n_calls + 1
    assert all("weight" not in m for call in calls for m in call.request["messages"])


def test_turns_of_a_conversation_have_the_times_that_stand_at_them(tmp_path: Path) -> None:
    record = {"messages": [USER, {**REPLY, "timestamp": TIME}, USER, {**REPLY, "timestamp": "?"}]}
    calls, _ = read(tmp_path / "log", record)

    assert [call.started_at for call in calls] == [TIME, None]


def test_a_preference_record_gives_the_first_completed_message_alone(tmp_path: Path) -> None:
    call = one(tmp_path / "log", {"prompt": [SEES], "completion": [USES, TOLD, REPLY]})

    assert call.request["messages"] == [SEES]
    assert answer(call) == USES


@pytest.mark.parametrize("prompt", [3, None, [], {}, [["?"]], ["?"]])
def test_a_prompt_of_an_odd_shape_is_told(tmp_path: Path, prompt: Any) -> None:
    reason = only_reason(tmp_path / "log", {"prompt": prompt, "completion": "!"})

    assert reason == "prompt and completion are neither texts nor lists of messages"


def test_sharegpt_turns_without_a_value_or_a_known_speaker_are_kept(tmp_path: Path) -> None:
    turns = [{"from": "narrator", "value": "once"}, {"from": "human"}, {"from": "bot", "value": ""}]
    call = one(tmp_path / "log", {"conversations": turns, "id": 7})

    assert call.request["messages"] == [
        {"role": "user", "content": "once"},
        {"role": "user", "content": None},
    ]
    assert answer(call) == {"role": "assistant", "content": ""}
    assert (call.session_id, call.metadata["source_id"]) == ("7", "7/2")


SILENT = [
    {"messages": [USER, TOLD]},
    {"conversations": [{"from": "human", "value": "?"}]},
    {"prompt": "?", "completion": [USER]},
]


@pytest.mark.parametrize("record", SILENT)
def test_a_conversation_without_the_model_is_told_in_each_format(
    tmp_path: Path, record: Any
) -> None:
    reason = only_reason(tmp_path / "log", record)

    assert reason == "a conversation in which the model says nothing"
