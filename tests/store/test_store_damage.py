"""A database file changed behind the store's back: what is whole is read, the rest is told."""

from __future__ import annotations

import shutil
from pathlib import Path

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slimdown.errors import SealBroken, SlimdownError, StoreError
from slimdown.seal import encode_key
from slimdown.store import Broken, Store
from slimdown.testing import sample_call
from slimdown.types import Call

KEY = {"SLIMDOWN_KEY": encode_key(b"k" * 32)}
FILE = "slimdown.db"
WAL = "slimdown.db-wal"
PAGE_BYTES = 4_096
CALLS = {
    f"call-{i}": sample_call(
        f"question {i} {'x' * 60}", f"answer {i}", id=f"call-{i}", session_id="s"
    )
    for i in range(40)
}
ODD = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def filled(folder: Path) -> Path:
    with Store.open(folder, KEY) as store:
        store.add(CALLS.values())
        store.put_result("tasks", "a", {"name": "a"})
        store.put_result("tasks", "b", {"name": "b"})
        store.compact()
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return the bytes of a workspace's file, compacted."""
    return (filled(tmp_path_factory.mktemp("whole")) / FILE).read_bytes()


@pytest.fixture
def folder(tmp_path: Path, whole: bytes) -> Path:
    """Return a workspace with forty calls and two results, of which nobody writes."""
    return with_file(tmp_path / "workspace", whole)


def with_file(folder: Path, data: bytes) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / FILE).write_bytes(data)
    return folder


def alter(folder: Path, statement: str) -> None:
    connection = apsw.Connection(str(folder / FILE))
    connection.execute(statement)
    connection.close()


def survivors(folder: Path) -> tuple[list[Call], list[Broken]]:
    broken: list[Broken] = []
    with Store.open(folder, KEY) as store:
        return list(store.calls(on_broken=broken.append)), broken


def as_said(call: Call) -> tuple[object, ...]:
    """Return what of a call is sealed; times, latencies and counts lie open."""
    return call.request, call.response, call.session_id, call.label, call.error, call.metadata


def assert_none_is_altered(folder: Path) -> None:
    """Check that a damaged file gives calls as they were, or an error of ours, and nothing else."""
    try:
        found, _ = survivors(folder)
    except SlimdownError as error:
        assert str(folder) in str(error) or "sealed record" in str(error)
        return
    assert [as_said(call) for call in found] == [as_said(CALLS[call.id]) for call in found]


@ODD
@given(data=st.data())
def test_a_bit_flipped_anywhere_never_gives_an_altered_call(
    tmp_path: Path, whole: bytes, data: st.DataObject
) -> None:
    damaged = bytearray(whole)
    place = data.draw(st.integers(0, len(whole) - 1))
    damaged[place] ^= 1 << data.draw(st.integers(0, 7))

    assert_none_is_altered(with_file(tmp_path / "workspace", bytes(damaged)))


