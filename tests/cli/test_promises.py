"""What scripts and terminals rely on: schemas, exit codes, clean output, nothing left behind."""

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from slimdown.cli import output
from slimdown.cli.output import clean, progress_bar
from slimdown.seal import encode_key
from slimdown.settings import Settings
from slimdown.testing import INTERRUPTIBLE, sample_call
from slimdown.workspace import Workspace

Slimdown = Callable[..., tuple[int, str, str]]
SlimdownJson = Callable[..., Any]
COPYING = "slimdown.testing:CopyingRung"
HOSTILE = "\x1b]0;owned\x07\x1b[2J\r\x9b31m[red]name"
KEY = {"SLIMDOWN_KEY": encode_key(bytes(32)), "SLIMDOWN_ENCODER": "hashing"}


def write_log(path: Path, n: int = 40, system: str = "Sort this mail.") -> Path:
    calls = [
        sample_call(
            f"{i * 7919 % 1009} words {i} and {i * 31 % 97}", ("yes", "no")[i % 2], system=system
        )
        for i in range(n)
    ]
    path.write_bytes(b"".join(msgspec.json.encode(call) + b"\n" for call in calls))
    return path


@pytest.fixture
def ran(slimdown: Slimdown, tmp_path: Path) -> Path:
    """Import a small log and run; return the log."""
    log = write_log(tmp_path / "log.jsonl")
    slimdown("import", log)
    assert slimdown("run", "--rungs", COPYING)[0] == 0
    return log


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "slimdown", *map(str, arguments)]


@pytest.mark.parametrize(
    ("arguments", "schema", "keys"),
    [
        (["import", "log.jsonl"], "slimdown.import/1", {"n_files", "n_new", "n_known"}),
        (["run", "--rungs", COPYING], "slimdown.report/1", {"tasks", "saving", "notes"}),
        (["report"], "slimdown.report/1", {"tasks", "n_calls", "risk", "delta"}),
        (["tasks"], "slimdown.tasks/1", {"tasks"}),
        (["calls"], "slimdown.calls/1", {"n_calls", "calls"}),
        (["rejects"], "slimdown.rejects/1", {"rows"}),
        (["scan", "log.jsonl", "--rungs", COPYING], "slimdown.report/1", {"tasks", "n_left"}),
        (["demo", "--calls", "log.jsonl", "--rungs", COPYING], "slimdown.report/1", {"tasks"}),
    ],
)
def test_json_is_one_value_that_names_its_schema_first(
    slimdown: Slimdown, ran: Path, arguments: list[str], schema: str, keys: set[str]
) -> None:
    code, out, _ = slimdown(*arguments, "--json")

    assert code == 0
    found = msgspec.json.decode(out)
    assert next(iter(found)) == "schema"
    assert found["schema"] == schema
    assert keys <= set(found)


def test_every_listed_task_has_what_a_script_needs(slimdown_json: SlimdownJson, ran: Path) -> None:
    (task,) = slimdown_json("tasks")["tasks"]

    assert {"id", "name", "description", "kind", "template"} <= set(task)
    assert (task["kind"], task["n_calls"]) == ("label", 40)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["calls", "--workspace", "nowhere"], 1),
        (["run", "--delta", "1"], 2),
        (["show", "zzzzzzzz"], 2),
    ],
)
def test_a_failure_is_json_too_and_on_stderr_for_people(
    slimdown: Slimdown, ran: Path, arguments: list[str], code: int
) -> None:
    found, out, err = slimdown(*arguments, "--json")

    assert found == code
    told = msgspec.json.decode(out)
    assert told["schema"] == "slimdown.error/1"
    assert told["error"] in err.replace("slimdown: ", "", 1).strip()


def test_readers_go_on_while_another_writes_and_a_second_writer_leaves_with_1(
    slimdown: Slimdown, ran: Path
) -> None:
    with Workspace.open(Settings(workspace=".slimdown")):
        read = [slimdown(verb)[0] for verb in ("calls", "tasks", "report", "rejects")]
        code, _, err = slimdown("run")

    assert read == [0, 0, 0, 0]
    assert code == 1
    assert str(os.getpid()) in err


