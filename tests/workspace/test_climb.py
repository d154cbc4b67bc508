"""One task up the ladder: which rung is tried, which is tested, and what the verdict says."""

from pathlib import Path

import msgspec
import pytest
from fake_rungs import reachable, trainings

from slimdown.report.model import RungReport
from slimdown.seal import Sealer
from slimdown.types import Dataset, Example, OutputKind, Slot, Task, Template
from slimdown.workspace.contender import Ladder
from slimdown.workspace.ladder import Climb, climb

PERFECT = "fake_rungs:SkilledRung@1/1/1"
GOOD = "fake_rungs:SkilledRung@.86/.86/1"
POOR = "fake_rungs:SkilledRung@.3/.3/1"
SHY = "fake_rungs:SkilledRung@1/1/.7"
BOASTING = "fake_rungs:SkilledRung@1/0/.8"
"""All right on dev, all wrong in earnest."""
OBJECTING = "fake_rungs:ObjectingRung"
FAILING = "fake_rungs:FailingRung"
TASK = Task(id="t1", name="name", description="", kind="label", template=Template((Slot("user"),)))


@pytest.fixture(autouse=True)
def notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    reachable(monkeypatch, tmp_path / "notebook")
    return tmp_path / "notebook"


def examples(split: str, n: int) -> tuple[Example, ...]:
    def example(i: int) -> Example:
        word = ("yes", "no")[i % 2]
        return Example(
            id=f"{split}{i}", input=f"{split} {i} {word}", output=word, session="", group=""
        )

    return tuple(map(example, range(n)))


def dataset(
    *, kind: OutputKind = "label", n_dev: int = 60, n_calibration: int = 120, of: str = "c"
) -> Dataset:
    return Dataset(
        task_id="t1",
        kind=kind,
        train=examples("t", 20),
        dev=examples("d", n_dev),
        calibration=examples(of, n_calibration),
    )


def quiet(_share: float, _note: str) -> None:
    pass


def climbed(folder: Path, *rungs: str, given: Dataset | None = None, risk: float = 0.1) -> Climb:
    ladder = Ladder(
        rungs=rungs, risk=risk, delta=0.05, folder=folder / "specialists", sealer=Sealer(bytes(32))
    )
    return climb(TASK, ("gpt-4o-mini", "gpt-4o"), given or dataset(), ladder, quiet)


def code(report: RungReport) -> str:
    """Return a rung's verdict in a word."""
    if report.certificate:
        return "certified"
    return report.refusal.code if report.refusal else "objection"


def codes(found: Climb) -> list[str]:
    return [code(report) for report in found.rungs]


def test_a_cheap_rung_that_promises_nearly_all_ends_the_climb(tmp_path: Path) -> None:
    found = climbed(tmp_path, PERFECT, GOOD)

    assert [report.rung for report in found.rungs] == [PERFECT]
    assert found.served_by == PERFECT


def test_the_rung_that_promises_more_on_dev_is_the_one_tested(tmp_path: Path) -> None:
    found = climbed(tmp_path, SHY, PERFECT)

    assert codes(found) == ["not_tested", "certified"]
    assert found.served_by == PERFECT
    assert found.rungs[0].refusal is not None
    assert PERFECT in found.rungs[0].refusal.reason


def test_among_equals_the_cheaper_is_tested(tmp_path: Path) -> None:
    twin = "fake_rungs:SkilledRung@1.0/1.0/.7"

    found = climbed(tmp_path, SHY, twin)

    assert codes(found) == ["certified", "not_tested"]


def test_after_a_failed_test_no_other_rung_is_tested_on_the_same_labels(tmp_path: Path) -> None:
    found = climbed(tmp_path, SHY, BOASTING)

    assert codes(found) == ["not_tested", "failed_test"]
    assert found.served_by is None


def test_a_refusal_that_read_no_label_leaves_the_test_to_the_next_rung(tmp_path: Path) -> None:
    found = climbed(tmp_path, SHY, PERFECT, given=dataset(n_calibration=20))

    assert codes(found) == ["too_few_labels", "too_few_labels"]


def test_a_rung_that_objects_says_why_and_the_next_is_tried(tmp_path: Path) -> None:
    found = climbed(tmp_path, OBJECTING, PERFECT)

    assert found.rungs[0] == RungReport(rung=OBJECTING, objection="it is Sunday.")
    assert found.served_by == PERFECT


def test_a_failed_training_is_a_refusal_with_its_cause_and_the_next_is_tried(
    tmp_path: Path,
) -> None:
    found = climbed(tmp_path, FAILING, PERFECT)

    assert codes(found) == ["training_failed", "certified"]
    assert found.rungs[0].refusal is not None
    assert "the disk is full" in found.rungs[0].refusal.reason
    assert "run it again" in found.rungs[0].refusal.reason


def test_a_hopeless_label_task_is_spared_the_dearer_rung(tmp_path: Path, notebook: Path) -> None:
    found = climbed(tmp_path, POOR, PERFECT)

    assert codes(found) == ["disagrees_too_often", "objection"]
    assert POOR in found.rungs[1].objection
    assert len(trainings(notebook)) == 1


