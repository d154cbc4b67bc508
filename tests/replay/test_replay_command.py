"""``slimdown replay`` as it is run: from a log to answers, and to an end."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import openai
import pytest
from recordings import WORDS, asked, failed, said

from slimdown.types import Call


def log_of(folder: Path, *calls: Call) -> Path:
    path = folder / "calls.jsonl"
    path.write_bytes(b"".join(msgspec.json.encode(call) + b"\n" for call in calls))
    return path


@contextmanager
def command(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    pipe = subprocess.PIPE
    words = [sys.executable, "-m", "slimdown", "replay", *map(str, arguments)]
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def told(process: subprocess.Popen[str]) -> list[str]:
    """Return the lines up to the one that has the base URL."""
    assert process.stdout is not None
    lines = [process.stdout.readline().strip()]
    while lines[-1] and not lines[-1].startswith("Base URL"):
        lines.append(process.stdout.readline().strip())
    return lines


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_log_is_replayed_until_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    log = log_of(tmp_path, said("where?"), Call(id="unanswered", request=asked("?")))

    with command(log, "--port", 0) as process:
        first, second = told(process)
        with openai.OpenAI(base_url=second.split()[2], api_key="none") as client:
            reply = client.chat.completions.create(**asked("where?"))
        process.send_signal(number)
        rest, errors = process.communicate(timeout=20)

    assert first == "1 recorded answers, 1 calls without one."
    assert reply.choices[0].message.content == WORDS
    assert rest == "1 calls answered, 0 were not recorded.\n"
    assert (process.returncode, "Traceback" in errors) == (0, False)


def test_a_replay_ends_with_whoever_started_it(tmp_path: Path) -> None:
    with command(log_of(tmp_path, said("a")), "--port", 0, "--with-parent") as process:
        told(process)
        assert process.stdin is not None
        process.stdin.close()

        assert process.wait(timeout=20) == 0


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    log = log_of(tmp_path, said("a"))

    with command(log, "--port", 0) as first:
        port = told(first)[-1].split("/v1")[0].rpartition(":")[2]
        with command(log, "--port", port) as second:
            _, errors = second.communicate(timeout=20)

    assert second.returncode == 1
    assert f"127.0.0.1:{port} cannot be listened on" in errors
    assert "Choose another with --port" in errors


def test_a_log_without_answers_is_refused(tmp_path: Path) -> None:
    with command(log_of(tmp_path, failed("a", "cut off")), "--port", 0) as process:
        _, errors = process.communicate(timeout=20)

    assert process.returncode == 2
    assert "none of these calls has an answer to replay" in errors
