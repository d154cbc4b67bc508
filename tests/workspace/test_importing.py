"""Imports: what is added, what is kept sealed of what is not, and what another import changes."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from slimdown.errors import ImportProblem, SealBroken, StoreError, UsageError
from slimdown.seal import encode_key
from slimdown.settings import Settings
from slimdown.testing import sample_call
from slimdown.workspace import ImportReport, RejectedLine, Workspace, temporary_workspace
from slimdown.workspace.importing import KEPT_BYTES

ENVIRON = {"SLIMDOWN_KEY": encode_key(bytes(32))}
BAD = b'{"broken": "lost umbrella"\n'


def quiet(_share: float, _note: str) -> None:
    pass


def write_log(path: Path, *bad: bytes, n: int = 3) -> Path:
    good = [msgspec.json.encode(sample_call(f"parcel {i}")) + b"\n" for i in range(n)]
    path.write_bytes(b"".join([*good, *bad]))
    return path


def opened(folder: Path, *, write: bool = True) -> Workspace:
    return Workspace.open(Settings(workspace=str(folder / "w")), ENVIRON, write=write)


def imported(folder: Path, *logs: Path) -> ImportReport:
    with opened(folder) as workspace:
        return workspace.import_logs(logs, progress=quiet)


def rejects(folder: Path) -> Sequence[tuple[RejectedLine, bytes]]:
    with opened(folder, write=False) as workspace:
        return list(workspace.rejects())


def test_good_lines_are_added_and_bad_ones_named(tmp_path: Path) -> None:
    log = write_log(tmp_path / "a.jsonl", BAD)

    done = imported(tmp_path, log)

    assert (done.n_files, done.n_new, done.n_known, done.n_rejected) == (1, 3, 0, 1)
    assert (done.first_rejects[0].source, done.first_rejects[0].line) == (str(log), 4)
    assert done.first_rejects[0].reason
    assert done.rejects_file == str(tmp_path / "w" / "rejects")


def test_a_clean_import_makes_no_rejects_folder(tmp_path: Path) -> None:
    done = imported(tmp_path, write_log(tmp_path / "a.jsonl"))

    assert (done.rejects_file, done.first_rejects) == (None, ())
    assert not (tmp_path / "w" / "rejects").exists()
    assert rejects(tmp_path) == []


def test_a_rejected_line_is_kept_whole_sealed_and_for_its_owner_alone(tmp_path: Path) -> None:
    imported(tmp_path, write_log(tmp_path / "a.jsonl", BAD))

    (file,) = (tmp_path / "w" / "rejects").iterdir()
    assert b"umbrella" not in file.read_bytes()
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert [raw.strip() for _, raw in rejects(tmp_path)] == [BAD.strip()]


def test_the_same_log_again_lists_its_rejects_once(tmp_path: Path) -> None:
    log = write_log(tmp_path / "a.jsonl", BAD, BAD)

    imported(tmp_path, log)
    again = imported(tmp_path, log)

    assert (again.n_new, again.n_known, again.n_rejected) == (0, 3, 2)
    assert [row.line for row, _ in rejects(tmp_path)] == [4, 5]


def test_two_logs_keep_their_rejects_apart(tmp_path: Path) -> None:
    one, two = write_log(tmp_path / "a.jsonl", BAD), write_log(tmp_path / "b.jsonl", BAD, BAD)

    imported(tmp_path, one, two)
    imported(tmp_path, one)

    assert sorted(Path(row.source).name for row, _ in rejects(tmp_path)) == [
        "a.jsonl",
        "b.jsonl",
        "b.jsonl",
    ]


@pytest.mark.parametrize("name", ["logs", "logs/a.jsonl"])
def test_a_mended_log_imported_again_has_no_rejects_any_more(tmp_path: Path, name: str) -> None:
    (tmp_path / "logs").mkdir()
    log = write_log(tmp_path / "logs" / "a.jsonl", BAD)
    imported(tmp_path, log)

    write_log(log, n=4)
    imported(tmp_path, tmp_path / name)

    assert rejects(tmp_path) == []


def test_an_import_that_breaks_off_leaves_the_rejects_known_before(tmp_path: Path) -> None:
    log = write_log(tmp_path / "a.jsonl", BAD)
    imported(tmp_path, log)
    (tmp_path / "b.txt").write_text("no log at all\n")

    write_log(log)
    with pytest.raises(ImportProblem):
        imported(tmp_path, log, tmp_path / "b.txt")

    assert len(rejects(tmp_path)) == 1


def test_the_report_names_twenty_rejects_and_the_file_holds_all(tmp_path: Path) -> None:
    done = imported(tmp_path, write_log(tmp_path / "a.jsonl", *[BAD] * 30))

    assert (done.n_rejected, len(done.first_rejects)) == (30, 20)
    assert len(rejects(tmp_path)) == 30


def test_of_a_huge_line_the_start_is_kept_and_its_size_told(tmp_path: Path) -> None:
    huge = b'{"x": "' + b"y" * (2 * KEPT_BYTES) + b"\n"

    imported(tmp_path, write_log(tmp_path / "a.jsonl", huge))

    ((row, raw),) = rejects(tmp_path)
    assert row.n_bytes == pytest.approx(len(huge), abs=1)
    assert raw == huge[:KEPT_BYTES]


def test_a_rejected_line_moved_to_another_number_does_not_open(tmp_path: Path) -> None:
    imported(tmp_path, write_log(tmp_path / "a.jsonl", BAD))
    (file,) = (tmp_path / "w" / "rejects").iterdir()
    row = json.loads(file.read_bytes())
    file.write_text(json.dumps(row | {"line": 7}) + "\n")

    with pytest.raises(SealBroken, match="reject/1/7"):
        rejects(tmp_path)


def test_a_rejects_file_cut_short_is_an_error_that_names_it(tmp_path: Path) -> None:
    imported(tmp_path, write_log(tmp_path / "a.jsonl", BAD))
    (file,) = (tmp_path / "w" / "rejects").iterdir()
    file.write_bytes(file.read_bytes()[:-20])

    with pytest.raises(StoreError, match=file.name):
        rejects(tmp_path)


def test_one_missing_path_among_several_imports_nothing(tmp_path: Path) -> None:
    log = write_log(tmp_path / "a.jsonl")

    with opened(tmp_path) as workspace:
        with pytest.raises(UsageError, match=r"nowhere\.jsonl does not exist; nothing"):
            workspace.import_logs([log, tmp_path / "nowhere.jsonl"], progress=quiet)
        assert workspace.n_calls == 0


def test_a_folder_is_imported_with_all_logs_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    write_log(folder / "a.jsonl", n=2)
    write_log(folder / "b.jsonl", BAD, n=4)

    done = imported(tmp_path, folder)

    assert (done.n_new, done.n_known, done.n_rejected) == (4, 2, 1)


def test_a_reader_sees_what_a_writer_adds_meanwhile(tmp_path: Path) -> None:
    log = write_log(tmp_path / "a.jsonl")
    with opened(tmp_path) as writer, opened(tmp_path, write=False) as reader:
        assert (reader.n_calls, reader.rows(limit=5)) == (0, [])

        writer.import_logs([log], progress=quiet)

        assert reader.n_calls == 3
        assert reader.call(reader.rows(limit=1)[0].id[:12]).request["model"] == "gpt-4o-mini"


def test_a_reader_neither_makes_a_workspace_nor_writes_to_one(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="slimdown import"):
        opened(tmp_path, write=False)

    assert list(tmp_path.iterdir()) == []


def test_rows_page_through_the_calls_without_loss(tmp_path: Path) -> None:
    imported(tmp_path, write_log(tmp_path / "a.jsonl", n=7))

    with opened(tmp_path, write=False) as workspace:
        pages = [workspace.rows(limit=3, offset=offset) for offset in (0, 3, 6, 9)]

    assert [len(page) for page in pages] == [3, 3, 1, 0]
    assert len({row.id for page in pages for row in page}) == 7


def test_a_report_before_the_first_run_says_what_to_do(tmp_path: Path) -> None:
    imported(tmp_path, write_log(tmp_path / "a.jsonl"))

    with (
        opened(tmp_path, write=False) as workspace,
        pytest.raises(UsageError, match="Run `slimdown run` first"),
    ):
        workspace.report()


def test_a_temporary_workspace_is_gone_even_after_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    environ = dict(os.environ)

    with pytest.raises(UsageError), temporary_workspace(Settings(workspace="x")) as workspace:
        assert workspace.folder.is_relative_to(tmp_path)
        workspace.run(quiet)

    assert list(tmp_path.iterdir()) == []
    assert dict(os.environ) == environ
