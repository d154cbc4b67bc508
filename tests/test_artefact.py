import stat
from pathlib import Path

import numpy as np
import pytest

from slimdown.artefact import Artefact
from slimdown.errors import ArtefactIncomplete, SealBroken
from slimdown.seal import Sealer
from slimdown.types import Manifest

SEALER = Sealer(bytes(32))


def manifest() -> Manifest:
    return Manifest(
        id="s1",
        rung="linear",
        task_id="t1",
        kind="label",
        dataset_id="d1",
        files={},
        train_seconds=1.0,
        n_train=10,
        created_at="2026-01-01T00:00:00Z",
    )


def finished(folder: Path) -> Artefact:
    artefact = Artefact(folder / "s1", SEALER)
    artefact.write_json("labels", ["refund", "delivery"])
    artefact.write_tensors("weights", {"w": np.eye(2, dtype=np.float32)})
    artefact.finish(manifest())
    return artefact


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    artefact = finished(tmp_path)

    assert artefact.read_json("labels") == ["refund", "delivery"]
    assert artefact.read_tensors("weights")["w"].tolist() == [[1, 0], [0, 1]]
    assert set(artefact.verify().files) == {"labels.json", "weights.safetensors"}


def test_words_are_sealed_and_files_are_the_owners_alone(tmp_path: Path) -> None:
    artefact = finished(tmp_path)

    files = list(artefact.path.iterdir())

    assert not any(b"refund" in file.read_bytes() for file in files)
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert artefact.n_bytes == sum(file.stat().st_size for file in files)


def test_a_folder_without_manifest_is_unfinished(tmp_path: Path) -> None:
    artefact = Artefact(tmp_path / "s1", SEALER)
    artefact.write_json("labels", [])

    assert artefact.manifest() is None
    with pytest.raises(ArtefactIncomplete, match="did not finish"):
        artefact.verify()


def test_a_changed_file_is_named(tmp_path: Path) -> None:
    artefact = finished(tmp_path)
    (artefact.path / "weights.safetensors").write_bytes(b"changed")

    with pytest.raises(ArtefactIncomplete, match=r"weights\.safetensors differ"):
        artefact.verify()


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    artefact = Artefact(tmp_path / "s1", SEALER)

    assert not artefact.has("labels")
    with pytest.raises(ArtefactIncomplete):
        artefact.read_json("labels")
    with pytest.raises(ArtefactIncomplete):
        artefact.read_tensors("weights")


def test_a_file_of_another_specialist_does_not_open(tmp_path: Path) -> None:
    artefact = finished(tmp_path)
    other = artefact.path.rename(tmp_path / "s2")

    with pytest.raises(SealBroken):
        Artefact(other, SEALER).read_json("labels")


def test_removing_a_checkpoint_leaves_the_rest(tmp_path: Path) -> None:
    artefact = finished(tmp_path)
    artefact.remove("weights")

    assert artefact.has("labels")
    assert not artefact.has("weights")
