"""New calls as they come, who answered them, and workspaces of the first schema."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest

from slimdown.errors import StoreError
from slimdown.seal import encode_key
from slimdown.store import Role, Store, schema
from slimdown.testing import sample_call
from slimdown.types import JsonObject, RouteTable

KEY = {"SLIMDOWN_KEY": encode_key(b"k" * 32)}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path, KEY) as opened:
        yield opened


def test_nothing_is_newer_than_the_last(store: Store) -> None:
    assert store.last() == 0
    store.add([sample_call(f"{i}") for i in range(3)])

    assert store.last() == 3
    assert store.newer(store.last()) == []


def test_newer_calls_come_by_number_whatever_their_times(store: Store) -> None:
    store.add([sample_call(id="a", started_at="2025-02-01"), sample_call(id="b")])
    after = store.last()
    store.add([sample_call(id=name, started_at=f"2025-01-0{9 - i}") for i, name in enumerate("cd")])

    assert [(number, row.id) for number, row in store.newer(after)] == [(3, "c"), (4, "d")]
    assert [row.id for _, row in store.newer(0, limit=2)] == ["a", "b"]


def test_one_who_follows_sees_what_another_process_stores(tmp_path: Path, store: Store) -> None:
    with Store.open(tmp_path, KEY, write=False) as follower:
        seen = follower.last()
        store.add_live([sample_call(id="new")])

        assert [row.id for _, row in follower.newer(seen)] == ["new"]


METADATA: list[tuple[JsonObject, str | None]] = [
    ({"gateway": {"served_by": "upstream"}}, "upstream"),
    ({"gateway": {"served_by": "0123abcd"}}, "0123abcd"),
    ({"gateway": {"served_by": ["odd"]}}, None),
    ({"gateway": "odd"}, None),
    ({}, None),
]


@pytest.mark.parametrize(("metadata", "served_by"), METADATA)
def test_a_list_tells_who_answered(
    store: Store, metadata: JsonObject, served_by: str | None
) -> None:
    store.add([sample_call(metadata=metadata)])

    [row] = store.list_calls()

    assert row.served_by == served_by
    assert next(store.calls()).metadata == metadata


@pytest.fixture
def old(tmp_path: Path) -> Callable[[], Path]:
    """Return what makes a workspace of the first schema with two calls in it."""

    def make() -> Path:
        folder = tmp_path / "old"
        with Store.open(folder, KEY) as store:
            store.add([sample_call("a", id="call-a"), sample_call("b", id="call-b")])
        connection = apsw.Connection(str(folder / "slimdown.db"))
        connection.execute("ALTER TABLE call DROP COLUMN served_by")
        connection.execute("DROP TABLE evidence; DROP TABLE route_table; PRAGMA user_version = 1")
        connection.close()
        return folder

    return make


def test_the_first_step_alone_makes_what_an_old_workspace_has(
    old: Callable[[], Path],
) -> None:
    first = apsw.Connection(":memory:")
    schema.STEPS[0](first)
    found = apsw.Connection(str(old() / "slimdown.db"))

    query = "SELECT name FROM sqlite_schema ORDER BY name"
    assert found.execute(query).get == first.execute(query).get
    columns = "SELECT name FROM pragma_table_info('call')"
    assert found.execute(columns).get == first.execute(columns).get
    found.close()


@pytest.mark.parametrize("role", ["batch", "gateway", "short"])
def test_any_writer_brings_an_old_workspace_up_to_date(old: Callable[[], Path], role: Role) -> None:
    with Store.open(old(), KEY, role=role) as store:
        store.put_routes(RouteTable(version=1))
        store.add_live([sample_call("c", metadata={"gateway": {"served_by": "upstream"}})])

        assert [row.served_by for row in store.list_calls()] == [None, None, "upstream"]
        assert store.call("call-a") == sample_call("a", id="call-a")
        assert store.routes().version == 1
        assert list(store.evidence()) == []


def test_a_reader_of_an_old_workspace_is_told_what_to_do(old: Callable[[], Path]) -> None:
    with pytest.raises(StoreError, match=r"not brought up to date.*slimdown import"):
        Store.open(old(), KEY, write=False)
