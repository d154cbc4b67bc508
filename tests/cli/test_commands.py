import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from slimdown.cli import app
from slimdown.testing import sample_call

Slimdown = Callable[..., tuple[int, str, str]]


def write_log(path: Path, n: int = 3, **fields: Any) -> Path:
    calls = [sample_call(f"where is parcel {i}?", session_id=f"s{i}", **fields) for i in range(n)]
    path.write_bytes(b"".join(msgspec.json.encode(call) + b"\n" for call in calls))
    return path


def test_help_names_every_verb_and_loads_nothing_heavy() -> None:
    code = (
        "import sys; from slimdown.cli import execute; code = execute(['--help']);"
        "heavy = {'torch', 'sklearn', 'scipy', 'onnxruntime', 'transformers', 'numpy'};"
        "sys.exit(code or bool(heavy & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    for command in app.app.registered_commands:
        assert command.name is not None
        assert command.name in done.stdout


@pytest.mark.parametrize("verb", [c.name for c in app.app.registered_commands])
def test_each_verb_explains_itself(slimdown: Slimdown, verb: str) -> None:
    code, out, _ = slimdown(verb, "--help")

    assert code == 0
    assert "--json" in out


def test_an_imported_log_is_listed_and_shown(slimdown: Slimdown, tmp_path: Path) -> None:
    log = write_log(tmp_path / "log.jsonl")

    assert "3 new calls" in slimdown("import", log)[1]
    assert "0 new calls, 3 known" in slimdown("import", log)[1]
    listed = slimdown("calls")[1]
    call_id = listed.splitlines()[1].split()[0]
    code, out, _ = slimdown("show", call_id)

    assert code == 0
    assert "where is parcel" in out
    assert "delivery" in out


def test_json_is_one_value_with_its_schema(
    slimdown: Slimdown, slimdown_json: Callable[..., Any], tmp_path: Path
) -> None:
    imported = slimdown_json("import", write_log(tmp_path / "log.jsonl"))
    listed = slimdown_json("calls", "--limit", 2)
    shown = slimdown_json("show", listed["calls"][0]["id"])

    assert (imported["schema"], imported["n_new"]) == ("slimdown.import/1", 3)
    assert (listed["schema"], listed["n_calls"], len(listed["calls"])) == ("slimdown.calls/1", 3, 2)
    assert shown["schema"] == "slimdown.call/1"
    assert shown["request"]["messages"][0]["role"] == "system"


def test_a_rejected_line_is_named_kept_and_stops_nothing(
    slimdown: Slimdown, slimdown_json: Callable[..., Any], tmp_path: Path
) -> None:
    log = write_log(tmp_path / "log.jsonl")
    log.write_bytes(log.read_bytes() + b"{broken\n")

    code, out, _ = slimdown("import", log)
    rejected = slimdown_json("rejects", "--raw")["rows"]

    assert code == 0
    assert "3 new calls" in out
    assert "line 4" in out
    assert rejected[0]["raw"].strip() == "{broken"
    assert "line 4" in slimdown("rejects")[1]


def test_hostile_text_cannot_reach_the_terminal(
    slimdown: Slimdown, slimdown_json: Callable[..., Any], tmp_path: Path
) -> None:
    call = sample_call("\x1b]0;owned\x07\x1b[2J [red]hello[/red]")
    (tmp_path / "log.jsonl").write_bytes(msgspec.json.encode(call) + b"\n")

    slimdown("import", tmp_path / "log.jsonl")
    _, out, _ = slimdown("show", slimdown_json("calls")["calls"][0]["id"])

    assert "\x1b" not in out
    assert "[red]hello[/red]" in out


def test_an_empty_workspace_says_what_to_do(slimdown: Slimdown, tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text("")
    code, _, err = slimdown("run")

    assert code == 2
    assert "slimdown import PATH" in err


@pytest.mark.parametrize("verb", ["calls", "tasks", "report", "rejects"])
def test_reading_where_nothing_is_fails_clearly(slimdown: Slimdown, verb: str) -> None:
    code, out, err = slimdown(verb)

    assert code in (1, 2)
    assert "slimdown import" in err
    assert "Traceback" not in out + err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["import", "nowhere.jsonl"], "does not exist"),
        (["import", "nowhere.jsonl", "--format", "word"], "does not exist"),
        (["frobnicate"], "frobnicate"),
        (["run", "--risk", "2"], "between 0 and 1"),
        (["run", "--risk", "some"], "--risk"),
        (["calls", "--limit", "0"], "--limit"),
    ],
)
def test_misuse_leaves_with_2_and_says_why(
    slimdown: Slimdown, arguments: list[str], told: str
) -> None:
    code, _, err = slimdown(*arguments)

    assert code == 2
    assert told in err


def test_a_misspelt_rung_is_refused_before_any_work(slimdown: Slimdown, tmp_path: Path) -> None:
    slimdown("import", write_log(tmp_path / "log.jsonl"))

    code, _, err = slimdown("run", "--rungs", "liner")

    assert code == 2
    assert "Did you mean 'linear'" in err


def test_an_unknown_call_is_refused(slimdown: Slimdown, tmp_path: Path) -> None:
    slimdown("import", write_log(tmp_path / "log.jsonl"))

    code, _, err = slimdown("show", "0" * 32)

    assert code == 2
    assert "0" * 32 in err


def test_the_wrong_key_leaves_with_4_and_changes_nothing(
    slimdown: Slimdown, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slimdown("import", write_log(tmp_path / "log.jsonl"))
    monkeypatch.setenv("SLIMDOWN_KEY_FILE", str(tmp_path / "other"))

    code, out, err = slimdown("calls", "--json")

    assert code == 4
    assert "key" in err
    assert msgspec.json.decode(out)["schema"] == "slimdown.error/1"


def test_the_version_is_told(slimdown: Slimdown) -> None:
    assert slimdown("--version")[1].strip() == "0.1.0"
