from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from slimdown.demo.log import write_demo_log

Slimdown = Callable[..., tuple[int, str, str]]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "help-desk.jsonl"
    write_demo_log(path, n_calls=1_500)
    return path


def test_the_loop_certifies_some_tasks_and_refuses_others(
    slimdown: Slimdown, slimdown_json: Callable[..., Any], log: Path, tmp_path: Path
) -> None:
    slimdown("import", log)

    first = slimdown_json("run", "--rungs", "linear", "--risk", "0.2")
    again = slimdown_json("run", "--rungs", "linear", "--risk", "0.2")
    code, out, _ = slimdown("report", "--html", tmp_path / "report.html")

    assert first["tasks"] == again["tasks"]
    served = {t["task"]["name"]: t["served_by"] for t in first["tasks"]}
    assert "linear" in served.values()
    assert None in served.values()
    assert code == 0
    assert "What stays with the LLM, and why" in out
    assert "<html" in (tmp_path / "report.html").read_text()
    assert "certified" in slimdown("tasks")[1]


def test_scan_keeps_nothing(slimdown: Slimdown, log: Path, tmp_path: Path) -> None:
    before = {path.name for path in tmp_path.iterdir()}

    code, out, _ = slimdown("scan", log, "--risk", "0.2")

    assert code == 0
    assert "Expected saving" in out
    assert {path.name for path in tmp_path.iterdir()} == before


def test_no_word_of_a_call_lies_open_in_the_workspace(slimdown: Slimdown, tmp_path: Path) -> None:
    log = tmp_path / "help-desk.jsonl"
    write_demo_log(log, n_calls=400)
    with log.open("ab") as file:
        file.write(b"{torn line about a lost-umbrella-4711\n")
    slimdown("import", log)
    slimdown("run", "--rungs", "linear", "--risk", "0.2")

    held = b"".join(p.read_bytes() for p in Path(".slimdown").rglob("*") if p.is_file())

    words = [b"lost-umbrella-4711", b"help desk", b"goodwill", b"priority", b"order", b"refund"]
    assert [word for word in words if word in held] == []
