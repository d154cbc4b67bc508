"""`slimdown tail` in front of a store that goes on growing."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from slimdown.store import Store
from slimdown.testing import INTERRUPTIBLE, sample_call
from slimdown.types import Call

Slimdown = Callable[..., tuple[int, str, str]]
HOSTILE = "\x1b]0;owned\x07\x9b31m\r\nname\u202e"


def add(*calls: Call) -> None:
    with Store.open(Path(".slimdown"), os.environ, role="gateway") as store:
        store.add_live(calls)


def call(number: int, served_by: str = "upstream") -> Call:
    return sample_call(
        f"message {number}",
        id=f"call-{number:08d}",
        started_at=f"2026-11-20T12:00:{number:02d}.000Z",
        latency_ms=1234.5,
        metadata={"gateway": {"served_by": served_by}},
    )


@pytest.fixture
def following(slimdown: Slimdown) -> Iterator[subprocess.Popen[str]]:
    add(call(1))
    argv = [sys.executable, "-c", INTERRUPTIBLE, "tail"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as made:
        yield made
        made.kill()


def test_the_last_calls_are_told_a_line_each(slimdown: Slimdown) -> None:
    add(*map(call, range(20)))

    code, out, _ = slimdown("tail", "-n", "2", "--no-follow")

    assert code == 0
    first, second = out.splitlines()
    assert [line.split()[1] for line in (first, second)] == ["call-0000001", "call-0000001"]
    assert first.startswith("2026-11-20T12:00:18.000")
    for fact in ("gpt-4o-mini", "50+5 tok", "1,234 ms", "upstream", "ok"):
        assert fact in second


def test_each_line_of_json_names_its_schema(slimdown: Slimdown) -> None:
    add(call(1, served_by="f" * 64), call(2))

    _, out, _ = slimdown("tail", "--json", "--no-follow")

    rows = [msgspec.json.decode(line) for line in out.splitlines()]
    assert {row["schema"] for row in rows} == {"slimdown.tail/1"}
    assert [row["served_by"] for row in rows] == ["f" * 64, "upstream"]


def test_text_of_a_call_cannot_move_the_cursor(slimdown: Slimdown) -> None:
    plain = call(1)
    add(msgspec.structs.replace(plain, request=plain.request | {"model": HOSTILE}))

    _, out, _ = slimdown("tail", "--no-follow")

    assert out.count("\n") == 1
    assert out.strip().isprintable()


def test_a_call_without_facts_is_a_line_too(slimdown: Slimdown) -> None:
    add(Call(id="bare", request={}))

    _, out, _ = slimdown("tail", "--no-follow")

    assert out.split() == ["-", "bare", "-", "-", "tok", "-", "-", "unanswered"]


def test_where_there_is_no_workspace_it_is_said(slimdown: Slimdown) -> None:
    code, _, err = slimdown("tail")

    assert code == 1
    assert "there is no workspace" in err


def test_a_new_call_is_told_as_it_is_recorded(following: subprocess.Popen[str]) -> None:
    assert following.stdout is not None
    first = following.stdout.readline()

    add(call(2))
    second = following.stdout.readline()

    assert ("12:00:01" in first, "12:00:02" in second) == (True, True)


def test_an_interrupt_ends_it_without_a_traceback(following: subprocess.Popen[str]) -> None:
    assert following.stdout is not None and following.stderr is not None
    following.stdout.readline()

    following.send_signal(signal.SIGINT)

    assert following.wait(10) == 130
    assert "Traceback" not in following.stderr.read()


def test_it_ends_when_its_reader_has_gone(following: subprocess.Popen[str]) -> None:
    assert following.stdout is not None
    following.stdout.readline()

    following.stdout.close()

    assert following.wait(10) == 0
