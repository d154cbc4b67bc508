"""Full, read-only and vanishing disks, and other processes: nothing stored is lost or half told."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from slimdown.artefact import Artefact
from slimdown.errors import KeyProblem, StoreError, StoreLocked, StoreUnwritable
from slimdown.seal import Sealer, encode_key, load_sealer
from slimdown.store import Added, Store
from slimdown.testing import sample_call
from slimdown.types import Call

KEY = {"SLIMDOWN_KEY": encode_key(b"k" * 32)}
TINY_BYTES = 1 << 20


def mount(*arguments: str) -> bool:
    """Tell whether a mount came about; most users may make none."""
    command = shutil.which("mount")
    if command is None or os.geteuid() != 0:
        return False
    return subprocess.run([command, *arguments], capture_output=True, check=False).returncode == 0


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Return the folder of a file system that holds one mebibyte."""
    place = tmp_path / "disk"
    place.mkdir()
    if not mount("-t", "tmpfs", "-o", f"size={TINY_BYTES}", "tmpfs", str(place)):
        pytest.skip("a file system of one mebibyte needs root and the right to mount")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(path: Path) -> None:
    """Write a file until nothing more goes onto its disk."""
    with path.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        while True:
            file.write(bytes(4_096))


def bulky(n_calls: int) -> Iterator[Call]:
    """Yield calls that do not compress, 4 kB each."""
    for number in range(n_calls):
        yield sample_call(os.urandom(2_000).hex(), id=f"bulky-{number}")


