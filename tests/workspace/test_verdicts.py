"""What a run says of logs that are small, odd or bad: a clear verdict or a clear error."""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from slimdown.errors import ImportProblem, StoreLocked, StoreUnwritable, UsageError
from slimdown.report.model import Report
from slimdown.seal import encode_key
from slimdown.settings import Settings
from slimdown.testing import INTERRUPTIBLE, sample_call
from slimdown.types import Call
from slimdown.workspace import Workspace

ENVIRON = {"SLIMDOWN_KEY": encode_key(bytes(32))}
COPYING = "slimdown.testing:CopyingRung"
TOPICS = {"delivery": "parcel", "refund": "money", "stock": "available"}
WORDS = [a + b for a in ("sun", "rain", "wind", "snow", "fog") for b in ("day", "fall", "light")]


def quiet(_share: float, _note: str) -> None:
    pass


def messages(n: int, **fields: Any) -> Iterator[Call]:
    """Yield calls about three topics, each text other words in another order, one a minute."""
    for i in range(n):
        topic, draw = list(TOPICS)[i % 3], random.Random(i)
        words = [*draw.sample(WORDS, 5), TOPICS[topic], f"n{i}"]
        draw.shuffle(words)
        known = {
            "started_at": f"2026-01-01T{i // 60:02}:{i % 60:02}:00.000Z",
            "session_id": f"s{i}",
        }
        yield sample_call(" ".join(words), topic, **(known | fields))


def settings(folder: Path, **given: object) -> Settings:
    found = {"workspace": str(folder / "w"), "rungs": (COPYING,), "encoder": "hashing"} | given
    return msgspec.convert(found, Settings)


def report_on(calls: Iterable[Call], folder: Path, **given: object) -> Report:
    log = folder / "log.jsonl"
    log.write_bytes(b"".join(msgspec.json.encode(call) + b"\n" for call in calls))
    with Workspace.open(settings(folder, **given), ENVIRON) as workspace:
        workspace.import_logs([log], progress=quiet)
        return workspace.run(quiet)


def test_a_learnable_log_of_one_task_is_certified(tmp_path: Path) -> None:
    report = report_on(messages(180), tmp_path, rungs=("linear",), risk=0.1)

    assert [task.verdict for task in report.tasks] == ["certified"]
    assert report.tasks[0].certificate is not None
    assert report.tasks[0].certificate.upper <= 0.1
    assert report.saving is not None


def test_three_calls_make_no_task(tmp_path: Path) -> None:
    report = report_on(messages(3), tmp_path)

    assert (report.n_calls, report.n_left, report.tasks) == (3, 3, ())


def test_too_few_calls_are_refused_with_the_number_missing(tmp_path: Path) -> None:
    report = report_on(messages(60), tmp_path)

    refusal = report.tasks[0].rungs[0].refusal
    assert refusal is not None
    assert refusal.code == "too_few_labels"
    assert refusal.missing_labels == 149 - report.tasks[0].n_calibration


def test_answers_at_random_are_refused(tmp_path: Path) -> None:
    calls = (msgspec.structs.replace(call, id=str(i)) for i, call in enumerate(messages(240)))
    answers = [list(TOPICS)[int.from_bytes(bytes([i * 37 % 251])) % 3] for i in range(240)]
    noisy = [
        sample_call(str(c.request["messages"][-1]["content"]), answer, started_at=c.started_at)
        for c, answer in zip(calls, answers, strict=True)
    ]

    report = report_on(noisy, tmp_path, rungs=("linear",), risk=0.1)

    assert report.tasks[0].verdict == "refused"
    refusal = report.tasks[0].rungs[0].refusal
    assert refusal is not None
    assert refusal.code in ("disagrees_too_often", "low_power")


def test_contradictory_answers_are_counted(tmp_path: Path) -> None:
    same = [
        sample_call("the very same words", answer, started_at=f"2026-01-01T00:00:{i:02}.000Z")
        for i, answer in enumerate(["delivery", "refund"] * 15)
    ]

    report = report_on([*messages(60), *same], tmp_path)

    assert sum(task.n_contradictions for task in report.tasks) == 30


def test_a_log_of_failures_alone_gives_no_task_and_says_why(tmp_path: Path) -> None:
    failed = [
        msgspec.structs.replace(call, response=None, error="HTTP 500") for call in messages(50)
    ]

    report = report_on(failed, tmp_path)

    assert not any(task.served_by for task in report.tasks)
    assert [(count.reason, count.n_calls) for count in report.set_aside] == [("failure", 50)]


