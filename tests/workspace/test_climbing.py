"""All tasks of a workspace up the ladder: side by side, again, and cut short."""

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from fake_rungs import reachable, trainings

from slimdown.errors import ArtefactIncomplete, UnknownName
from slimdown.report.model import Report
from slimdown.seal import encode_key
from slimdown.seams import Progress
from slimdown.settings import Settings
from slimdown.testing import sample_call
from slimdown.types import Call
from slimdown.workspace import Workspace

ENVIRON = {"SLIMDOWN_KEY": encode_key(bytes(32))}
PERFECT = "fake_rungs:SkilledRung@1/1/1"
SYSTEMS = ("Sort this mail.", "Rate the mood of it.", "Is it spam, yes or no?")


@pytest.fixture(autouse=True)
def notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    reachable(monkeypatch, tmp_path / "notebook")
    return tmp_path / "notebook"


def three_tasks(n: int = 180) -> Iterator[Call]:
    """Yield calls of three tasks in turn, each answered by the last word of its input."""
    for i in range(n):
        word = ("yes", "no")[i // 3 % 2]
        yield sample_call(
            f"{i * 7919 % 1009} {i} is what it says here {i * 31 % 97} {word}",
            word,
            system=SYSTEMS[i % 3],
            started_at=f"2026-01-01T{i // 60:02}:{i % 60:02}:00.000Z",
            session_id=f"s{i}",
        )


def quiet(_share: float, _note: str) -> None:
    pass


def run(folder: Path, *rungs: str, progress: Progress = quiet, risk: float = 0.3) -> Report:
    log = folder / "log.jsonl"
    log.write_bytes(b"".join(msgspec.json.encode(call) + b"\n" for call in three_tasks()))
    settings = Settings(workspace=str(folder / "w"), rungs=rungs, encoder="hashing", risk=risk)
    with Workspace.open(settings, ENVIRON) as workspace:
        workspace.import_logs([log], progress=quiet)
        return workspace.run(progress)


def refusals(report: Report) -> list[str]:
    rungs = [rung for task in report.tasks for rung in task.rungs]
    return [rung.refusal.code for rung in rungs if rung.refusal]


def is_running(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    return True


def test_each_task_has_its_own_specialist(tmp_path: Path, notebook: Path) -> None:
    report = run(tmp_path, PERFECT)

    assert [task.verdict for task in report.tasks] == ["certified"] * 3
    assert len(trainings(notebook)) == 3
    specialists = {t.certificate.specialist_id for t in report.tasks if t.certificate}
    assert specialists == {folder.name for folder in (tmp_path / "w/specialists").iterdir()}


def test_a_second_run_trains_nothing_and_reports_the_same(tmp_path: Path, notebook: Path) -> None:
    first = run(tmp_path, PERFECT)
    again = run(tmp_path, PERFECT)

    assert again.tasks == first.tasks
    assert len(trainings(notebook)) == 3


def test_another_risk_is_another_test_of_the_same_specialists(
    tmp_path: Path, notebook: Path
) -> None:
    run(tmp_path, PERFECT, risk=0.3)
    strict = run(tmp_path, PERFECT, risk=0.01)

    assert refusals(strict) == ["too_few_labels"] * 3
    assert len(trainings(notebook)) == 3


def test_a_training_that_failed_is_tried_again_by_the_next_run(
    tmp_path: Path, notebook: Path
) -> None:
    failed = run(tmp_path, "fake_rungs:FailingRung")
    assert refusals(failed) == ["training_failed"] * 3
    once = "fake_rungs:OnceFailingRung"

    first = run(tmp_path, once)
    second = run(tmp_path, once)

    assert "training_failed" in refusals(first)
    assert refusals(second) == []
    assert [task.served_by for task in second.tasks] == [once] * 3
    assert "failed" in trainings(notebook)


def test_a_misspelt_rung_is_refused_before_any_training(tmp_path: Path, notebook: Path) -> None:
    with pytest.raises(UnknownName, match="linaer"):
        run(tmp_path, PERFECT, "linaer")

    assert trainings(notebook) == []


def test_an_interrupt_ends_every_training(tmp_path: Path, notebook: Path) -> None:
    def interrupt(_share: float, note: str) -> None:
        if "learning" in note:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, "fake_rungs:EndlessRung", progress=interrupt)

    begun = trainings(notebook)
    assert begun
    assert [pid for pid in begun if is_running(pid)] == []


def test_after_an_interrupt_finished_specialists_are_kept(tmp_path: Path, notebook: Path) -> None:
    def interrupt(_share: float, note: str) -> None:
        if "EndlessRung" in note:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, "fake_rungs:SkilledRung@1/1/.5", "fake_rungs:EndlessRung", progress=interrupt)
    whole = len(list((tmp_path / "w/specialists").glob("*/manifest*")))
    before = sum(" 0" in line for line in trainings(notebook))
    run(tmp_path, "fake_rungs:SkilledRung@1/1/.5")

    assert whole >= 1
    assert sum(" 0" in line for line in trainings(notebook)) == before + 3 - whole


def test_an_altered_specialist_stops_the_run_and_is_named(tmp_path: Path) -> None:
    run(tmp_path, PERFECT, risk=0.3)
    skill = next((tmp_path / "w/specialists").rglob("skill*"))
    skill.write_bytes(b"other bytes")

    with pytest.raises(ArtefactIncomplete, match=skill.parent.name):
        run(tmp_path, PERFECT, risk=0.2)


def test_progress_stays_between_nought_and_one_and_names_the_task(tmp_path: Path) -> None:
    told: list[tuple[float, str]] = []

    report = run(tmp_path, PERFECT, progress=lambda share, note: told.append((share, note)))

    shares = [share for share, _ in told]
    assert shares == sorted(shares)
    assert shares[0] >= 0
    assert shares[-1] <= 1
    notes = {note for _, note in told}
    assert {f"{t.task.name}: {PERFECT} learning" for t in report.tasks} <= notes