@ODD
@given(data=st.data())
def test_a_page_of_zeros_never_gives_an_altered_call(
    tmp_path: Path, whole: bytes, data: st.DataObject
) -> None:
    start = PAGE_BYTES * data.draw(st.integers(0, len(whole) // PAGE_BYTES - 1))
    damaged = whole[:start] + bytes(PAGE_BYTES) + whole[start + PAGE_BYTES :]

    assert_none_is_altered(with_file(tmp_path / "workspace", damaged))


@ODD
@given(data=st.data())
def test_a_file_cut_anywhere_never_gives_an_altered_call(
    tmp_path: Path, whole: bytes, data: st.DataObject
) -> None:
    cut = data.draw(st.integers(1, len(whole) - 1))

    assert_none_is_altered(with_file(tmp_path / "workspace", whole[:cut]))


SPOILT = [
    "sealed = 'a text'",
    "sealed = CAST(x'f0f1' AS TEXT)",
    "sealed = 7",
    "sealed = x''",
    "hash = 'a text'",
    "hash = CAST(x'ff' AS TEXT)",
    "rest = 'a text'",
    "rest = -1",
    "frame = x'00'",
    "answer = NULL",
    "answer = 1e300",
    "history = NULL",
    "history = 999999",
]


@pytest.mark.parametrize("change", SPOILT)
def test_a_column_of_any_other_kind_spoils_its_own_record_alone(folder: Path, change: str) -> None:
    alter(folder, f"UPDATE call SET {change} WHERE number = 3")

    found, broken = survivors(folder)

    assert [call.id for call in found] == [each for each in CALLS if each != "call-2"]
    assert [each.record for each in broken] == [3]
    assert broken[0].reason


@pytest.mark.parametrize("column", ["model", "status"])
def test_a_plain_fact_that_is_no_text_hides_no_call(folder: Path, column: str) -> None:
    alter(folder, f"UPDATE call SET {column} = CAST(x'66f0' AS TEXT) WHERE number = 3")

    found, broken = survivors(folder)
    with Store.open(folder, KEY) as store:
        row = store.list_calls()[2]

    assert (found, broken) == (list(CALLS.values()), [])
    assert getattr(row, column) == "f\ufffd"


def test_a_time_that_is_no_text_moves_its_call_and_loses_none(folder: Path) -> None:
    alter(folder, "UPDATE call SET started_at = CAST(x'ff' AS TEXT) WHERE number = 3")

    found, broken = survivors(folder)

    assert not broken
    assert [call.id for call in found][-1] == "call-2"
    assert {call.id for call in found} == set(CALLS)


@pytest.mark.parametrize("value", ["'a text'", "CAST(x'f0' AS TEXT)", "7", "zeroblob(40)"])
def test_a_spoilt_part_takes_only_the_calls_that_share_it(folder: Path, value: str) -> None:
    alter(folder, f"UPDATE part SET sealed = {value} WHERE number = (SELECT max(number) FROM part)")

    found, broken = survivors(folder)

    assert len(found) == 39
    assert [each.record for each in broken] == [40]


def test_a_list_of_calls_marks_the_broken_one_by_its_record(folder: Path) -> None:
    alter(folder, "UPDATE call SET sealed = 'a text' WHERE number = 3")

    with Store.open(folder, KEY) as store:
        row = store.list_calls()[2]

    assert (row.id, row.status, row.model) == ("record 3", "broken", "gpt-4o-mini")


def test_a_damaged_workspace_still_takes_new_calls_and_results(folder: Path) -> None:
    alter(folder, "UPDATE call SET sealed = x'00' WHERE number = 3")

    with Store.open(folder, KEY) as store:
        added = store.add([*CALLS.values(), sample_call(id="new-call")])
        store.put_result("tasks", "c", 1)

        assert (added.n_new, added.n_known) == (1, 40)
        assert store.call("new-call") == sample_call(id="new-call")
        assert store.result("tasks", "c") == 1


def test_a_call_carried_over_from_another_workspace_does_not_open(
    folder: Path, tmp_path: Path
) -> None:
    with Store.open(tmp_path / "other", KEY) as other:
        other.add([sample_call("from elsewhere", "stranger", id="stranger")])
    alter(
        folder,
        f"ATTACH '{tmp_path / 'other' / FILE}' AS other; UPDATE call SET (hash, sealed) = "
        "(SELECT hash, sealed FROM other.call) WHERE number = 3",
    )

    found, broken = survivors(folder)

    assert (len(found), [each.record for each in broken]) == (39, [3])
    assert "not those it was stored with" in broken[0].reason


MOVES = [
    "UPDATE result SET sealed = (SELECT sealed FROM result WHERE number = 2) WHERE number = 1",
    "UPDATE result SET stage = 'other'",
    "UPDATE result SET sealed = 'a text'",
    "UPDATE result SET sealed = zeroblob(64)",
]


@pytest.mark.parametrize("statement", MOVES)
def test_a_result_moved_or_spoilt_is_told_and_the_calls_are_read(
    folder: Path, statement: str
) -> None:
    alter(folder, statement)

    with Store.open(folder, KEY) as store:
        with pytest.raises(SealBroken, match="result/1/"):
            [store.results(stage) for stage in ("tasks", "other")]
        assert len(list(store.calls())) == 40


def test_a_spoilt_key_check_is_a_key_that_does_not_fit(folder: Path) -> None:
    alter(folder, "UPDATE meta SET value = zeroblob(40)")

    with pytest.raises(SlimdownError, match="Nothing was changed"):
        Store.open(folder, KEY)


@pytest.mark.parametrize("table", ["call", "part", "history", "result", "meta"])
def test_a_table_that_is_gone_is_an_error_that_names_it(folder: Path, table: str) -> None:
    alter(folder, f"DROP TABLE {table}")

    with (
        pytest.raises(StoreError, match=f"no such table: {table}"),
        Store.open(folder, KEY) as store,
    ):
        store.results("tasks")
        list(store.calls())


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """Return a file and its log as a power cut leaves them: 5 calls in the file, 15 in the log."""
    folder = tmp_path_factory.mktemp("living")
    calls = list(CALLS.values())
    with Store.open(folder, KEY) as store:
        store.add(calls[:5])
        store.compact()
        for start in (5, 10, 15):
            store.add(calls[start : start + 5])
        return (folder / FILE).read_bytes(), (folder / WAL).read_bytes()


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_log_cut_anywhere_gives_whole_transactions_and_takes_the_rest_again(
    tmp_path: Path, crashed: tuple[bytes, bytes], data: st.DataObject
) -> None:
    file, log = crashed
    folder = with_file(tmp_path / "workspace", file)
    (folder / WAL).write_bytes(log[: data.draw(st.integers(0, len(log)))])

    with Store.open(folder, KEY) as store:
        n_kept = store.count()
        added = store.add(CALLS.values())

        assert n_kept in (5, 10, 15, 20)
        assert (added.n_known, added.n_new) == (n_kept, 40 - n_kept)
        assert list(store.calls()) == list(CALLS.values())


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_bit_flipped_in_the_log_ends_it_there_and_alters_nothing(
    tmp_path: Path, crashed: tuple[bytes, bytes], data: st.DataObject
) -> None:
    file, log = crashed
    folder = with_file(tmp_path / "workspace", file)
    damaged = bytearray(log)
    damaged[data.draw(st.integers(0, len(log) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    (folder / WAL).write_bytes(bytes(damaged))

    found, broken = survivors(folder)

    assert len(found) in (5, 10, 15, 20)
    assert (found, broken) == (list(CALLS.values())[: len(found)], [])


LOGS: dict[str, bytes | None] = {
    "missing": None,
    "empty": b"",
    "zeros": bytes(9_000),
    "text": b"x" * 99,
}


@pytest.mark.parametrize("name", LOGS)
def test_a_log_that_is_lost_costs_only_what_stood_in_it(
    tmp_path: Path, crashed: tuple[bytes, bytes], name: str
) -> None:
    folder = with_file(tmp_path / "workspace", crashed[0])
    content = LOGS[name]
    if content is not None:
        (folder / WAL).write_bytes(content)

    found, broken = survivors(folder)

    assert (found, broken) == (list(CALLS.values())[:5], [])


def test_a_stale_index_of_the_log_is_made_anew(
    tmp_path: Path, crashed: tuple[bytes, bytes]
) -> None:
    folder = with_file(tmp_path / "workspace", crashed[0])
    (folder / WAL).write_bytes(crashed[1])
    (folder / "slimdown.db-shm").write_bytes(b"\xff" * 32_768)

    found, broken = survivors(folder)

    assert (found, broken) == (list(CALLS.values())[:20], [])
