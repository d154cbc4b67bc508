"""The demo's agent, unchanged, against an upstream that says what it is told to say."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from slimdown.answer import answer_of, output_of
from slimdown.cli.live_figures import AgentAnswer
from slimdown.demo.log import agent_requests, demo_calls, write_split_log
from slimdown.testing import (
    Script,
    ScriptedUpstream,
    Seen,
    answer,
    completion,
    completion_chunks,
    sse,
)
from slimdown.types import Call

AGENT = Path(__file__).parents[2] / "examples" / "agent.py"
TOOLS = [{"type": "function", "function": {"name": "find", "parameters": {"type": "object"}}}]


def asked(**more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": "hi"}], **more}


def run_agent(
    folder: Path, requests: Sequence[dict[str, Any]], script: Script
) -> tuple[dict[str, AgentAnswer], list[Seen]]:
    lines = (
        msgspec.json.encode({"id": str(n), "session": "one", "request": r}) + b"\n"
        for n, r in enumerate(requests)
    )
    (folder / "requests").write_bytes(b"".join(lines))
    with ScriptedUpstream(script) as upstream:
        environ = os.environ | {"OPENAI_BASE_URL": upstream.url, "OPENAI_API_KEY": "k"}
        argv = [sys.executable, str(AGENT), str(folder / "requests"), str(folder / "answers")]
        subprocess.run(argv, env=environ, check=True, timeout=30)
    written = (folder / "answers").read_bytes().splitlines()
    answers = [msgspec.json.decode(line, type=AgentAnswer) for line in written]
    return {each.id: each for each in answers}, upstream.requests


def test_it_writes_down_whole_answers_and_streamed_ones_alike(tmp_path: Path) -> None:
    def script(seen: Seen) -> Any:
        streams = seen.json.get("stream")
        return sse(completion_chunks("on its way")) if streams else answer(completion("on its way"))

    found, seen = run_agent(tmp_path, [asked(), asked(stream=True)], script)

    assert [request.json.get("stream") for request in seen] == [None, True]
    assert [(found[n].message or {}).get("content") for n in "01"] == ["on its way"] * 2
    assert {found[n].finish_reason for n in "01"} == {"stop"}
    assert all(each.ms > 0 for each in found.values())


def test_it_puts_streamed_tool_calls_together(tmp_path: Path) -> None:
    pieces = [
        {"index": 0, "id": "a", "type": "function", "function": {"name": "find", "arguments": ""}},
        {"index": 0, "function": {"arguments": '{"order":'}},
        {"index": 0, "function": {"arguments": ' "SO-1"}'}},
    ]
    chunks = [
        {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        | {"choices": [{"index": 0, "delta": {"tool_calls": [piece]}, "finish_reason": None}]}
        for piece in pieces
    ]

    found, _ = run_agent(tmp_path, [asked(stream=True, tools=TOOLS)], sse(chunks))

    call = Call(id="0", request={}, response={"choices": [{"message": found["0"].message}]})
    said = answer_of(call)
    assert said and output_of("tool", said) == [{"name": "find", "arguments": {"order": "SO-1"}}]


@pytest.mark.parametrize("status", [429, 500])
def test_it_writes_down_a_failure_and_goes_on(tmp_path: Path, status: int) -> None:
    refusal = answer({"error": {"message": "no", "type": "t", "code": None}}, status)

    found, seen = run_agent(tmp_path, [asked(), asked()], refusal)

    assert [found[n].error != "" for n in "01"] == [True, True]
    assert len(seen) == 2


def test_the_newest_calls_are_apart_and_no_session_is_on_both_sides(tmp_path: Path) -> None:
    older, newer = tmp_path / "older", tmp_path / "newer"

    counts = write_split_log(older, newer, n_older=100, n_newer=30)

    first, second = (
        [msgspec.json.decode(line, type=Call) for line in path.read_bytes().splitlines()]
        for path in (older, newer)
    )
    assert counts == (len(first), len(second))
    assert sum(counts) == 130 and counts[0] >= 100
    assert not {call.session_id for call in first} & {call.session_id for call in second}
    assert [*first, *second] == list(demo_calls(130))


def test_one_in_four_of_the_agents_requests_streams() -> None:
    calls = list(demo_calls(40))

    entries = list(agent_requests(calls))

    assert [entry["id"] for entry in entries] == [call.id for call in calls]
    assert sum("stream" in entry["request"] for entry in entries) == 10
    assert "stream" not in calls[3].request
