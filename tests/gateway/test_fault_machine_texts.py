"""Odd texts are kept as they are and shown safely; secrets are written nowhere in the clear."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from faulty import STREAMED, Faulty, faulty
from gateways import CHAT, ENVIRON
from own_process import own_process

from slimdown.cli import execute
from slimdown.gateway.ids import CallIds
from slimdown.testing import (
    Close,
    Reset,
    ScriptedUpstream,
    Step,
    Wait,
    answer,
    completion,
    completion_chunks,
    sse,
)
from slimdown.types import JsonObject

ODD = {
    "nul": "a\x00b",
    "controls": "".join(map(chr, range(32))) + "\x7f\x80\x9b",
    "right to left": "\u202eevil\u202c \u2067x\u2069",
    "zero width": "a\u200bb\u200dc\ufeff",
    "family": "\U0001f468\u200d\U0001f469\u200d\U0001f467\ufe0f",
    "beyond the plane": "\U0010ffff\U0001f4a9",
    "no characters": "\ufffe\uffff\ufdd0",
    "one": "x",
    "none": "",
    "blank": " \t\r\n\u2028\u2029\u00a0",
    "a mebibyte": "é" * (1 << 19),
    "colours": "\x1b[31mred\x1b[0m\x1b[2J\x1b[H",
    "a link": "\x1b]8;;https://evil.example\x1b\\here\x1b]8;;\x1b\\",
    "a title": "\x1b]0;owned\x07 \x9d0;owned\x9c",
    "a bell and back": "\x07\x08\x08\rover",
    "markup": "[bold red]x[/] [link=https://evil.example]y[/link]",
}
MESSAGES = {
    "no messages": [],
    "an empty one": [{}],
    "null content": [{"role": "user", "content": None}],
    "many turns": [{"role": "user", "content": str(i)} for i in range(5_000)],
}
KEY, PROMPT, ANSWER = "sk-canary-7f3a", "canary-prompt-b21c", "canary-answer-99de"


@pytest.fixture(scope="module")
def llm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Faulty]:
    with faulty(tmp_path_factory.mktemp("texts")) as made:
        yield made


@pytest.fixture
def shown(llm: Faulty, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Return what commands print about the gateway's workspace."""
    monkeypatch.setenv("SLIMDOWN_KEY", ENVIRON["SLIMDOWN_KEY"])

    def run(*words: str) -> str:
        capsys.readouterr()
        assert execute([*words, "--workspace", str(llm.gateway.workspace)]) == 0
        return capsys.readouterr().out

    return run


def chat(text: str, **fields: Any) -> JsonObject:
    return {**CHAT, "messages": [{"role": "user", "content": text}], **fields}


def is_safe(text: str) -> bool:
    return all(character.isprintable() or character == "\n" for character in text)


@pytest.mark.parametrize("name", ODD)
def test_f41_odd_texts_are_kept_as_they_are_and_shown_safely(
    llm: Faulty, shown: Any, name: str
) -> None:
    text = ODD[name]

    told = llm.ask(answer(completion(text)), chat(text))

    row = llm.row(told)
    assert told.json() == completion(text)
    assert (row.request, row.response) == (chat(text), completion(text))
    assert is_safe(shown("show", row.id))


@pytest.mark.parametrize("name", ODD)
def test_f41_odd_texts_in_a_stream_are_put_together_as_they_are(llm: Faulty, name: str) -> None:
    told = llm.ask(sse(completion_chunks(ODD[name])), {**STREAMED})

    row = llm.row(told)
    assert row.response is not None
    assert (row.response["choices"][0]["message"]["content"] or "") == ODD[name]


@pytest.mark.parametrize("name", MESSAGES)
def test_f41_odd_conversations_are_kept_and_shown(llm: Faulty, shown: Any, name: str) -> None:
    asked = {**CHAT, "messages": MESSAGES[name]}

    told = llm.ask(answer(completion("ok")), asked)

    assert llm.row(told).request == asked
    assert is_safe(shown("show", llm.row(told).id))