def test_a_hopeless_object_task_still_has_the_dearer_rung_tried(tmp_path: Path) -> None:
    found = climbed(tmp_path, POOR, PERFECT, given=dataset(kind="text"))

    assert found.served_by == PERFECT


def test_all_rungs_objecting_leave_the_task_unserved(tmp_path: Path, notebook: Path) -> None:
    found = climbed(tmp_path, OBJECTING)

    assert (codes(found), found.served_by, found.timings) == (["objection"], None, {})
    assert trainings(notebook) == []


def test_an_empty_ladder_tries_nothing(tmp_path: Path) -> None:
    assert climbed(tmp_path) == Climb(rungs=())


def test_training_never_sees_calibration(tmp_path: Path, notebook: Path) -> None:
    climbed(tmp_path, PERFECT)

    assert trainings(notebook) == ["t1 0"]


def test_a_second_climb_trains_nothing_and_says_the_same(tmp_path: Path, notebook: Path) -> None:
    first = climbed(tmp_path, SHY, PERFECT)
    again = climbed(tmp_path, SHY, PERFECT)

    assert len(trainings(notebook)) == 2
    assert codes(again) == codes(first)
    assert [r.curve for r in again.rungs] == [r.curve for r in first.rungs]
    assert [r.train_seconds for r in again.rungs] == [r.train_seconds for r in first.rungs]


def test_newer_calibration_needs_no_new_training_but_a_new_certificate(
    tmp_path: Path, notebook: Path
) -> None:
    first = climbed(tmp_path, PERFECT)
    newer = climbed(tmp_path, PERFECT, given=dataset(of="newer"))

    assert len(trainings(notebook)) == 1
    before, after = first.rungs[0].certificate, newer.rungs[0].certificate
    assert before is not None
    assert after is not None
    assert before.specialist_id == after.specialist_id
    assert before.keyed_on["calibration"] != after.keyed_on["calibration"]


def test_other_dev_examples_make_another_specialist(tmp_path: Path, notebook: Path) -> None:
    climbed(tmp_path, PERFECT)
    climbed(tmp_path, PERFECT, given=dataset(n_dev=61))

    assert len(trainings(notebook)) == 2
    assert len(list((tmp_path / "specialists").iterdir())) == 2


def test_a_certificate_says_all_that_it_rests_on(tmp_path: Path) -> None:
    certificate = climbed(tmp_path, PERFECT).rungs[0].certificate

    assert certificate is not None
    assert (certificate.task_id, certificate.rung) == ("t1", PERFECT)
    assert (certificate.risk, certificate.delta) == (0.1, 0.05)
    assert certificate.k == 0
    assert certificate.n / 120 == pytest.approx(certificate.coverage)
    assert certificate.upper <= 0.1
    assert certificate.keyed_on["upstream"] == "gpt-4o-mini, gpt-4o"
    assert sorted(certificate.keyed_on) == [
        "calibration",
        "dataset",
        "specialist",
        "task",
        "template",
        "upstream",
    ]


def test_what_a_refused_rung_did_is_still_reported(tmp_path: Path) -> None:
    report = climbed(tmp_path, POOR).rungs[0]

    assert report.refusal is not None
    assert report.n_calibration == 120
    assert report.agreement == pytest.approx(0.3, abs=0.15)
    assert report.curve
    assert report.confusions[0].ours in ("not yes", "not no")
    assert report.n_bytes is not None
    assert report.n_bytes > 0


def test_without_calibration_nothing_is_timed_and_all_is_refused(tmp_path: Path) -> None:
    found = climbed(tmp_path, PERFECT, given=dataset(n_calibration=0))

    assert (codes(found), found.timings) == (["too_few_labels"], {})
    assert found.rungs[0].latency_ms is None


def test_timing_is_of_at_most_fifty_single_answers(tmp_path: Path) -> None:
    timing = climbed(tmp_path, PERFECT).timings[PERFECT]

    assert len(timing.cpu_seconds) == 50
    assert min(timing.cpu_seconds) >= 0
    assert timing.training_cpu_seconds > 0


def test_progress_never_falls_and_names_the_rung(tmp_path: Path) -> None:
    told: list[tuple[float, str]] = []
    ladder = Ladder(
        rungs=(SHY, PERFECT), risk=0.1, delta=0.05, folder=tmp_path, sealer=Sealer(bytes(32))
    )

    climb(TASK, (), dataset(), ladder, lambda share, note: told.append((share, note)))

    assert told == [(0.25, f"{SHY} learning"), (0.75, f"{PERFECT} learning")]


def test_a_climb_survives_the_way_through_the_store(tmp_path: Path) -> None:
    found = climbed(tmp_path, SHY, PERFECT)

    kept = msgspec.json.decode(msgspec.json.encode(found))

    assert msgspec.convert(kept, Climb) == found
