"""Disks that are full, read-only, held or gone: the caller is answered, and rows come later."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import httpx
import msgspec
import pytest
from faulty import STREAMED, Faulty, faulty, problem
from gateways import ENVIRON, Running
from own_process import own_process
from routed_tasks import ROUTE, TASKS, TASKS_ID, table

from slimdown.store import Store
from slimdown.testing import ScriptedUpstream, answer, completion, completion_chunks, sse

PATIENCE_S = 20.0
GOOD = answer(completion("ok"))


def until_ready(gateway: Running) -> None:
    end = time.monotonic() + PATIENCE_S
    while gateway.get("/readyz").json()["status"] != "ready":
        assert time.monotonic() < end, gateway.get("/readyz").text
        time.sleep(0.05)


def why_degraded(gateway: Running) -> str:
    ready = gateway.get("/readyz")
    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
    return str(ready.json()["problems"]["recorder"])


def unlogged(gateway: Running) -> float:
    """Return the alarm's count: calls that were answered before they were stored."""
    lines = gateway.get("/metrics").text.splitlines()
    (line,) = (each for each in lines if each.startswith("slimdown_unlogged_calls_total "))
    return float(line.split()[1])


def mount(*arguments: str) -> bool:
    command = shutil.which("mount")
    if command is None or os.geteuid() != 0:
        return False
    return subprocess.run([command, *arguments], capture_output=True, check=False).returncode == 0


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Return the folder of a file system of two mebibytes."""
    place = tmp_path / "disk"
    place.mkdir()
    if not mount("-t", "tmpfs", "-o", "size=2M", "tmpfs", str(place)):
        pytest.skip("a small file system needs root and the right to mount")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(disk: Path) -> Path:
    """Take all the space that is left; return the file that has it."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, pytest.raises(OSError, match="space"):
        while True:
            file.write(bytes(4_096))
    return ballast


def ask_until_unlogged(llm: Faulty, script: Any, asked: Any) -> list[httpx.Response]:
    """Ask until an answer comes without its row, which pages already taken may put off."""
    told: list[httpx.Response] = []
    while not told or told[-1].headers["x-slimdown-logged"] == "1":
        assert len(told) < 2_000
        told.append(llm.ask(script, asked))
    return told


@pytest.mark.parametrize("asked", [{}, STREAMED], ids=["whole", "streamed"])
def test_f34_on_a_full_disk_calls_are_answered_and_their_rows_come_when_space_returns(
    disk: Path, asked: Any
) -> None:
    large = {**STREAMED, **asked, "x": "y" * 20_000, "stream": bool(asked)}
    script = sse(completion_chunks("ok")) if asked else GOOD

    with faulty(disk) as llm:
        ballast = fill(disk)
        told = ask_until_unlogged(llm, script, large)
        told += [llm.ask(script, large) for _ in range(3)]
        reason, alarm = why_degraded(llm.gateway), unlogged(llm.gateway)
        ballast.unlink()
        until_ready(llm.gateway)
        rows = llm.gateway.calls_after(len(told))

    assert {each.status_code for each in told} == {200}
    assert "Free disk space" in reason
    assert alarm >= 3
    assert {each.headers["x-slimdown-call-id"] for each in told} == {row.id for row in rows}


def test_f34_closed_it_refuses_before_the_upstream_is_asked_and_opens_by_itself(
    disk: Path,
) -> None:
    large = {**STREAMED, "x": "y" * 20_000, "stream": False}

    with faulty(disk, on_failure="closed") as llm:
        ballast = fill(disk)
        while (told := llm.ask(GOOD, large)).status_code == 200:
            assert told.headers["x-slimdown-logged"] == "1"
        n_before = llm.n_asked
        refused = [llm.ask(GOOD, large) for _ in range(3)]
        n_after = llm.n_asked
        ballast.unlink()
        until_ready(llm.gateway)
        last = llm.ask(GOOD)

    assert {problem(each) for each in (told, *refused)} == {(503, "not_recorded")}
    assert n_after == n_before
    assert (last.status_code, last.headers["x-slimdown-logged"]) == (200, "1")


def test_f34_a_process_that_may_write_no_more_answers_all_the_same(tmp_path: Path) -> None:
    kind = resource.RLIMIT_FSIZE

    with (
        ScriptedUpstream(GOOD) as upstream,
        own_process(tmp_path, upstream.url) as process,
    ):
        before = resource.prlimit(process.popen.pid, kind)
        first = process.gateway.post()
        resource.prlimit(process.popen.pid, kind, (1, before[1]))
        second = process.gateway.post()
        reason = why_degraded(process.gateway)
        resource.prlimit(process.popen.pid, kind, before)
        until_ready(process.gateway)
        rows = process.gateway.calls_after(2)

    assert [each.headers["x-slimdown-logged"] for each in (first, second)] == ["1", "0"]
    assert second.status_code == 200
    assert "cannot be written" in reason
    assert len(rows) == 2


