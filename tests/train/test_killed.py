"""The real rungs, killed midway through the runner and run again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from killed_fakes import ENCODER, SCHEDULE
from small_tasks import KEY, artefact, dataset, quiet

from slimdown.artefact import Artefact
from slimdown.encoder import load_encoder
from slimdown.errors import ArtefactIncomplete, TrainingFailed
from slimdown.seams import Rung
from slimdown.testing import tiny_encoder
from slimdown.train.fields import FieldsRung
from slimdown.train.job import Job, work
from slimdown.train.linear import LinearRung
from slimdown.train.run import dev_predictions, load_specialist, specialist_id, train
from slimdown.types import DevPrediction, Manifest

pytest.importorskip("torch", reason="torch is not installed: nothing can be trained")

CITIES = ["Oslo", "Bern", "Rome", "Lima", "Cairo", "Paris", "Tunis", "Quito"]
PAIRS = [(f"to {city}", "far" if city in ("Lima", "Quito") else "near") for city in CITIES] * 4
DATASET = dataset(PAIRS, "label", dev=PAIRS[:8])


@pytest.fixture(autouse=True)
def source(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    folder = tiny_encoder(tmp_path / "tiny")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv(ENCODER, folder)
    return folder


def trained(rung: str, kept: Artefact) -> Manifest:
    return train(rung, DATASET, kept, key=KEY, progress=quiet, dataset_id="d1")


def undisturbed(rung: Rung, folder: Path) -> tuple[DevPrediction, ...]:
    return rung.train(DATASET, artefact(folder), quiet).dev


def assert_alike(ones: Any, others: Any) -> None:
    for one, other in zip(ones, others, strict=True):
        assert one.example_id == other.example_id
        assert one.prediction.output == other.prediction.output
        assert one.prediction.confidence == pytest.approx(other.prediction.confidence, abs=1e-3)


def test_a_killed_fine_tuning_goes_on_and_ends_where_it_would_have(
    source: str, tmp_path: Path
) -> None:
    kept, notes = artefact(tmp_path / "killed"), list[str]()

    with pytest.raises(TrainingFailed, match="killed by SIGKILL"):
        trained("killed_fakes:KilledFieldsRung", kept)
    assert kept.has("checkpoint")
    with pytest.raises(ArtefactIncomplete):
        load_specialist(kept)
    job = Job(
        rung="killed_fakes:KilledFieldsRung",
        path=str(kept.path),
        key=KEY,
        dataset=DATASET,
        dataset_id="d1",
        specialist_id=specialist_id("killed_fakes:KilledFieldsRung", "t", "d1"),
    )
    manifest = work(job, lambda share, note: notes.append(note))

    assert not notes[0].startswith("epoch 0")
    assert sorted(manifest.files) == [
        "dev.json",
        "encoder.safetensors",
        "fields.json",
        "heads.safetensors",
    ]
    assert trained("killed_fakes:KilledFieldsRung", kept) == manifest
    whole = undisturbed(FieldsRung(source, **SCHEDULE), tmp_path / "whole")
    assert_alike(dev_predictions(kept), whole)


def test_a_killed_fit_goes_on_in_another_process_and_ends_where_it_would_have(
    source: str, tmp_path: Path
) -> None:
    encoder, kept = load_encoder(source, threads=1), artefact(tmp_path / "killed")
    rung = LinearRung(lambda: encoder)

    with pytest.raises(TrainingFailed, match="killed by SIGKILL"):
        trained("killed_fakes:KilledLinearRung", kept)
    left = sorted(f.name for f in kept.path.iterdir())
    resumed = rung.train(DATASET, kept, quiet)

    assert left == ["checkpoint-meaning.json"]
    assert sorted(f.name for f in kept.path.iterdir()) == [
        "landmarks.json",
        "linear.json",
        "weights.safetensors",
    ]
    assert_alike(resumed.dev, undisturbed(rung, tmp_path / "whole"))


class Stopped(Exception):
    """What a test stops a training with."""


def stopped_after(share_done: float) -> Any:
    def progress(share: float, note: str) -> None:
        if share > share_done:
            raise Stopped

    return progress


def test_a_fine_tuning_stopped_again_and_again_ends_where_it_would_have(
    source: str, tmp_path: Path
) -> None:
    rung, kept = FieldsRung(source, **SCHEDULE), artefact(tmp_path / "parts")

    for share in (0.0, 0.2, 0.5, 0.8):
        with pytest.raises(Stopped):
            rung.train(DATASET, kept, stopped_after(share))
    resumed = rung.train(DATASET, kept, quiet)

    assert not kept.has("checkpoint")
    assert_alike(resumed.dev, undisturbed(rung, tmp_path / "whole"))


def test_a_fine_tuning_killed_after_its_last_file_is_made_whole(
    source: str, tmp_path: Path
) -> None:
    rung, kept = FieldsRung(source, **SCHEDULE), artefact(tmp_path / "parts")
    with pytest.raises(Stopped):
        rung.train(DATASET, kept, stopped_after(0.99))

    assert kept.has("fields")
    assert not kept.has("checkpoint")
    assert_alike(rung.train(DATASET, kept, quiet).dev, undisturbed(rung, tmp_path / "whole"))


def test_a_fit_with_an_encoder_goes_on_from_each_fold_it_has_kept(
    source: str, tmp_path: Path
) -> None:
    encoder = load_encoder(source, threads=1)
    rung, kept = LinearRung(lambda: encoder), artefact(tmp_path / "parts")
    with pytest.raises(Stopped):
        rung.train(DATASET, kept, stopped_after(0.6))

    meanings = (kept.path / "checkpoint-meaning.json").read_bytes()
    with pytest.raises(Stopped):
        rung.train(DATASET, kept, stopped_after(0.6))
    assert (kept.path / "checkpoint-meaning.json").read_bytes() == meanings
    assert_alike(rung.train(DATASET, kept, quiet).dev, undisturbed(rung, tmp_path / "whole"))


def test_a_seed_and_a_schedule_fix_the_weights(source: str, tmp_path: Path) -> None:
    rungs = [FieldsRung(source, **SCHEDULE, seed=seed) for seed in (7, 7, 8)]

    for number, rung in enumerate(rungs):
        rung.train(DATASET, artefact(tmp_path / str(number)), quiet)

    heads = [artefact(tmp_path / str(n)).read_tensors("heads")["heads.weight"] for n in range(3)]
    assert abs(heads[0] - heads[1]).max() < 1e-5
    assert abs(heads[0] - heads[2]).max() > 1e-5
