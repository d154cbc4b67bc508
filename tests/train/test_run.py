from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from slimdown.artefact import Artefact
from slimdown.errors import ArtefactIncomplete, TrainingFailed, UnknownName
from slimdown.seal import KEY_BYTES, Sealer
from slimdown.train.run import dev_predictions, load_specialist, specialist_id, train
from slimdown.types import Dataset, Example, Manifest

KEY = bytes(range(KEY_BYTES))
COPYING = "slimdown.testing:CopyingRung"
SECRET = "my card 4929 was eaten"


@pytest.fixture(autouse=True)
def _fakes_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))


def _example(text: str, output: str) -> Example:
    return Example(id=text, input=text, output=output, session=text, group=text)


DATASET = Dataset(
    task_id="t1",
    kind="label",
    train=(_example(SECRET, "card"), _example("hello", "greet")),
    dev=(_example("hello", "greet"), _example("new", "other")),
    calibration=(),
)


def _artefact(tmp_path: Path) -> Artefact:
    return Artefact(tmp_path / "specialist", Sealer(KEY))


def _train(rung: str, artefact: Artefact, notes: list[str] | None = None) -> Manifest:
    def progress(share: float, note: str) -> None:
        if notes is not None:
            notes.append(note)

    return train(rung, DATASET, artefact, key=KEY, progress=progress, dataset_id="d1")


def test_a_trained_specialist_loads_and_answers(tmp_path: Path) -> None:
    artefact = _artefact(tmp_path)
    manifest = _train(COPYING, artefact)
    assert manifest.id == specialist_id(COPYING, "t1", "d1")
    assert manifest.n_train == 2
    assert [p.output for p in load_specialist(artefact).answer(["hello", "?"])] == ["greet", None]


def test_predictions_for_dev_come_back_as_they_were_left(tmp_path: Path) -> None:
    artefact = _artefact(tmp_path)
    _train(COPYING, artefact)
    kept = dev_predictions(artefact)
    assert [(d.example_id, d.prediction.output) for d in kept] == [
        ("hello", "greet"),
        ("new", None),
    ]


def test_progress_comes_back_from_the_child(tmp_path: Path) -> None:
    notes: list[str] = []
    _train(COPYING, _artefact(tmp_path), notes)
    assert notes == ["copying"]


def test_a_whole_folder_is_returned_without_training_again(tmp_path: Path) -> None:
    artefact = _artefact(tmp_path)
    first, notes = _train(COPYING, artefact), list[str]()
    assert _train(COPYING, artefact, notes) == first
    assert notes == []


def test_a_folder_of_other_inputs_is_refused_and_kept(tmp_path: Path) -> None:
    artefact = _artefact(tmp_path)
    first = _train(COPYING, artefact)
    with pytest.raises(TrainingFailed, match="other examples"):
        _train("training_fakes:RefusingRung", artefact)
    assert artefact.verify() == first


def test_an_altered_folder_is_refused(tmp_path: Path) -> None:
    artefact = _artefact(tmp_path)
    _train(COPYING, artefact)
    (artefact.path / "answers.json").write_bytes(b"{}")
    with pytest.raises(ArtefactIncomplete, match=r"answers\.json"):
        load_specialist(artefact)


def test_a_killed_child_is_told_with_its_signal_and_resumes(tmp_path: Path) -> None:
    artefact = _artefact(tmp_path)
    with pytest.raises(TrainingFailed, match=r"SIGKILL .*memory.*giving up.*kept"):
        _train("training_fakes:KilledOnceRung", artefact)
    assert artefact.has("checkpoint") and artefact.manifest() is None
    _train("training_fakes:KilledOnceRung", artefact)
    assert not artefact.has("checkpoint") and artefact.manifest() is not None


def test_an_unexpected_error_names_its_type_and_place_but_no_payload(tmp_path: Path) -> None:
    with pytest.raises(TrainingFailed, match=r"ValueError at .*training_fakes\.py") as caught:
        _train("training_fakes:LeakyRung", _artefact(tmp_path))
    assert "4929" not in str(caught.value)


def test_a_cause_that_the_rung_tells_reaches_the_user(tmp_path: Path) -> None:
    with pytest.raises(TrainingFailed, match="the loss is not a number"):
        _train("training_fakes:RefusingRung", _artefact(tmp_path))


def test_an_interrupt_ends_the_child_and_leaves_no_manifest(tmp_path: Path) -> None:
    pids: list[int] = []

    def interrupt(share: float, note: str) -> None:
        pids.append(int(note))
        raise KeyboardInterrupt

    artefact = _artefact(tmp_path)
    rung = "training_fakes:SleepingRung"
    with pytest.raises(KeyboardInterrupt):
        train(rung, DATASET, artefact, key=KEY, progress=interrupt, dataset_id="d1")
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)
    assert artefact.manifest() is None


def test_calibration_never_reaches_the_training_process(tmp_path: Path) -> None:
    whole = msgspec.structs.replace(DATASET, calibration=DATASET.dev)
    rung, artefact = "training_fakes:CountingRung", _artefact(tmp_path)
    manifest = train(
        rung, whole, artefact, key=KEY, progress=lambda _share, _note: None, dataset_id="d1"
    )
    assert manifest.facts == {"sizes": [2, 2, 0]}


def test_an_unknown_rung_starts_no_process(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="linear"):
        _train("linaer", _artefact(tmp_path))


def test_no_word_of_the_examples_lies_open_on_disk(tmp_path: Path) -> None:
    _train(COPYING, _artefact(tmp_path))
    for file in (tmp_path / "specialist").iterdir():
        assert b"4929" not in file.read_bytes()