def test_f35_a_gateway_comes_up_over_a_folder_that_it_may_not_write_and_says_so(
    disk: Path,
) -> None:
    assert mount("-o", "remount,ro", str(disk))

    with faulty(disk) as llm:
        told = llm.ask(GOOD)
        reason = why_degraded(llm.gateway)
        assert mount("-o", "remount,rw", str(disk))
        until_ready(llm.gateway)
        rows = llm.gateway.calls_after(1)

    assert (told.status_code, told.headers["x-slimdown-logged"]) == (200, "0")
    assert "Read-only file system" in reason
    assert [row.id for row in rows] == [told.headers["x-slimdown-call-id"]]


def test_f35_a_folder_moved_away_is_missed_and_its_rows_come_when_it_is_put_back(
    tmp_path: Path,
) -> None:
    with faulty(tmp_path) as llm:
        first = llm.ask(GOOD)
        llm.gateway.workspace.rename(tmp_path / "elsewhere")
        second = llm.ask(GOOD)
        reason = why_degraded(llm.gateway)
        (tmp_path / "elsewhere").rename(llm.gateway.workspace)
        until_ready(llm.gateway)
        rows = llm.gateway.calls_after(2)

    assert [each.status_code for each in (first, second)] == [200, 200]
    assert [each.headers["x-slimdown-logged"] for each in (first, second)] == ["1", "0"]
    assert "Put the folder back" in reason
    assert len(rows) == 2


def test_f35_a_folder_deleted_under_it_takes_no_answer_and_no_row(
    tmp_path: Path,
) -> None:
    with faulty(tmp_path) as llm:
        llm.ask(GOOD)
        shutil.rmtree(llm.gateway.workspace)
        told = [llm.ask(GOOD) for _ in range(3)]
        reason = why_degraded(llm.gateway)
        Store.open(llm.gateway.workspace, ENVIRON).close()
        until_ready(llm.gateway)
        rows = llm.gateway.calls_after(3)

    assert {(each.status_code, each.headers["x-slimdown-logged"]) for each in told} == {(200, "0")}
    assert "moved or deleted" in reason
    assert {row.id for row in rows} == {each.headers["x-slimdown-call-id"] for each in told}


def test_a_store_held_by_another_costs_one_call_its_budget_and_the_rest_nothing(
    tmp_path: Path,
) -> None:
    # Were each to wait its budget, they would be twice as long as the patience here.
    with faulty(tmp_path, record_budget_s=2.0) as llm:
        first = llm.ask(GOOD)
        holder = apsw.Connection(str(llm.gateway.workspace / "slimdown.db"))
        holder.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        told = [llm.ask(GOOD) for _ in range(20)]
        waited_s = time.monotonic() - began
        reason = why_degraded(llm.gateway)
        holder.close(True)
        until_ready(llm.gateway)
        rows = llm.gateway.calls_after(21)

    assert {(each.status_code, each.headers["x-slimdown-logged"]) for each in told} == {(200, "0")}
    assert waited_s < PATIENCE_S
    assert "held by another process" in reason
    ids = [each.headers["x-slimdown-call-id"] for each in (first, *told)]
    assert sorted(row.id for row in rows) == sorted(ids)


def test_a_route_that_names_what_is_not_there_sends_its_calls_upstream(tmp_path: Path) -> None:
    with Store.open(tmp_path / "workspace", ENVIRON) as store:
        store.put_routes(table(ROUTE), {("tasks", TASKS_ID): TASKS})

    with faulty(tmp_path) as llm:
        told = llm.ask(GOOD)
        problems = llm.gateway.get("/readyz").json()["problems"]

    assert (told.status_code, told.headers["x-slimdown-served-by"]) == (200, "upstream")
    assert problems.keys() == {"routes"}
    assert "go to the upstream" in problems["routes"]


def test_a_damaged_route_table_sends_all_calls_upstream(tmp_path: Path) -> None:
    with Store.open(tmp_path / "workspace", ENVIRON) as store:
        store.put_routes(table(ROUTE), {("tasks", TASKS_ID): TASKS})
    damaged = apsw.Connection(str(tmp_path / "workspace" / "slimdown.db"))
    damaged.execute("UPDATE route_table SET sealed = x'00112233'")
    damaged.close()

    with faulty(tmp_path) as llm:
        told = llm.ask(GOOD)
        problems = llm.gateway.get("/readyz").json()["problems"]

    assert (told.status_code, told.headers["x-slimdown-logged"]) == (200, "1")
    assert "cannot be read" in problems["routes"]
    assert msgspec.json.decode(told.content) == completion("ok")
