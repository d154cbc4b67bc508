import stat
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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


SPOILT = [b"", bytes(200), b"{}", b"[1]", b'{"sealed": 3}', b"\xff\xfe", b'{"id": "s1"']


@pytest.mark.parametrize("content", SPOILT)
@pytest.mark.parametrize("name", ["labels.json", "weights.safetensors", "manifest.json"])
def test_a_spoilt_file_is_named_and_says_what_to_do(
    tmp_path: Path, name: str, content: bytes
) -> None:
    artefact = finished(tmp_path)
    (artefact.path / name).write_bytes(content)
    read = {
        "labels.json": lambda: artefact.read_json("labels"),
        "weights.safetensors": lambda: artefact.read_tensors("weights"),
        "manifest.json": artefact.manifest,
    }

    with pytest.raises(ArtefactIncomplete, match=rf"{name} is damaged.*calls are kept.*run`"):
        read[name]()
    with pytest.raises(ArtefactIncomplete, match=name):
        artefact.verify()


@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_bit_flipped_in_any_file_is_noticed(tmp_path: Path, data: st.DataObject) -> None:
    artefact = finished(tmp_path)
    path = artefact.path / data.draw(st.sampled_from(["labels.json", "weights.safetensors"]))
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(bytes(content))

    with pytest.raises(ArtefactIncomplete, match=path.name):
        artefact.verify()


def test_a_file_that_is_gone_breaks_a_finished_folder(tmp_path: Path) -> None:
    artefact = finished(tmp_path)
    (artefact.path / "weights.safetensors").unlink()

    with pytest.raises(ArtefactIncomplete, match="delete this folder"):
        artefact.verify()


def test_files_of_one_folder_do_not_pass_for_each_other(tmp_path: Path) -> None:
    artefact = Artefact(tmp_path / "s1", SEALER)
    artefact.write_json("labels", ["refund"])
    artefact.write_json("dev", ["delivery"])
    (artefact.path / "labels.json").write_bytes((artefact.path / "dev.json").read_bytes())

    with pytest.raises(SealBroken, match="artefact/1/s1/labels"):
        artefact.read_json("labels")


def test_a_write_that_was_killed_leaves_the_last_file(tmp_path: Path) -> None:
    artefact = finished(tmp_path)
    (artefact.path / "labels.json.part").write_bytes(b"half of a f")

    assert artefact.read_json("labels") == ["refund", "delivery"]
    assert artefact.verify().id == "s1"
    artefact.write_json("labels", ["new"])
    assert artefact.read_json("labels") == ["new"]
    assert not list(artefact.path.glob("*.part"))


def test_a_name_that_starts_another_is_a_file_of_its_own(tmp_path: Path) -> None:
    artefact = finished(tmp_path)
    artefact.write_json("labels.old", 1)
    artefact.remove("labels.old")
    artefact.remove("never there")

    assert not artefact.has("labels.old")
    assert artefact.has("labels")


def test_a_folder_in_the_way_of_a_file_leaves_nothing_half_written(tmp_path: Path) -> None:
    (tmp_path / "s1").write_text("a file where the folder should be")

    with pytest.raises(OSError, match="exists"):
        Artefact(tmp_path / "s1", SEALER).write_json("labels", [])
    assert (tmp_path / "s1").read_text() == "a file where the folder should be"


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("ab\0é"), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(value=VALUES)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_json_value_is_read_back_as_it_was(tmp_path: Path, value: object) -> None:
    artefact = Artefact(tmp_path / "s1", SEALER)
    artefact.write_json("value", value)

    assert artefact.read_json("value") == value


ARRAYS = [
    np.zeros((0, 3), np.float32),
    np.array(7, np.int64),
    np.array([np.nan, np.inf, -0.0], np.float64),
    np.arange(12, dtype=np.int32).reshape(3, 4).T,
    np.arange(10, dtype=np.float16)[::3],
    np.array([True, False]),
]


@pytest.mark.parametrize("array", ARRAYS)
def test_an_array_of_any_shape_and_layout_is_read_back(
    tmp_path: Path, array: npt.NDArray[Any]
) -> None:
    artefact = Artefact(tmp_path / "s1", SEALER)
    artefact.write_tensors("weights", {"w": array})

    back = artefact.read_tensors("weights")["w"]

    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)
