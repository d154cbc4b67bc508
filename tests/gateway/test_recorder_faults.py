"""The recorder while its store is held, full, gone or failing: it says so, and catches up."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from slimdown.exchange import Exchange
from slimdown.gateway.recorder import Recorder
from slimdown.seal import encode_key
from slimdown.store import Store
from slimdown.testing import sample_call
from slimdown.types import Call

KEY = {"SLIMDOWN_KEY": encode_key(b"k" * 32)}
PATIENCE_S = 10.0

Body = Callable[[Recorder], Coroutine[Any, Any, None]]


def exchange(call_id: str, n_bytes: int = 2) -> Exchange:
    return Exchange(
        call_id=call_id,
        path="/v1/chat/completions",
        request_headers=(),
        request_body=os.urandom(n_bytes // 2),
        started_at=0.0,
        latency_ms=1.0,
    )


def make(seen: Exchange) -> Call:
    return sample_call(seen.request_body.hex(), id=seen.call_id)


def recording(folder: Path, body: Body, **options: Any) -> Recorder:
    """Run ``body`` with a recorder of the workspace in ``folder``, and close it."""
    recorder = Recorder(lambda: Store.open(folder, KEY, role="gateway"), make, **options)

    async def run() -> None:
        recorder.start()
        try:
            await body(recorder)
        finally:
            await recorder.close(5)

    asyncio.run(run())
    return recorder


async def catches_up(recorder: Recorder) -> None:
    """Wait until nothing waits."""
    until = time.monotonic() + PATIENCE_S
    while recorder.health.n_waiting and time.monotonic() < until:
        await asyncio.sleep(0.01)
    assert recorder.health.n_waiting == 0


def ids(folder: Path) -> list[str]:
    with Store.open(folder, KEY, write=False) as store:
        return sorted(call.id for call in store.calls())


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
    if not mount("-t", "tmpfs", "-o", "size=1M", "tmpfs", str(place)):
        pytest.skip("a file system of one mebibyte needs root and the right to mount")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_store_held_by_another_costs_one_budget_and_then_nothing(tmp_path: Path) -> None:
    waits: list[float] = []

    async def body(recorder: Recorder) -> None:
        holder = apsw.Connection(str(tmp_path / "slimdown.db"))
        holder.execute("BEGIN IMMEDIATE")
        for number in range(20):
            began = time.monotonic()
            assert not await recorder.record(exchange(f"{number:02}"))
            waits.append(time.monotonic() - began)
        assert not recorder.health.ok
        assert "held by another process" in recorder.health.reason
        holder.close(True)
        await catches_up(recorder)
        assert recorder.health.ok
        assert await recorder.record(exchange("20"))

    recording(tmp_path, body, budget_s=0.2)

    assert ids(tmp_path) == [f"{number:02}" for number in range(21)]
    assert waits[0] >= 0.19
    assert sorted(waits)[10] < 0.1


def test_a_store_held_for_a_moment_is_waited_for(tmp_path: Path) -> None:
    async def body(recorder: Recorder) -> None:
        holder = apsw.Connection(str(tmp_path / "slimdown.db"))
        holder.execute("BEGIN IMMEDIATE")
        asyncio.get_running_loop().call_later(0.05, holder.execute, "ROLLBACK")
        records = [recorder.record(exchange(f"{number}")) for number in range(5)]
        assert await asyncio.gather(*records) == [True] * 5
        assert recorder.health.ok
        holder.close()

    recording(tmp_path, body, budget_s=PATIENCE_S)


def test_a_recorder_closed_while_the_store_is_held_leaves_nobody_waiting(tmp_path: Path) -> None:
    async def body(recorder: Recorder) -> None:
        holder = apsw.Connection(str(tmp_path / "slimdown.db"))
        holder.execute("BEGIN IMMEDIATE")
        waiting = [asyncio.ensure_future(recorder.record(exchange(f"{i}"))) for i in range(3)]
        await asyncio.sleep(0)
        await recorder.close(0.1)
        assert await asyncio.gather(*waiting) == [False] * 3
        holder.close(True)

    recording(tmp_path, body, budget_s=PATIENCE_S)


def test_what_memory_does_not_hold_is_dropped_and_counted(tmp_path: Path) -> None:
    async def body(recorder: Recorder) -> None:
        holder = apsw.Connection(str(tmp_path / "slimdown.db"))
        holder.execute("BEGIN IMMEDIATE")
        for number in range(10):
            recorder.note(exchange(f"{number}", 2_000))
        assert not await recorder.record(exchange("too many", 2_000))
        assert recorder.health.n_lost == 6
        assert recorder.health.waiting_bytes == 5_000
        holder.close(True)
        await catches_up(recorder)

    recording(tmp_path, body, max_waiting_bytes=5_000)

    assert ids(tmp_path) == ["0", "1", "2", "3", "4"]


def test_a_full_disk_is_told_and_what_waited_is_written_when_space_returns(disk: Path) -> None:
    outcomes: dict[str, bool] = {}

    async def body(recorder: Recorder) -> None:
        for number in range(400):
            outcomes[f"{number:03}"] = await recorder.record(exchange(f"{number:03}", 4_000))
        assert not recorder.health.ok
        assert "Free disk space" in recorder.health.reason
        told = {name for name, is_stored in outcomes.items() if is_stored}
        assert told <= set(ids(disk / "workspace"))
        (disk / "ballast").unlink()
        assert mount("-o", "remount,size=16M", str(disk))
        await catches_up(recorder)
        assert recorder.health.ok

    (disk / "ballast").write_bytes(bytes(1 << 18))
    recording(disk / "workspace", body)

    assert set(outcomes.values()) == {True, False}
    assert ids(disk / "workspace") == sorted(outcomes)


def test_a_gateway_comes_up_on_a_full_disk_and_records_when_space_returns(disk: Path) -> None:
    told: list[str] = []

    async def body(recorder: Recorder) -> None:
        assert not recorder.health.ok
        assert not await recorder.record(exchange("1"))
        (disk / "ballast").unlink()
        await catches_up(recorder)
        assert await recorder.record(exchange("2"))

    with (disk / "ballast").open("wb", buffering=0) as file, pytest.raises(OSError, match="space"):
        while True:
            file.write(bytes(4_096))
    recording(disk / "workspace", body, on_broken=told.append)

    assert len(told) == 1
    assert ids(disk / "workspace") == ["1", "2"]


def test_a_gateway_that_came_up_on_a_read_only_disk_mends_without_a_call(disk: Path) -> None:
    async def body(recorder: Recorder) -> None:
        assert "Read-only file system" in recorder.health.reason
        assert mount("-o", "remount,rw", str(disk))
        until = time.monotonic() + PATIENCE_S
        while not recorder.health.ok and time.monotonic() < until:
            await asyncio.sleep(0.01)
        assert recorder.health.ok

    assert mount("-o", "remount,ro", str(disk))
    recording(disk / "workspace", body)


def test_a_folder_moved_away_stops_acknowledging_until_it_is_put_back(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"

    async def body(recorder: Recorder) -> None:
        assert await recorder.record(exchange("1"))
        here.rename(there)
        assert not await recorder.record(exchange("2"))
        assert "Put the folder back" in recorder.health.reason
        assert not here.exists()
        there.rename(here)
        await catches_up(recorder)
        assert await recorder.record(exchange("3"))

    recording(here, body)

    assert ids(here) == ["1", "2", "3"]


def test_a_workspace_made_anew_is_recorded_to_with_what_waited(tmp_path: Path) -> None:
    folder = tmp_path / "workspace"

    async def body(recorder: Recorder) -> None:
        assert await recorder.record(exchange("1"))
        shutil.rmtree(folder)
        assert not await recorder.record(exchange("2"))
        assert not folder.exists()
        Store.open(folder, KEY).close()
        await catches_up(recorder)
        assert await recorder.record(exchange("3"))

    recording(folder, body)

    assert ids(folder) == ["2", "3"]
