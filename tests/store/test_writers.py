"""Several processes that write to one workspace at the same time."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from slimdown.errors import StoreError, StoreLocked, StoreUnwritable
from slimdown.seal import encode_key
from slimdown.store import Added, Store
from slimdown.testing import sample_call

KEY = {"SLIMDOWN_KEY": encode_key(b"k" * 32)}
PROMPT = "Name the intent of the message. " * 20


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path, KEY, role="gateway") as store:
        yield store


def test_a_batch_and_a_gateway_and_a_short_writer_write_to_one_file(
    tmp_path: Path, gateway: Store
) -> None:
    with Store.open(tmp_path, KEY) as batch, Store.open(tmp_path, KEY, role="short") as short:
        batch.add([sample_call("a", system=PROMPT)])
        gateway.add_live([sample_call("b", system=PROMPT)])
        short.put_result("tasks", "a", 1)
        batch.add([sample_call("c", system=PROMPT)])

        assert gateway.count() == 3
        assert {call.id for call in batch.calls()} == {
            sample_call(t, system=PROMPT).id for t in "abc"
        }
        assert gateway.result("tasks", "a") == 1


def test_what_another_process_stored_is_shared_and_not_stored_again(
    tmp_path: Path, gateway: Store
) -> None:
    gateway.add_live([sample_call("a", system=PROMPT)])
    with Store.open(tmp_path, KEY) as batch:
        batch.add([sample_call("b", system=PROMPT), sample_call("a", system=PROMPT)])
        gateway.add_live([sample_call("b", system=PROMPT), sample_call("c", system=PROMPT)])

        systems = count(tmp_path, "SELECT count(*) FROM part")

        # Three questions, one system prompt, one rest, one frame, one answer.
        assert (batch.count(), systems) == (3, 7)


def count(folder: Path, query: str) -> int:
    connection = apsw.Connection(str(folder / "slimdown.db"))
    found = connection.execute(query).get
    connection.close()
    assert isinstance(found, int)
    return found


def test_a_second_gateway_is_told_which_process_is_the_first(
    tmp_path: Path, gateway: Store
) -> None:
    with pytest.raises(StoreLocked, match=rf"process {os.getpid()} is the gateway of"):
        Store.open(tmp_path, KEY, role="gateway")

    assert gateway.add_live([sample_call()]) == 1


def test_a_gateway_that_ended_leaves_its_place_to_the_next(tmp_path: Path) -> None:
    Store.open(tmp_path, KEY, role="gateway").close()
    (tmp_path / "gateway.lock").write_text("999999\n")

    with Store.open(tmp_path, KEY, role="gateway") as store:
        assert store.add_live([sample_call()]) == 1


def test_a_short_writer_makes_no_workspace(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no workspace"):
        Store.open(tmp_path / "nowhere", KEY, role="short")

    assert not (tmp_path / "nowhere").exists()


def test_a_gateway_does_not_wait_for_another_writer(tmp_path: Path, gateway: Store) -> None:
    other = apsw.Connection(str(tmp_path / "slimdown.db"))
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(StoreLocked, match="held by another process"):
        gateway.add_live([sample_call()])
    other.execute("ROLLBACK")

    assert gateway.add_live([sample_call()]) == 1
    other.close()


def test_a_short_writer_waits_for_its_turn(tmp_path: Path, gateway: Store) -> None:
    other = apsw.Connection(str(tmp_path / "slimdown.db"))
    other.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.1, other.execute, ["ROLLBACK"])
    release.start()

    with Store.open(tmp_path, KEY, role="short") as short:
        short.put_result("tasks", "a", 1)
    release.join()

    assert gateway.result("tasks", "a") == 1
    other.close()


def test_a_store_that_was_refused_for_a_moment_still_shares_its_templates(
    tmp_path: Path, gateway: Store
) -> None:
    other = apsw.Connection(str(tmp_path / "slimdown.db"))
    for number in range(20):
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreLocked):
            gateway.add_live([sample_call(f"{PROMPT} {number}")])
        other.execute("ROLLBACK")
        gateway.add_live([sample_call(f"{PROMPT} {number}")])
    other.close()

    bases = "SELECT count(*) FROM part WHERE base IS NULL AND length(sealed) > 120"
    assert count(tmp_path, bases) < 5


IMPORTER = """
import sys
from pathlib import Path
from slimdown.store import Store
from slimdown.testing import sample_call

with Store.open(Path(sys.argv[1]), {"SLIMDOWN_KEY": sys.argv[2]}) as store:
    print("begun", flush=True)
    store.add(sample_call(f"imported {i} " * 30, id=f"i-{i}") for i in range(1_000))
"""


def test_a_gateway_writes_while_an_import_goes_on_and_all_calls_open(
    tmp_path: Path, gateway: Store
) -> None:
    arguments = [sys.executable, "-c", IMPORTER, str(tmp_path), KEY["SLIMDOWN_KEY"]]
    stored = 0
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as importer:
        assert importer.stdout is not None
        importer.stdout.readline()
        while importer.poll() is None:
            try:
                stored += gateway.add_live([sample_call(f"recorded {stored} " * 30)])
            except StoreLocked:
                continue

    assert importer.returncode == 0
    assert stored > 0
    assert sum(1 for _ in gateway.calls()) == gateway.count() == 1_000 + stored


def test_two_processes_that_make_a_workspace_at_once_agree_on_it(tmp_path: Path) -> None:
    barrier, added = threading.Barrier(2), []

    def first(role: str) -> None:
        barrier.wait()
        with Store.open(tmp_path, KEY, role=role) as store:  # type: ignore[arg-type]
            added.append(store.add([sample_call(role)]) if role == "batch" else None)

    threads = [threading.Thread(target=first, args=(role,)) for role in ("batch", "gateway")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(added, key=str) == [Added(1, 0), None]


def test_a_file_put_in_place_of_the_open_one_is_noticed(tmp_path: Path, gateway: Store) -> None:
    assert not gateway.is_replaced()
    (tmp_path / "slimdown.db").rename(tmp_path / "aside.db")
    assert not gateway.is_replaced()
    (tmp_path / "slimdown.db").touch()

    with pytest.raises(StoreUnwritable, match="moved or deleted"):
        gateway.add_live([sample_call()])
    assert gateway.is_replaced()
