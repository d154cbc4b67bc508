"""``promote``, ``rollback`` and ``routes`` as people and programs use them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from slimdown.cli.promote import author, share_of
from slimdown.testing import sample_call

Slimdown = Callable[..., tuple[int, str, str]]
COPYING = "slimdown.testing:CopyingRung"


@pytest.fixture
def task(slimdown: Slimdown, slimdown_json: Callable[..., Any], tmp_path: Path) -> str:
    """Return the one task of a workspace whose specialist has no certificate."""
    log = tmp_path / "log.jsonl"
    calls = [
        sample_call(f"{word} {i}", word, id=str(i), session_id=str(i))
        for i, word in enumerate(["refund", "delivery"] * 60)
    ]
    log.write_bytes(b"".join(msgspec.json.encode(call) + b"\n" for call in calls))
    slimdown("import", log)
    report = slimdown_json("run", "--rungs", COPYING)
    [found] = report["tasks"]
    return str(found["task"]["name"])


def test_a_workspace_without_routes_says_what_to_do(slimdown: Slimdown, task: str) -> None:
    code, out, _ = slimdown("routes")

    assert code == 0
    assert "the upstream answers every call" in out
    assert "slimdown promote TASK" in out


def test_promotion_is_to_shadow_unless_told_more(slimdown: Slimdown, task: str) -> None:
    code, out, _ = slimdown("promote", task, "--reason", "to see")
    _, listed, _ = slimdown("routes")

    assert code == 0
    assert "shadows the upstream" in out
    assert "shadow" in listed
    assert "to see" in listed


@pytest.mark.parametrize("stage", ["canary", "live"])
def test_without_a_certificate_the_gate_is_not_met(
    slimdown: Slimdown, task: str, stage: str
) -> None:
    code, _, err = slimdown("promote", task, "--stage", stage)

    assert code == 3
    assert f"cannot go to {stage}" in err
    assert "No routes" in slimdown("routes")[1]


def test_a_roll_back_retires_what_had_no_route_before(slimdown: Slimdown, task: str) -> None:
    slimdown("promote", task)

    code, out, _ = slimdown("rollback", task)

    assert code == 0
    assert "retired" in out
    assert slimdown("rollback", task)[0] == 2


def test_the_history_tells_every_change(slimdown: Slimdown, task: str) -> None:
    slimdown("promote", task)
    slimdown("rollback", task, "--reason", "second thoughts")

    _, out, _ = slimdown("routes", "--history")

    assert "second thoughts" in out
    assert f"{task} shadow" in out
    assert f"{task} retired" in out


def test_programs_read_routes_as_json(slimdown_json: Callable[..., Any], task: str) -> None:
    moved = slimdown_json("promote", task)
    listed = slimdown_json("routes")
    history = slimdown_json("routes", "--history")

    assert moved["schema"] == listed["schema"] == "slimdown.routes/1"
    assert moved["version"] == 1
    assert listed["routes"][0]["route"] == moved["routes"][0]
    assert [table["version"] for table in history["history"]] == [1]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--share", "10%"),
        ("--stage", "canary", "--share", "ten"),
        ("--stage", "canary", "--share", "0"),
        ("--stage", "canary", "--share", "110%"),
        ("--stage", "canary", "--share", "nan"),
        ("--stage", "best"),
    ],
    ids=["no canary", "a word", "nothing", "too much", "no number", "no stage"],
)
def test_what_cannot_be_asked_is_a_usage_error(
    slimdown: Slimdown, task: str, arguments: tuple[str, ...]
) -> None:
    assert slimdown("promote", task, *arguments)[0] == 2


def test_a_missing_workspace_is_told(slimdown: Slimdown) -> None:
    code, _, err = slimdown("routes")

    assert code == 1
    assert "no workspace" in err


@pytest.mark.parametrize(
    ("text", "share"), [("10%", 0.1), ("0.25", 0.25), (" 7.5 %", 0.075), ("1", 1.0)]
)
def test_a_share_is_a_percentage_or_a_number(text: str, share: float) -> None:
    assert share_of(text) == pytest.approx(share)


def test_the_author_is_whoever_is_logged_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "ada")

    assert author() == "ada"
