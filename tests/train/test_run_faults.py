"""The runner when the child dies, talks, or is left alone, and when its folder was changed."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_tasks import KEY, artefact, dataset, quiet

from slimdown.artefact import Artefact
from slimdown.errors import ArtefactIncomplete, SealBroken, SlimdownError, TrainingFailed
from slimdown.train.job import Job, Report, work
from slimdown.train.run import dev_predictions, load_specialist, specialist_id, train
from slimdown.types import Manifest

COPYING = "slimdown.testing:CopyingRung"
DATASET = dataset(
    [("my card 4929 was eaten", "card"), ("hello", "greet")],
    "label",
    dev=[("hello", "greet"), ("new", "other")],
)


@pytest.fixture(autouse=True)
def _fakes_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))


def trained(rung: str, kept: Artefact, threads: int | None = None) -> Manifest:
    return train(rung, DATASET, kept, key=KEY, progress=quiet, dataset_id="d1", threads=threads)


def failure(rung: str, folder: Path) -> str:
    with pytest.raises(TrainingFailed) as caught:
        trained(f"stopping_fakes:{rung}", artefact(folder))
    return str(caught.value)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole folder; tests alter copies of it."""
    folder = tmp_path_factory.mktemp("finished")
    trained(COPYING, artefact(folder))
    return folder


@pytest.fixture
def whole(finished: Path, tmp_path: Path) -> Artefact:
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    return artefact(tmp_path)


def test_a_signal_without_a_name_is_told_by_its_number(tmp_path: Path) -> None:
    message = failure("NamelessSignalRung", tmp_path)

    assert "its process was killed by signal 40" in message
    assert "run it again to go on from there" in message


def test_a_child_that_leaves_is_told_with_its_code(tmp_path: Path) -> None:
    assert "its process ended with code 4" in failure("LeavingRung", tmp_path)


def test_a_chatty_child_never_blocks_and_its_last_lines_are_cut_short(tmp_path: Path) -> None:
    message = failure("ExitingRung", tmp_path)

    assert "its process ended with code 3" in message
    assert "line 19999" in message
    assert "line 19994" not in message
    assert "x" * 201 not in message


def test_memory_that_runs_out_is_named_without_the_prompt(tmp_path: Path) -> None:
    message = failure("ForgetfulRung", tmp_path)

    assert "MemoryError at" in message
    assert "stopping_fakes.py" in message
    assert "4929" not in message


def test_a_failure_names_the_rung_the_task_and_what_is_kept(tmp_path: Path) -> None:
    message = failure("ForgetfulRung", tmp_path)

    assert message.startswith("training stopping_fakes:ForgetfulRung for task t stopped: ")
    assert message.endswith(
        f"The calls and the checkpoints in {tmp_path / 'specialist'} are kept; "
        "run it again to go on from there."
    )


def test_what_a_library_prints_is_not_taken_for_a_report(tmp_path: Path) -> None:
    manifest = trained("stopping_fakes:NoisyRung", artefact(tmp_path))

    assert manifest.facts == {"copied": True}


def test_the_key_and_the_prompts_are_not_to_be_seen_from_outside(tmp_path: Path) -> None:
    manifest = trained("stopping_fakes:LookingRung", artefact(tmp_path))

    shown = manifest.facts["open_to_all"]
    assert "slimdown.train.job" in shown
    assert "4929" not in shown
    assert base64.b64encode(KEY).decode() not in shown
    assert KEY.hex() not in shown


def test_threads_are_limited_for_the_child_alone(tmp_path: Path) -> None:
    before = dict(os.environ)

    facts = trained("stopping_fakes:LookingRung", artefact(tmp_path), threads=3).facts

    assert (facts["threads"], facts["blas"]) == ("3", "3")
    assert dict(os.environ) == before


def test_a_folder_is_open_to_its_owner_alone(whole: Artefact) -> None:
    modes = {f.name: f.stat().st_mode & 0o777 for f in whole.path.iterdir()}

    assert modes == {"answers.json": 0o600, "dev.json": 0o600, "manifest.json": 0o600}
    assert whole.path.stat().st_mode & 0o777 == 0o700