def test_flags_win_over_variables_and_variables_over_the_file(
    slimdown_json: SlimdownJson, ran: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slimdown.toml").write_text(f'risk = 0.3\ndelta = 0.2\nrungs = ["{COPYING}"]\n')
    monkeypatch.setenv("SLIMDOWN_DELTA", "0.1")

    report = slimdown_json("run")
    flagged = slimdown_json("run", "--delta", "0.15")

    assert (report["risk"], report["delta"]) == (0.3, 0.1)
    assert (flagged["risk"], flagged["delta"]) == (0.3, 0.15)
    assert report["tasks"][0]["rungs"][0]["rung"] == COPYING


def test_the_workspace_may_come_from_the_environment_and_a_flag_wins(
    slimdown_json: SlimdownJson, ran: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLIMDOWN_WORKSPACE", str(tmp_path / "other"))
    slimdown_json("import", write_log(tmp_path / "more.jsonl", n=5))

    assert slimdown_json("calls")["n_calls"] == 5
    assert slimdown_json("calls", "-w", ".slimdown")["n_calls"] == 40


def test_a_misspelt_setting_stops_every_verb_with_the_one_that_was_meant(
    slimdown: Slimdown, tmp_path: Path
) -> None:
    (tmp_path / "slimdown.toml").write_text("rsik = 0.1\n")

    code, _, err = slimdown("calls")

    assert code == 2
    assert "'risk'" in err
    assert not (tmp_path / ".slimdown").exists()


def test_the_page_is_for_its_owner_and_says_what_it_holds(
    slimdown: Slimdown, ran: Path, tmp_path: Path
) -> None:
    code, out, _ = slimdown("report", "--html", "page.html")

    assert code == 0
    assert "holds text of calls" in out
    assert (tmp_path / "page.html").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("place", ["nowhere/page.html", "log.jsonl/page.html", "."])
def test_a_page_that_cannot_be_written_leaves_the_report_in_place(
    slimdown: Slimdown, ran: Path, place: str
) -> None:
    before = ran.read_bytes()

    code, _, err = slimdown("report", "--html", place)

    assert code == 2
    assert "the report is kept in the workspace" in err
    assert ran.read_bytes() == before
    assert slimdown("report")[0] == 0


def test_a_demo_folder_that_is_a_file_is_refused(slimdown: Slimdown, ran: Path) -> None:
    code, _, err = slimdown("demo", "--folder", ran)

    assert code == 2
    assert "log.jsonl" in err


def test_a_name_made_of_hostile_text_stays_off_the_terminal(
    slimdown: Slimdown, tmp_path: Path
) -> None:
    log = write_log(tmp_path / "log.jsonl", system=f"Sort {HOSTILE} mail <script>alert(1)</script>")
    slimdown("import", log)

    told = [slimdown("run", "--rungs", COPYING), slimdown("tasks"), slimdown("calls")]
    page = tmp_path / "page.html"
    told.append(slimdown("report", "--html", page))

    assert [code for code, _, _ in told] == [0] * 4
    assert not any(c in out + err for _, out, err in told for c in "\x1b\x07\x9b\r")
    assert "<script>alert(1)" not in page.read_text()


@pytest.mark.parametrize("verb", [["import"], ["scan"], ["show"], ["calls", "-w"], ["run", "-w"]])
def test_a_hostile_argument_is_told_without_its_control_characters(
    slimdown: Slimdown, verb: list[str]
) -> None:
    code, out, err = slimdown(*verb, HOSTILE)

    assert code in (1, 2)
    assert not any(c in out + err for c in "\x1b\x07\x9b\r")


def test_clean_text_keeps_words_of_every_language_and_line_breaks() -> None:
    assert clean("Grüße, 你好 - مرحبا\n") == "Grüße, 你好 - مرحبا\n"
    assert clean("a\x00b\u202ec\x9bd\te") == "a\ufffdb\ufffdc\ufffdd\ufffde"


def test_progress_in_a_pipe_is_a_plain_line_at_most_every_few_seconds(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with progress_bar("run") as progress:
        progress(0.0, "")
        progress(0.256, f"task {HOSTILE}")
        progress(0.5, "too soon to be told")

    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("run  26%: task ")
    assert told.err.count("\n") == 1
    assert "\x1b" not in told.err


def test_progress_in_a_pipe_goes_on_after_that_time(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "PLAIN_EVERY_S", 0.0)

    with progress_bar("run") as progress:
        progress(0.1, "one")
        progress(0.2, "two")

    assert capsys.readouterr().err == "run  10%: one\nrun  20%: two\n"


def test_on_a_terminal_no_color_means_no_colour(ran: Path) -> None:
    theirs, ours = pty.openpty()
    environ = os.environ | {"TERM": "xterm-256color", "NO_COLOR": "1"}

    done = subprocess.run(command("tasks"), env=environ, stdout=ours, check=False)
    os.close(ours)

    told = os.read(theirs, 1 << 16).decode()
    os.close(theirs)
    assert done.returncode == 0
    assert "verdict" in told
    assert not any(f"\x1b[{sgr}" in told for sgr in ("3", "4", "38;", "9"))


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_reader_that_has_gone_is_no_failure(ran: Path, form: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)

    done = subprocess.run(
        command("calls", *form), stdout=write, stderr=subprocess.PIPE, check=False
    )
    os.close(write)

    assert (done.returncode, done.stderr) == (0, b"")


def test_a_log_may_come_through_standard_input(ran: Path, tmp_path: Path) -> None:
    log = write_log(tmp_path / "more.jsonl", n=45)

    done = subprocess.run(
        command("import", "-", "--json"), input=log.read_bytes(), capture_output=True, check=False
    )

    assert done.returncode == 0, done.stderr
    found = msgspec.json.decode(done.stdout)
    assert (found["n_new"], found["n_known"]) == (5, 40)


def test_a_scan_leaves_nothing_anywhere(
    slimdown: Slimdown, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    log = write_log(tmp_path / "log.jsonl")

    code, out, _ = slimdown("scan", log, "--rungs", COPYING)

    assert code == 0
    assert "Nothing was kept" in out
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["log.jsonl", "tmp"]


def test_an_interrupted_scan_leaves_nothing_and_says_so(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log.jsonl", n=300)
    (tmp_path / "tmp").mkdir()
    environ = os.environ | KEY | {"TMPDIR": str(tmp_path / "tmp")}
    asked = [sys.executable, "-c", INTERRUPTIBLE, "scan", str(log)]
    running = subprocess.Popen(asked, env=environ, stderr=subprocess.PIPE, text=True)
    assert running.stderr is not None
    running.stderr.readline()

    running.send_signal(signal.SIGINT)
    _, told = running.communicate()

    assert running.returncode == 130
    assert "Nothing was kept" in told
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_scan_of_what_is_no_log_leaves_nothing(
    slimdown: Slimdown, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "notes.txt").write_text("no log at all\n")

    code, _, err = slimdown("scan", tmp_path / "notes.txt")

    assert code == 1
    assert "notes.txt" in err
    assert list((tmp_path / "tmp").iterdir()) == []
