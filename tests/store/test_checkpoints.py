"""The gateway's log: moved into the database beside the writer, begun anew, never in the way."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest

from slimdown.errors import StoreLocked
from slimdown.seal import encode_key
from slimdown.store import Store
from slimdown.testing import sample_call

KEY = {"SLIMDOWN_KEY": encode_key(b"k" * 32)}
PATIENCE_S = 20.0
MEBIBYTE = 1 << 20


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path, KEY, role="gateway") as opened:
        yield opened


def write(store: Store, n_mebibytes: int) -> None:
    """Store calls that do not compress."""
    for _ in range(n_mebibytes):
        text = os.urandom(MEBIBYTE // 2).hex()
        while True:
            try:
                store.add_live([sample_call(text)])
                break
            except StoreLocked:  # for a moment, while the log is begun anew
                time.sleep(0.001)


def comes(true: Callable[[], bool]) -> bool:
    """Wait until something is true."""
    until = time.monotonic() + PATIENCE_S
    while not true() and time.monotonic() < until:
        time.sleep(0.02)
    return true()


def test_what_is_in_the_log_gets_into_the_database_by_itself(tmp_path: Path, store: Store) -> None:
    write(store, 8)

    # The calls are hexadecimal digits, of which half are left when compressed.
    assert comes(lambda: (tmp_path / "slimdown.db").stat().st_size > 4 * MEBIBYTE)


def test_a_long_log_is_begun_anew_once_no_reader_needs_it_and_the_writer_goes_on(
    tmp_path: Path, store: Store
) -> None:
    log = tmp_path / "slimdown.db-wal"
    write(store, 1)
    reader = apsw.Connection(str(tmp_path / "slimdown.db"))
    reading = reader.execute("SELECT number FROM call UNION ALL SELECT 1")
    next(reading)

    def is_begun_anew() -> bool:
        before = log.stat().st_size
        write(store, 1)
        return log.stat().st_size <= before

    write(store, 130)
    assert log.stat().st_size > 64 * MEBIBYTE
    assert not is_begun_anew()
    reader.close(True)

    assert comes(is_begun_anew)
    assert store.count() == sum(1 for _ in store.calls())


def test_a_closed_gateway_leaves_one_file_with_all_in_it(tmp_path: Path) -> None:
    with Store.open(tmp_path, KEY, role="gateway") as store:
        store.add_live([sample_call()])
    files = {file.name for file in tmp_path.iterdir()}

    assert files == {"slimdown.db", "gateway.lock"}
    with Store.open(tmp_path, KEY, write=False) as reader:
        assert reader.count() == 1
