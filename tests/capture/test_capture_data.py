"""Real logs, read by path: every recorded call, and the native files they were made from."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from slimdown.capture import Reject, read_log, read_logs, sniff
from slimdown.errors import ImportProblem
from slimdown.types import Call

DATA = Path(os.environ.get("SLIMDOWN_DATA") or Path(__file__).parents[3] / "shared" / "data")

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"no recorded calls in {DATA}; set SLIMDOWN_DATA to their folder"
)

COUNTS = {
    "azure_rag_runs": 800,
    "bfcl_2024_08": 1_700 * 14,
    "clinc150": 23_700,
    "extractgpt_ae110k": 524 * 5,
    "genegpt_codex": 1_353 + 1_244,
    "ocats_banking77": 3_080 * 3 + 1_001,
    "openai_batch": 68,
    "pot_tatqa": 1_667 * 3,
    "restaurant8k_slots": 11_929,
    "routellm_pairs": 1_319 * 2 + 320,
    "snips_slots": 14_484,
    "tau_bench_airline": 2_454 + 1_490,
    "text2cypher": 6_912 + 4_970,
    "vcr_cassettes": 2_953,
}
"""Folder -> its recorded calls."""

GENERATIONS = {
    "agno-2025-06-11": 4,
    "autogen-2025-06-06": 1,
    "beeai-2025-08-01": 3,
    "claude-agent-2025-12-22": 4,
    "csharp-agent-with-gemini-2026-03-09": 3,
    "google-adk-2025-08-28": 2,
    "langgraph-python-2025-08-22": 2,
    "openai-agents-2025-09-30": 2,
    "pydantic-ai-tools-2025-12-04": 4,
    "vertex-ai-2025-08-01": 1,
}
"""Langfuse trace -> its generations that have an input."""


def read(*paths: Path) -> tuple[list[Call], list[Reject]]:
    rejects: list[Reject] = []
    return list(read_logs(paths, rejects=rejects.append)), rejects


@pytest.mark.parametrize("folder", COUNTS)
def test_every_recorded_call_is_read_and_none_twice(folder: str) -> None:
    rejects: list[Reject] = []
    files = sorted((DATA / folder).glob("calls*.jsonl*"))
    ids = {call.id for call in read_logs(files, rejects=rejects.append)}
    assert not rejects
    assert len(ids) == COUNTS[folder]


def test_recorded_calls_of_one_trajectory_share_a_session() -> None:
    calls = list(read_log(DATA / "tau_bench_airline" / "calls_agent.jsonl.gz"))
    assert {call.session_id for call in calls} == {call.metadata["trajectory"] for call in calls}
    assert len({call.session_id for call in calls}) == 200


def test_batch_files_are_joined_in_either_order() -> None:
    native = DATA / "openai_batch" / "native"
    asked = native / "navirag-scene-graph__batch_input.jsonl"
    answered = native / "navirag-scene-graph__batch_output.jsonl"
    forward, rejects = read(asked, answered)
    backward, _ = read(answered, asked)
    assert len(forward) == 65
    assert not rejects
    assert {call.id for call in forward} == {call.id for call in backward}


def test_joined_batch_calls_are_those_that_were_recorded() -> None:
    native, rejects = read(DATA / "openai_batch" / "native")
    recorded = list(read_log(DATA / "openai_batch" / "calls_navirag-scene-graph.jsonl"))
    asked = {str(call.request["messages"]): call.response for call in native}
    assert not rejects
    assert all(str(call.request["messages"]) in asked for call in recorded)


def test_a_batch_input_alone_is_told_line_by_line() -> None:
    calls, rejects = read(DATA / "openai_batch" / "native" / "groq-demo__batch_input.jsonl")
    assert not calls
    assert [reject.line for reject in rejects] == [1, 2, 3]
    assert "without its output" in rejects[0].reason


def test_native_trajectories_give_the_calls_that_were_recorded_from_them() -> None:
    native = list(read_log(DATA / "tau_bench_airline" / "native" / "gpt-4o-airline.json.gz"))
    recorded = list(read_log(DATA / "tau_bench_airline" / "calls_agent.jsonl.gz"))
    assert len(native) == 2_454
    assert [c.request["messages"] for c in native] == [c.request["messages"] for c in recorded]


@pytest.mark.parametrize("name", GENERATIONS)
def test_each_generation_of_a_langfuse_trace_is_a_call(name: str) -> None:
    file = DATA / "trace_formats" / "langfuse" / f"{name}.trace.json.gz"
    calls, _ = read(file)
    assert sniff(file) == "langfuse"
    assert len(calls) == GENERATIONS[name]
    assert all(call.session_id and call.started_at and call.latency_ms for call in calls)
    assert all(call.request["messages"] for call in calls)


def test_a_langfuse_generation_keeps_tools_system_prompt_and_tokens() -> None:
    folder = DATA / "trace_formats" / "langfuse"
    (first, *_), _ = read(folder / "langgraph-python-2025-08-22.trace.json.gz")
    assert [tool["function"]["name"] for tool in first.request["tools"]] == ["Web-Search"]
    (agent, *_), _ = read(folder / "openai-agents-2025-09-30.trace.json.gz")
    assert agent.request["messages"][0]["role"] == "system"
    assert agent.response is not None
    assert agent.response["usage"]["prompt_tokens"] > 0


def test_every_swe_agent_trajectory_gives_its_turns() -> None:
    calls, rejects = read(DATA / "trace_formats" / "swe_agent")
    assert {reject.line for reject in rejects} == {0}  # the licence beside the trajectories
    assert len(calls) > 200
    assert all(call.request["messages"][0]["role"] == "system" for call in calls)


def test_a_litellm_payload_is_a_call_with_its_times() -> None:
    (call,), _ = read(DATA / "trace_formats" / "litellm" / "standard_logging_payload.sample.json")
    assert call.started_at == "2025-01-24T09:20:46.847Z"
    assert call.latency_ms == pytest.approx(4.583)
    assert call.request["model"] == "gpt-4o"


def test_responses_become_chat_completions() -> None:
    calls = list(read_log(DATA / "vcr_cassettes" / "calls_openai_responses_native.jsonl.gz"))
    answered = [call for call in calls if call.response and call.response.get("choices")]
    assert len(answered) > 400
    assert all(isinstance(call.request["messages"], list) for call in calls)


def test_failed_calls_are_kept_with_their_error() -> None:
    calls = read_log(DATA / "vcr_cassettes" / "calls_chat_completions.jsonl.gz")
    failed = [call for call in calls if (call.metadata.get("http_status") or 200) >= 400]
    assert failed
    assert all(call.error for call in failed)


@pytest.mark.parametrize("folder", ["trace_formats/inspect_ai", "trace_formats/poke_llm"])
def test_logs_of_unknown_formats_are_refused_with_what_was_seen(folder: str) -> None:
    for file in sorted((DATA / folder).glob("*.gz")):
        with pytest.raises(ImportProblem, match="Nothing of it was stored"):
            list(read_log(file))