def cut_in_half(data: bytes) -> bytes:
    return data[: len(data) // 2]


def emptied(data: bytes) -> bytes:
    return b""


def one_bit_flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


@pytest.mark.parametrize("change", [cut_in_half, emptied, one_bit_flipped])
@pytest.mark.parametrize("file", ["answers.json", "dev.json"])
def test_an_altered_file_is_refused_by_name_and_left_as_it_is(
    whole: Artefact, file: str, change: Callable[[bytes], bytes]
) -> None:
    altered = change((whole.path / file).read_bytes())
    (whole.path / file).write_bytes(altered)

    with pytest.raises(ArtefactIncomplete, match=rf"{file} differ.*calls are kept.*train it anew"):
        load_specialist(whole)
    with pytest.raises(ArtefactIncomplete, match=file):
        trained(COPYING, whole)

    assert (whole.path / file).read_bytes() == altered


def test_a_deleted_file_is_refused_by_name(whole: Artefact) -> None:
    (whole.path / "answers.json").unlink()

    with pytest.raises(ArtefactIncomplete, match=r"answers\.json differ from the manifest"):
        load_specialist(whole)


def test_a_manifest_that_is_cut_short_is_refused(whole: Artefact) -> None:
    manifest = whole.path / "manifest.json"
    manifest.write_bytes(cut_in_half(manifest.read_bytes()))

    with pytest.raises(ArtefactIncomplete, match="manifest"):
        load_specialist(whole)


def test_a_file_of_another_specialist_is_refused_though_it_is_sealed(
    whole: Artefact, tmp_path: Path
) -> None:
    other = artefact(tmp_path / "other")
    other.write_json("answers", {"hello": "stolen"})
    (whole.path / "answers.json").write_bytes((other.path / "answers.json").read_bytes())

    with pytest.raises(ArtefactIncomplete, match=r"answers\.json"):
        load_specialist(whole)


def test_a_folder_under_another_name_keeps_its_words_closed(whole: Artefact) -> None:
    moved = Artefact(whole.path.rename(whole.path.parent / "renamed"), whole._sealer)

    assert moved.verify().task_id == "t"
    with pytest.raises(SealBroken, match="dev does not open"):
        dev_predictions(moved)


def test_a_folder_read_with_another_key_says_so(whole: Artefact) -> None:
    with pytest.raises(SealBroken, match="SLIMDOWN_KEY"):
        load_specialist(artefact(whole.path.parent, key=bytes(32)))


def test_a_folder_without_its_manifest_is_trained_again(whole: Artefact) -> None:
    first = load_specialist(whole).answer(["hello"])
    (whole.path / "manifest.json").unlink()

    with pytest.raises(ArtefactIncomplete, match="goes on from the last checkpoint"):
        load_specialist(whole)
    trained(COPYING, whole)

    assert load_specialist(whole).answer(["hello"]) == first


def test_a_half_written_file_beside_the_whole_ones_counts_for_nothing(tmp_path: Path) -> None:
    (tmp_path / "specialist").mkdir()
    (tmp_path / "specialist" / "answers.json.part").write_bytes(b'{"sealed": "AA')

    manifest = trained(COPYING, artefact(tmp_path))

    assert sorted(manifest.files) == ["answers.json", "dev.json"]
    assert load_specialist(artefact(tmp_path)).answer(["hello"])[0].output == "greet"


@pytest.mark.parametrize(
    ("rung", "dataset_id", "task_id"),
    [("other", "d1", "t"), (COPYING, "d2", "t"), (COPYING, "d1", "u")],
)
def test_a_folder_of_another_rung_dataset_or_task_is_kept_and_refused(
    whole: Artefact, rung: str, dataset_id: str, task_id: str
) -> None:
    before = {f.name: f.read_bytes() for f in whole.path.iterdir()}
    other = msgspec.structs.replace(DATASET, task_id=task_id)
    rung = "stopping_fakes:NoisyRung" if rung == "other" else rung

    with pytest.raises(TrainingFailed, match=r"left as it is\. Train into another folder"):
        train(rung, other, whole, key=KEY, progress=quiet, dataset_id=dataset_id)

    assert {f.name: f.read_bytes() for f in whole.path.iterdir()} == before


NAMES = st.text(max_size=8)


@given(st.tuples(NAMES, NAMES, NAMES), st.tuples(NAMES, NAMES, NAMES))
def test_ids_are_alike_only_where_all_inputs_are(
    one: tuple[str, str, str], other: tuple[str, str, str]
) -> None:
    assert (specialist_id(*one) == specialist_id(*other)) == (one == other)


def job(folder: Path, rung: str) -> Job:
    return Job(
        rung=rung,
        path=str(folder / "specialist"),
        key=KEY,
        dataset=DATASET,
        dataset_id="d1",
        specialist_id="s1",
    )


def test_a_job_tells_its_progress_and_what_it_made(tmp_path: Path) -> None:
    told: list[tuple[float, str]] = []

    manifest = work(job(tmp_path, COPYING), lambda share, note: told.append((share, note)))

    assert told == [(0.5, "copying")]
    assert (manifest.id, manifest.task_id, manifest.kind) == ("s1", "t", "label")
    assert (manifest.n_train, manifest.dataset_id, manifest.version) == (2, "d1", 1)
    assert artefact(tmp_path).verify() == manifest


def test_a_job_that_fails_leaves_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(SlimdownError, match="not a number"):
        work(job(tmp_path, "training_fakes:RefusingRung"), quiet)

    assert artefact(tmp_path).manifest() is None


def test_a_child_whose_parent_is_gone_ends_itself(tmp_path: Path) -> None:
    message = msgspec.json.encode(job(tmp_path, "training_fakes:SleepingRung"))
    with subprocess.Popen(
        [sys.executable, "-m", "slimdown.train.job"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(b"%d\n" % len(message) + message)
        child.stdin.flush()
        first = msgspec.json.decode(child.stdout.readline(), type=Report)

        child.stdin.close()

        assert child.wait(20) == 75
    assert first == Report(share=0.1, note=str(child.pid))
    assert artefact(tmp_path).manifest() is None


@given(st.floats(0, 1), st.text(max_size=20), st.none() | st.text(max_size=20))
def test_a_report_is_one_line_and_comes_back_as_it_was(
    share: float, note: str, told: str | None
) -> None:
    report = Report(share, note, told)

    line = msgspec.json.encode(report)

    assert b"\n" not in line
    assert msgspec.json.decode(line, type=Report) == report