@pytest.mark.parametrize("name", ["colours", "a link", "a title", "right to left", "controls"])
def test_f42_no_part_of_a_call_reaches_the_terminal_as_a_command(
    llm: Faulty, shown: Any, name: str
) -> None:
    text = ODD[name]
    error = {"message": text, "type": text, "code": text, "param": None}
    tool = {"id": text, "type": "function", "function": {"name": text, "arguments": text}}
    messages = [{"role": text, "content": text}, {"role": "assistant", "tool_calls": [tool]}]
    asked = {"model": text, "messages": messages, "user": text, "metadata": {"session_id": text}}

    row = llm.row(llm.ask(answer({"error": error}, status=400), asked))

    lines = shown("calls", "--limit", "1000") + shown("tail", "--no-follow", "-n", "100")
    assert is_safe(shown("show", row.id) + lines)
    assert row.id[:12] in lines


def test_f41_shown_as_json_the_text_is_whole_and_the_terminal_safe(llm: Faulty, shown: Any) -> None:
    told = llm.ask(answer(completion("ok")), chat(ODD["a title"] + ODD["nul"]))

    out = shown("show", llm.row(told).id, "--json")

    assert msgspec.json.decode(out)["request"] == chat(ODD["a title"] + ODD["nul"])
    assert "\x1b" not in out
    assert "\x07" not in out


def test_f39_a_clock_that_jumps_makes_no_latency_negative_and_no_id_go_back(
    llm: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    jumps = iter([0, -86_400, 10 * 365 * 86_400, -86_400])
    real = time.time
    rows = []

    for jump in jumps:
        monkeypatch.setattr(time, "time", lambda jump=jump: real() + jump)
        rows.append(llm.row(llm.ask([Wait(0.02), *answer(completion("ok"))])))
    monkeypatch.undo()

    assert all(row.latency_ms is not None and 20 <= row.latency_ms < 20_000 for row in rows)
    assert all(row.metadata["gateway"]["ttft_ms"] > 0 for row in rows)
    assert [row.id for row in rows] == sorted(row.id for row in rows)
    assert [row.started_at is not None for row in rows] == [True] * 4


def test_f39_ids_go_on_sorting_whatever_the_clock_says() -> None:
    times = iter([10**18, 10**18 - 86_400 * 10**9, 10**18 + 10**17, 0, 2 * 10**18])
    ids = CallIds(lambda: next(times))

    starts = [ids.next()[:12] for _ in range(5)]

    assert starts == sorted(starts)


def secret_calls(process: Any, upstream: ScriptedUpstream) -> None:
    """Ask in every way that is answered, refused or broken off, secrets in all places."""
    quoting = {"error": {"message": f"{PROMPT} {KEY}", "type": "t", "code": "c", "param": PROMPT}}
    headers = {"authorization": f"Bearer {KEY}", "x-api-key": KEY, "cookie": f"a={KEY}"}
    asked = chat(PROMPT, metadata={"note": PROMPT})
    chunks = completion_chunks(ANSWER)
    ways: list[tuple[Sequence[Step], JsonObject]] = [
        (answer(completion(ANSWER)), asked),
        (sse(chunks), {**asked, "stream": True}),
        ([*sse(chunks[:-1], done=False), Wait(0.05), Close()], {**asked, "stream": True}),
        (answer(quoting, status=400), asked),
        (answer(f"<html>{ANSWER} {KEY}".encode()), asked),
        ([Reset()], asked),
    ]
    for script, body in ways:
        upstream.play(script)
        process.gateway.post(json=body, headers=headers)
    process.gateway.post(f"/v1/files/{PROMPT}?key={KEY}", json=asked, headers=headers)
    process.gateway.post(content=PROMPT.encode() + b"\x00{", headers=headers)
    process.gateway.post(json=asked, headers={**headers, "host": f"{KEY}.example"})


def test_no_key_prompt_or_answer_is_written_in_the_clear(tmp_path: Path) -> None:
    with (
        ScriptedUpstream([]) as upstream,
        own_process(tmp_path, upstream.url) as process,
    ):
        secret_calls(process, upstream)
        pages = process.gateway.get("/metrics").text + process.gateway.get("/readyz").text
        while_it_runs = everything_in(tmp_path)
        n_rows = len(process.gateway.calls())
        process.popen.terminate()
        process.ended()
        afterwards = everything_in(tmp_path)

    assert n_rows >= 7
    for secret in (KEY, PROMPT, ANSWER):
        assert secret not in pages
        assert secret not in process.said
        assert secret.encode() not in while_it_runs
        assert secret.encode() not in afterwards


def everything_in(folder: Path) -> bytes:
    """Return every byte, and every name, of all files below a folder."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    return b"".join(str(path).encode() + path.read_bytes() for path in files)
