"""What the store does when the process, the disk, the key or the file lets it down."""

from __future__ import annotations

import signal
import stat
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from slimdown.errors import KeyProblem, SealBroken, StoreError, StoreUnwritable
from slimdown.seal import encode_key
from slimdown.store import Broken, Store
from slimdown.testing import sample_call

KEY = {"SLIMDOWN_KEY": encode_key(b"k" * 32)}
OTHER_KEY = {"SLIMDOWN_KEY": encode_key(b"o" * 32)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a workspace with ten calls and a result in it."""
    with Store.open(tmp_path / "workspace", KEY) as store:
        store.add(sample_call(f"question {i}", f"answer {i}", id=f"call-{i}") for i in range(10))
        store.put_result("tasks", "a task", {"name": "a task"})
    return tmp_path / "workspace"


def alter(folder: Path, statement: str) -> None:
    """Change the database file behind the store's back."""
    connection = apsw.Connection(str(folder / "slimdown.db"))
    connection.execute(statement)
    connection.close()


def flip(folder: Path, table: str, number: int) -> None:
    """Change the last byte of a sealed record."""
    connection = apsw.Connection(str(folder / "slimdown.db"))
    sealed = connection.execute(f"SELECT sealed FROM {table} WHERE number = ?", (number,)).get
    assert isinstance(sealed, bytes)
    altered = sealed[:-1] + bytes([sealed[-1] ^ 1])
    connection.execute(f"UPDATE {table} SET sealed = ? WHERE number = ?", (altered, number))
    connection.close()


WRITER = """
import sys
from pathlib import Path
from slimdown.store import Store
from slimdown.testing import sample_call

def calls():
    for i in range(100_000):
        if i == 3_500:
            print("three batches are in", flush=True)
        yield sample_call(f"question {i}", id=f"call-{i}")

with Store.open(Path(sys.argv[1]), {"SLIMDOWN_KEY": sys.argv[2]}) as store:
    store.add(calls())
"""


def test_a_killed_writer_leaves_whole_calls_and_an_import_that_goes_on(tmp_path: Path) -> None:
    arguments = [sys.executable, "-c", WRITER, str(tmp_path), KEY["SLIMDOWN_KEY"]]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        writer.send_signal(signal.SIGKILL)
    with Store.open(tmp_path, KEY) as store:
        n_kept = store.count()
        assert n_kept >= 3_000
        assert list(store.calls(ids=["call-0"])) == [sample_call("question 0", id="call-0")]
        assert sum(1 for _ in store.calls()) == n_kept
        again = store.add(sample_call(f"question {i}", id=f"call-{i}") for i in range(n_kept + 5))
        assert (again.n_known, again.n_new) == (n_kept, 5)


FULL = """
import resource, sys
from pathlib import Path
from slimdown.errors import StoreUnwritable
from slimdown.store import Store
from slimdown.testing import sample_call

with Store.open(Path(sys.argv[1]), {"SLIMDOWN_KEY": sys.argv[2]}) as store:
    store.add([sample_call("before", id="before")])
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
    try:
        store.add(sample_call(f"{i} " * 5_000, id=f"call-{i}") for i in range(2_000))
    except StoreUnwritable as error:
        print(error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    store.add([sample_call("after", id="after")])
    assert {"before", "after"} <= {call.id for call in store.calls()}
"""


def test_a_full_disk_is_an_error_that_says_what_was_kept_and_passes(tmp_path: Path) -> None:
    arguments = [sys.executable, "-c", FULL, str(tmp_path), KEY["SLIMDOWN_KEY"]]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert "cannot be written" in done.stdout
    assert "Free disk space" in done.stdout


def test_a_folder_that_cannot_be_made_is_an_error_with_its_cause(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StoreUnwritable, match="Not a directory"):
        Store.open(tmp_path / "file" / "workspace", KEY)


def test_nothing_said_or_named_stands_in_any_file(tmp_path: Path) -> None:
    words = [f"canary-{i}-word" for i in range(8)]
    call = sample_call(
        words[0],
        words[1],
        system=words[2],
        label=words[3],
        metadata={words[4]: words[5]},
        session_id=words[6],
        id=words[7],
    )
    with Store.open(tmp_path / "workspace", KEY) as store:
        store.add([call])
        store.put_result("tasks", words[0], words[1])
        files = [file for file in (tmp_path / "workspace").iterdir() if file.is_file()]
        assert any(file.name.endswith("-wal") for file in files)
        assert not [w for w in words for f in files if w.encode() in f.read_bytes()]


def test_folder_and_files_are_for_the_owner_alone(folder: Path) -> None:
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    with Store.open(folder, KEY):
        modes = {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}
    assert modes == {0o600}


def test_the_wrong_key_is_told_at_once(folder: Path) -> None:
    with pytest.raises(KeyProblem, match="not the one"):
        Store.open(folder, OTHER_KEY)


def test_a_missing_key_is_not_made_anew_for_old_data(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyProblem, match="no key"):
        Store.open(folder, {"SLIMDOWN_KEY_FILE": str(tmp_path / "gone")})
    assert not (tmp_path / "gone").exists()


def test_a_failed_opening_leaves_no_lock_behind(folder: Path) -> None:
    with pytest.raises(KeyProblem):
        Store.open(folder, OTHER_KEY)
    with Store.open(folder, KEY) as store:
        assert store.count() == 10


@pytest.mark.parametrize("table", ["call", "part"])
def test_an_altered_record_is_left_out_and_told_and_the_rest_is_read(
    folder: Path, table: str
) -> None:
    flip(folder, table, 3)
    broken: list[Broken] = []
    with Store.open(folder, KEY) as store:
        kept = list(store.calls(on_broken=broken.append))
        with pytest.raises(SealBroken):
            list(store.calls())
    assert len(kept) + len(broken) == 10
    assert broken
    assert all(each.reason for each in broken)


def test_a_broken_call_does_not_hide_the_list_of_the_others(folder: Path) -> None:
    flip(folder, "call", 3)
    with Store.open(folder, KEY) as store:
        with pytest.raises(SealBroken, match="call/1/"):
            store.call("call-2")
        assert store.call("call-3") == sample_call("question 3", "answer 3", id="call-3")
        states = [row.status for row in store.list_calls()]
    assert states.count("broken") == 1
    assert states.count("ok") == 9


SWAPS = [
    "UPDATE call SET sealed = (SELECT sealed FROM call WHERE number = 1)",
    "UPDATE call SET answer = (SELECT answer FROM call WHERE number = 1)",
    "UPDATE call SET history = 1",
    "UPDATE call SET tools = rest",
    "DELETE FROM part WHERE number > 3",
    "UPDATE history SET before = number",
]


@pytest.mark.parametrize("statement", SWAPS)
def test_records_moved_to_another_place_do_not_pass_for_what_was_there(
    folder: Path, statement: str
) -> None:
    alter(folder, statement)
    broken: list[Broken] = []
    with Store.open(folder, KEY) as store:
        whole = list(store.calls(on_broken=broken.append))
    assert len(broken) >= 9
    assert all(call.id == "call-0" for call in whole)


def test_a_changed_result_does_not_open(folder: Path) -> None:
    flip(folder, "result", 1)
    with Store.open(folder, KEY) as store, pytest.raises(SealBroken, match="result/1/tasks"):
        store.results("tasks")


@pytest.mark.parametrize("content", [b"garbage " * 1_000, b"SQLite format 3\x00" + b"\xff" * 4_096])
def test_a_file_that_is_no_database_is_an_error_and_left_alone(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "slimdown.db").write_bytes(content)
    with pytest.raises(StoreError, match="Nothing was changed"):
        Store.open(tmp_path, KEY)
    assert (tmp_path / "slimdown.db").read_bytes() == content


def test_a_database_cut_short_is_an_error_and_not_a_crash(folder: Path) -> None:
    data = (folder / "slimdown.db").read_bytes()
    (folder / "slimdown.db").write_bytes(data[: len(data) // 2])
    with pytest.raises((StoreError, KeyProblem)), Store.open(folder, KEY) as store:
        list(store.calls())


def test_a_database_of_a_newer_slimdown_is_refused(folder: Path) -> None:
    alter(folder, "PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="newer slimdown"):
        Store.open(folder, KEY)


def test_the_database_of_another_program_is_refused(tmp_path: Path) -> None:
    alter(tmp_path, "CREATE TABLE theirs (a)")
    with pytest.raises(StoreError, match="another program"):
        Store.open(tmp_path, KEY)


def test_a_reader_of_no_workspace_is_told_so_and_makes_none(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no workspace"):
        Store.open(tmp_path / "nowhere", KEY, write=False)
    assert not (tmp_path / "nowhere").exists()


def test_a_reader_makes_neither_tables_nor_a_key(tmp_path: Path) -> None:
    (tmp_path / "slimdown.db").touch()
    with pytest.raises(StoreError, match="not made"):
        Store.open(tmp_path, {"SLIMDOWN_KEY_FILE": str(tmp_path / "key")}, write=False)
    assert not (tmp_path / "key").exists()


def test_an_empty_file_left_by_a_crash_becomes_a_workspace(tmp_path: Path) -> None:
    (tmp_path / "slimdown.db").touch()
    with Store.open(tmp_path, KEY) as store:
        store.add([sample_call()])
        assert store.count() == 1
