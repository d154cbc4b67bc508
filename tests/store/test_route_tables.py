"""Route tables in the store: one after the other, none lost, none half."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from slimdown.errors import RouteConflict, SealBroken
from slimdown.seal import encode_key
from slimdown.store import Store
from slimdown.types import Route, RouteTable

KEY = {"SLIMDOWN_KEY": encode_key(b"k" * 32)}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path, KEY) as opened:
        yield opened


def table(version: int, reason: str = "", name: str = "intent") -> RouteTable:
    route = Route(
        task_id="t", task_name=name, specialist_id="s", rung="linear", stage="canary", share=0.1
    )
    return RouteTable(version=version, tasks_id="tasks", routes=(route,), reason=reason)


def test_a_workspace_without_routes_has_the_empty_table(store: Store) -> None:
    assert store.routes() == RouteTable()
    assert store.route_history() == []


def test_the_newest_table_is_in_force_and_the_others_are_history(store: Store) -> None:
    for version in (1, 2, 3):
        store.put_routes(table(version))

    assert store.routes() == table(3)
    assert store.route_history() == [table(3), table(2), table(1)]


@pytest.mark.parametrize("version", [0, 1, 3, -1])
def test_a_version_that_does_not_follow_the_newest_is_refused(store: Store, version: int) -> None:
    store.put_routes(table(1, "the first"))

    with pytest.raises(RouteConflict, match=r"at version 1.*Nothing was changed"):
        store.put_routes(table(version))

    assert store.route_history() == [table(1, "the first")]


def test_a_table_comes_with_what_it_needs_or_not_at_all(store: Store) -> None:
    store.put_routes(table(1), {("tasks", "a"): {"tasks": []}, ("other", "b"): 1})
    with pytest.raises(RouteConflict):
        store.put_routes(table(1), {("tasks", "a"): "changed"})
    with pytest.raises(TypeError):
        store.put_routes(table(2), {("tasks", "a"): "changed", ("tasks", "b"): object()})

    assert store.result("tasks", "a") == {"tasks": []}
    assert store.result("other", "b") == 1
    assert store.routes().version == 1


def test_of_many_who_change_the_table_at_once_one_succeeds(tmp_path: Path, store: Store) -> None:
    barrier, outcomes = threading.Barrier(4), []

    def change(name: str) -> None:
        with Store.open(tmp_path, KEY, role="short") as own:
            barrier.wait()
            try:
                own.put_routes(table(1, name))
                outcomes.append(name)
            except RouteConflict:
                outcomes.append("refused")

    threads = [threading.Thread(target=change, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert outcomes.count("refused") == 3
    assert store.routes().reason in outcomes


def test_a_change_of_routes_is_seen_by_those_who_watch(tmp_path: Path, store: Store) -> None:
    with Store.open(tmp_path, KEY, write=False) as watcher:
        before = watcher.data_version()
        unchanged = watcher.data_version()
        store.put_routes(table(1))

        assert unchanged == before
        assert watcher.data_version() != before
        assert watcher.routes() == table(1)


def test_no_name_of_a_task_stands_in_any_file(tmp_path: Path, store: Store) -> None:
    store.put_routes(table(1, "canary-reason", "canary-name"))

    files = [file for file in tmp_path.iterdir() if file.is_file()]
    assert not [file for file in files if b"canary-" in file.read_bytes()]


def test_an_old_table_put_in_place_of_the_newest_does_not_open(
    tmp_path: Path, store: Store
) -> None:
    store.put_routes(table(1))
    store.put_routes(table(2))
    connection = apsw.Connection(str(tmp_path / "slimdown.db"))
    connection.execute(
        "UPDATE route_table SET sealed = (SELECT sealed FROM route_table WHERE version = 1)"
    )
    connection.close()

    with pytest.raises(SealBroken, match="routes/1/2"):
        store.routes()