def test_a_full_disk_keeps_what_was_stored_and_takes_more_when_space_returns(disk: Path) -> None:
    (disk / "ballast").write_bytes(bytes(TINY_BYTES // 2))
    with Store.open(disk / "workspace", KEY) as store:
        store.add([sample_call(id="before")])

        with pytest.raises(StoreUnwritable, match=r"full.*kept, none by half.*Free disk space"):
            store.add(bulky(300))
        kept = list(store.calls())
        (disk / "ballast").unlink()
        store.add([sample_call(id="after")])

        assert kept[0] == sample_call(id="before")
        assert store.call("after") == sample_call(id="after")
    with Store.open(disk / "workspace", KEY) as store:
        assert store.count() == len(kept) + 1


def test_a_result_that_finds_no_space_leaves_the_last_one(disk: Path) -> None:
    with Store.open(disk / "workspace", KEY) as store:
        store.put_result("tasks", "a", "first")

        with pytest.raises(StoreUnwritable):
            store.put_result("tasks", "a", os.urandom(TINY_BYTES).hex())

        assert store.result("tasks", "a") == "first"


def test_a_disk_full_from_the_start_makes_no_half_workspace(disk: Path) -> None:
    fill(disk / "ballast")

    with pytest.raises((StoreUnwritable, KeyProblem), match=r"Nothing was stored|none by half"):
        Store.open(disk / "workspace", KEY)
    (disk / "ballast").unlink()

    with Store.open(disk / "workspace", KEY) as store:
        assert store.add([sample_call()]) == Added(1, 0)


def test_a_key_that_finds_no_space_is_not_left_half_written(disk: Path) -> None:
    fill(disk / "ballast")
    environ = {"SLIMDOWN_KEY_FILE": str(disk / "key")}

    with pytest.raises(KeyProblem, match=r"cannot be made \(No space left.*Nothing was stored"):
        load_sealer(environ)
    assert not (disk / "key").exists()
    (disk / "ballast").unlink()

    assert load_sealer(environ).key == load_sealer(environ).key


def test_a_file_of_a_specialist_that_finds_no_space_leaves_the_last_one(disk: Path) -> None:
    artefact = Artefact(disk / "s1", Sealer(bytes(32)))
    artefact.write_json("labels", ["first"])

    with pytest.raises(OSError, match="No space left"):
        artefact.write_json("labels", os.urandom(TINY_BYTES).hex())

    assert artefact.read_json("labels") == ["first"]


def test_a_read_only_disk_is_told_to_writers_and_readers_and_keeps_all(disk: Path) -> None:
    with Store.open(disk / "workspace", KEY) as store:
        store.add([sample_call(id="kept")])
    assert mount("-o", "remount,ro", str(disk))

    with pytest.raises(StoreUnwritable, match="Read-only file system"):
        Store.open(disk / "workspace", KEY)
    with pytest.raises(StoreUnwritable, match="Read-only file system"):
        Store.open(disk / "new", KEY)
    with pytest.raises(StoreUnwritable, match="All calls stored before are kept"):
        Store.open(disk / "workspace", KEY, write=False)
    assert mount("-o", "remount,rw", str(disk))

    with Store.open(disk / "workspace", KEY) as store:
        assert list(store.calls()) == [sample_call(id="kept")]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to every folder")
def test_a_folder_of_somebody_else_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)

    with pytest.raises(StoreUnwritable, match="check that you own the folder"):
        Store.open(tmp_path / "workspace", KEY)


def test_a_folder_deleted_while_open_is_never_told_as_stored(tmp_path: Path) -> None:
    with Store.open(tmp_path / "workspace", KEY) as store:
        store.add([sample_call("a")])
        shutil.rmtree(tmp_path / "workspace")

        with pytest.raises(StoreUnwritable, match="moved or deleted while it was open"):
            store.add([sample_call("b")])
        with pytest.raises(StoreUnwritable):
            store.put_result("tasks", "a", 1)
        assert not (tmp_path / "workspace").exists()


def test_a_folder_moved_while_open_keeps_what_it_had_and_goes_on_when_put_back(
    tmp_path: Path,
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    with Store.open(here, KEY) as store:
        store.add([sample_call("a")])
        here.rename(there)
        with pytest.raises(StoreUnwritable, match="Put the folder back"):
            store.add([sample_call("a"), sample_call("b")])
        there.rename(here)

        assert store.add([sample_call("a"), sample_call("b")]) == Added(1, 1)


def test_a_file_put_in_place_of_the_open_one_is_not_taken_for_it(tmp_path: Path) -> None:
    with Store.open(tmp_path, KEY) as store:
        (tmp_path / "slimdown.db").rename(tmp_path / "aside.db")
        (tmp_path / "slimdown.db").touch()

        with pytest.raises(StoreUnwritable, match="moved or deleted"):
            store.add([sample_call()])
        assert (tmp_path / "slimdown.db").read_bytes() == b""


HOLDER = """
import sys
from pathlib import Path
from slimdown.store import Store
from slimdown.testing import sample_call

with Store.open(Path(sys.argv[1]), {"SLIMDOWN_KEY": sys.argv[2]}) as store:
    store.add([sample_call(id="from the other process")])
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Return another process that has the workspace open to write."""
    arguments = [sys.executable, "-c", HOLDER, str(tmp_path / "workspace"), KEY["SLIMDOWN_KEY"]]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def test_a_second_process_is_told_which_one_writes_and_may_read(
    tmp_path: Path, holder: subprocess.Popen[bytes]
) -> None:
    with pytest.raises(StoreLocked, match=rf"process {holder.pid} is writing.*Nothing was changed"):
        Store.open(tmp_path / "workspace", KEY)

    with Store.open(tmp_path / "workspace", KEY, write=False) as reader:
        assert [call.id for call in reader.calls()] == ["from the other process"]


def test_a_writer_that_was_killed_leaves_no_lock_and_loses_nothing(
    tmp_path: Path, holder: subprocess.Popen[bytes]
) -> None:
    holder.kill()
    holder.wait()

    with Store.open(tmp_path / "workspace", KEY) as store:
        assert [call.id for call in store.calls()] == ["from the other process"]
    assert (tmp_path / "workspace" / "slimdown.lock").read_bytes() == b""


def test_a_file_that_cannot_be_made_leaves_the_workspace_unlocked(tmp_path: Path) -> None:
    (tmp_path / "slimdown.db").mkdir()
    with pytest.raises(StoreUnwritable, match="Is a directory"):
        Store.open(tmp_path, KEY)
    (tmp_path / "slimdown.db").rmdir()

    with Store.open(tmp_path, KEY) as store:
        assert store.count() == 0


@pytest.mark.parametrize(
    "left",
    [f"{os.getpid()}\n".encode(), b"1\n", b"", b"\xff" * 99, b"no id"],
    ids=["our own id", "another id", "nothing", "no text", "words"],
)
def test_a_lock_file_counts_for_nothing_but_the_lock_on_it(tmp_path: Path, left: bytes) -> None:
    (tmp_path / "slimdown.lock").write_bytes(left)

    with Store.open(tmp_path, KEY) as store:
        assert store.count() == 0
        assert (tmp_path / "slimdown.lock").read_text() == f"{os.getpid()}\n"


def test_a_reader_neither_takes_nor_needs_the_lock(tmp_path: Path) -> None:
    Store.open(tmp_path, KEY).close()
    (tmp_path / "slimdown.lock").unlink()

    with Store.open(tmp_path, KEY, write=False):
        assert not (tmp_path / "slimdown.lock").exists()


def test_a_reader_may_change_nothing(tmp_path: Path) -> None:
    Store.open(tmp_path, KEY).close()

    with Store.open(tmp_path, KEY, write=False) as reader:
        with pytest.raises(StoreError, match="read only"):
            reader.put_result("tasks", "a", 1)
        with pytest.raises(StoreError, match="read only"):
            reader.delete_result("tasks", "a")
        with pytest.raises(StoreError):
            reader.compact()
        assert reader.count() == 0