def test_without_usage_or_times_the_report_says_what_it_lacks(tmp_path: Path) -> None:
    bare = []
    for call in messages(120, started_at=None, session_id=None):
        assert call.response is not None
        response = {k: v for k, v in call.response.items() if k != "usage"}
        bare.append(msgspec.structs.replace(call, response=response))

    report = report_on(bare, tmp_path)

    assert report.first_call_at is None
    assert any("no time" in note for note in report.notes)


def test_an_unknown_model_has_no_price_and_the_report_says_how_to_give_one(tmp_path: Path) -> None:
    calls = []
    for call in messages(60):
        named = {"request": call.request | {"model": "in-house-7b"}, "response": call.response}
        named["response"] = (call.response or {}) | {"model": "in-house-7b"}
        calls.append(msgspec.structs.replace(call, **named))

    report = report_on(calls, tmp_path)

    assert (report.cost_usd, report.n_unpriced) == (None, 60)
    assert any("[prices.MODEL]" in note for note in report.notes)


def test_calls_for_people_are_set_aside(tmp_path: Path) -> None:
    report = report_on(messages(60), tmp_path, human_facing=("system:name the intent",))
    named = report_on(messages(60), tmp_path, human_facing=("system:Name the intent",))

    assert {report.tasks[0].verdict, named.tasks[0].verdict} >= {"set aside"}


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    first = report_on(messages(120), tmp_path)
    again = report_on(messages(120), tmp_path)

    assert again.tasks == first.tasks


def test_new_calls_are_taken_up_and_ids_stay(tmp_path: Path) -> None:
    first = report_on(messages(120), tmp_path)
    more = report_on(messages(180), tmp_path)

    assert more.n_calls == 180
    assert more.tasks[0].task.id == first.tasks[0].task.id


def test_a_workspace_without_calls_says_what_to_do(tmp_path: Path) -> None:
    with (
        Workspace.open(settings(tmp_path), ENVIRON) as workspace,
        pytest.raises(UsageError, match="slimdown import"),
    ):
        workspace.run(quiet)


@pytest.mark.parametrize(
    "content", [b"not json at all\n", b"\xff\xfe{\x00}\x00", b"\x00" * 64, b"[" * 100_000]
)
def test_what_is_no_log_is_refused_and_nothing_stored(tmp_path: Path, content: bytes) -> None:
    log = tmp_path / "log.jsonl"
    log.write_bytes(content)

    with Workspace.open(settings(tmp_path), ENVIRON) as workspace:
        with pytest.raises(ImportProblem, match=r"log\.jsonl"):
            workspace.import_logs([log], progress=quiet)
        assert workspace.n_calls == 0


def test_an_empty_log_adds_nothing_and_is_told_as_a_reject(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_bytes(b"")

    with Workspace.open(settings(tmp_path), ENVIRON) as workspace:
        done = workspace.import_logs([log], progress=quiet)

    assert (done.n_files, done.n_new, done.n_rejected) == (1, 0, 1)
    assert "empty" in done.first_rejects[0].reason


def test_a_second_writer_is_refused_by_name(tmp_path: Path) -> None:
    with (
        Workspace.open(settings(tmp_path), ENVIRON),
        pytest.raises(StoreLocked, match=str(os.getpid())),
    ):
        Workspace.open(settings(tmp_path), ENVIRON)


def test_a_workspace_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "w").write_text("a file where the folder should be")

    with pytest.raises(StoreUnwritable):
        Workspace.open(settings(tmp_path), ENVIRON)


def test_a_killed_run_is_gone_on_with(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_bytes(b"".join(msgspec.json.encode(call) + b"\n" for call in messages(240)))
    command = [sys.executable, "-m", "slimdown", "demo", "--calls", str(log)]
    command += ["--folder", str(tmp_path / "demo"), "--rungs", "linear", "--risk", "0.1"]
    environ = os.environ | ENVIRON | {"SLIMDOWN_ENCODER": "hashing"}
    killed = subprocess.Popen(command, env=environ, stderr=subprocess.PIPE)
    assert killed.stderr is not None
    killed.stderr.readline()
    killed.send_signal(signal.SIGKILL)
    killed.communicate()

    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert "1 of 1 tasks certified" in done.stdout


def test_an_interrupt_leaves_with_130_and_a_state_to_go_on_from(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_bytes(b"".join(msgspec.json.encode(call) + b"\n" for call in messages(240)))
    command = [sys.executable, "-c", INTERRUPTIBLE, "demo", "--calls", str(log)]
    command += ["--folder", str(tmp_path / "demo"), "--rungs", "linear"]
    environ = os.environ | ENVIRON | {"SLIMDOWN_ENCODER": "hashing"}
    running = subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True)
    assert running.stderr is not None
    running.stderr.readline()
    running.send_signal(signal.SIGINT)
    _, told = running.communicate()

    assert running.returncode == 130
    assert "the same command goes on" in told
    assert "Traceback" not in told
