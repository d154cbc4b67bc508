"""Disks that fail and processes that are killed: nothing is acknowledged that is not kept."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from slimdown.seal import encode_key
from slimdown.store import Store

KEY = {"SLIMDOWN_KEY": encode_key(b"k" * 32)}


def ids(folder: Path) -> list[str]:
    with Store.open(folder, KEY, write=False) as store:
        return sorted(call.id for call in store.calls())


SECCOMP = """
import asyncio, ctypes, struct, sys, time
from pathlib import Path
from slimdown.exchange import Exchange
from slimdown.gateway.recorder import Recorder
from slimdown.store import Store
from slimdown.testing import sample_call

def fail(*calls, everywhere=True):
    '''Have the kernel answer these system calls of ours, or of this thread, with EIO.'''
    steps = [struct.pack("HBBI", 0x20, 0, 0, 0)]
    for call in calls:
        steps.append(struct.pack("HBBI", 0x15, 0, 1, call))
        steps.append(struct.pack("HBBI", 0x06, 0, 0, 0x00050000 | 5))
    steps.append(struct.pack("HBBI", 0x06, 0, 0, 0x7FFF0000))
    code = ctypes.create_string_buffer(b"".join(steps))
    program = struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(38, 1, 0, 0, 0) or libc.syscall(317, 1, int(everywhere), program):
        sys.exit(77)

def exchange(name, text="x"):
    return Exchange(call_id=name, path="/", request_headers=(), request_body=text.encode(),
                    started_at=0.0, latency_ms=1.0)

def recorder():
    environ = {"SLIMDOWN_KEY": sys.argv[2]}
    return Recorder(lambda: Store.open(Path(sys.argv[1]), environ, role="gateway"),
                    lambda seen: sample_call(seen.request_body.decode(), id=seen.call_id))
"""

WRITE_FAILS = """
async def main():
    made = recorder()
    made.start()
    assert await made.record(exchange("before"))
    fail(18)  # pwrite64
    assert not await made.record(exchange("after"))
    assert not await made.record(exchange("later"))
    print(made.health.reason, made.health.n_waiting)
    await made.close(0.2)

asyncio.run(main())
"""

SYNC_FAILS = """
import os

async def main():
    made = recorder()
    made.start()
    fail(74, 75)  # fsync, fdatasync
    until = time.monotonic() + 10
    while made.health.ok and time.monotonic() < until:
        await made.record(exchange(os.urandom(16).hex(), os.urandom(50_000).hex()))
    assert not await made.record(exchange("after"))
    time.sleep(1)
    assert not await made.record(exchange("later"))
    print(made.health.reason, made.health.n_waiting)
    await made.close(0.2)

asyncio.run(main())
"""


LOOP_CANNOT_SYNC = """
import os

async def write(made, n_calls):
    for _ in range(n_calls):
        seen = exchange(os.urandom(16).hex(), os.urandom(25_000).hex())
        assert await made.record(seen), made.health.reason
    return (Path(sys.argv[1]) / "slimdown.db-wal").stat().st_size

async def main():
    made = recorder()
    made.start()
    fail(74, 75, everywhere=False)
    for _ in range(4):
        longest = await write(made, 100)
        await asyncio.sleep(0.7)  # long enough to move the log, too short to begin it anew
    await asyncio.sleep(2)
    assert await write(made, 100) == longest, "the log was not begun anew"
    await made.close(5)
    print("never synced")

asyncio.run(main())
"""

IMPORT_SYNC_FAILS = """
from slimdown.errors import StoreUnwritable

with Store.open(Path(sys.argv[1]), {"SLIMDOWN_KEY": sys.argv[2]}) as store:
    store.add([sample_call(id="before")])
    fail(74, 75)
    for name in ("after", "later"):
        try:
            store.add([sample_call(id=name)])
        except StoreUnwritable as error:
            print(error)
"""


def run_failing(folder: Path, script: str) -> str:
    arguments = [sys.executable, "-c", SECCOMP + script, str(folder), KEY["SLIMDOWN_KEY"]]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode == 77:
        pytest.skip("the kernel lets nobody here have system calls fail")
    assert done.returncode == 0, done.stderr
    return done.stdout


needs_x86 = pytest.mark.skipif(
    sys.platform != "linux" or os.uname().machine != "x86_64",
    reason="the numbers of the system calls are those of Linux on x86-64",
)


@needs_x86
def test_a_disk_that_fails_to_write_is_never_told_as_stored(tmp_path: Path) -> None:
    said = run_failing(tmp_path, WRITE_FAILS)

    assert "cannot be written" in said
    assert said.split()[-1] == "2"
    assert ids(tmp_path) == ["before"]


@needs_x86
def test_a_disk_that_fails_to_keep_ends_recording_and_is_not_tried_again(tmp_path: Path) -> None:
    said = run_failing(tmp_path, SYNC_FAILS)

    assert "failed to keep what was written" in said
    assert "after" not in ids(tmp_path)


@needs_x86
def test_the_loop_never_waits_for_a_sync_of_the_disk(tmp_path: Path) -> None:
    said = run_failing(tmp_path, LOOP_CANNOT_SYNC)

    assert said == "never synced\n"
    assert len(ids(tmp_path)) == 500


@needs_x86
def test_an_import_onto_a_disk_that_fails_to_keep_ends_and_is_not_tried_again(
    tmp_path: Path,
) -> None:
    said = run_failing(tmp_path, IMPORT_SYNC_FAILS)

    assert said.count("failed to keep what was written") == 2
    assert "later" not in ids(tmp_path)


ACKNOWLEDGER = """
import asyncio, os, sys
from pathlib import Path
from slimdown.exchange import Exchange
from slimdown.gateway.recorder import Recorder
from slimdown.store import Store
from slimdown.testing import sample_call

environ = {"SLIMDOWN_KEY": sys.argv[2]}
recorder = Recorder(lambda: Store.open(Path(sys.argv[1]), environ, role="gateway"),
                    lambda seen: sample_call(seen.call_id, id=seen.call_id))

async def client(n):
    for i in range(10_000):
        name = f"{sys.argv[3]}-{n}-{i}"
        seen = Exchange(call_id=name, path="/", request_headers=(), request_body=b"",
                        started_at=0.0, latency_ms=1.0)
        if await recorder.record(seen):
            os.write(1, f"{name}\\n".encode())

async def main():
    recorder.start()
    await asyncio.gather(*(client(n) for n in range(8)))

asyncio.run(main())
"""


def test_what_was_acknowledged_outlives_a_killed_process(tmp_path: Path) -> None:
    acknowledged: list[bytes] = []
    for number in range(10):
        arguments = [sys.executable, "-c", ACKNOWLEDGER, str(tmp_path), KEY["SLIMDOWN_KEY"]]
        with subprocess.Popen([*arguments, str(number)], stdout=subprocess.PIPE) as gateway:
            assert gateway.stdout is not None
            acknowledged += [gateway.stdout.readline() for _ in range(20 * (number + 1))]
            gateway.kill()
            acknowledged += gateway.stdout.readlines()

    stored = ids(tmp_path)
    assert len(stored) == len(set(stored))
    assert {line.decode().strip() for line in acknowledged if line.endswith(b"\n")} <= set(stored)
    assert len(acknowledged) >= 1_100
