"""Route tables are followed while others write; what cannot be read changes nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from routed_tasks import RELEASE, ROUTE, TASK, TASKS, TASKS_ID, changed, table

from slimdown.errors import StoreError
from slimdown.gateway.in_force import InForce
from slimdown.gateway.watch import RouteWatch
from slimdown.store import Store
from slimdown.types import Release, RouteTable

RETIRED = changed(ROUTE, stage="retired")


class Folder:
    """A workspace that tests write as `promote` does."""

    def __init__(self, path: Path) -> None:
        self.path = path / "workspace"
        self.environ = {"SLIMDOWN_KEY_FILE": str(path / "key")}

    def read(self) -> Store:
        return Store.open(self.path, self.environ, write=False)

    def put(self, routes: RouteTable, *releases: Release, tasks: Any = TASKS) -> None:
        with Store.open(self.path, self.environ) as store:
            for release in releases:
                store.put_result("release", release.specialist_id, release)
            store.put_routes(routes, {("tasks", TASKS_ID): tasks})


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@contextmanager
def watching(folder: Folder, **options: Any) -> Iterator[RouteWatch]:
    watch = RouteWatch(folder.read, **{"poll_s": 0.01, **options})
    watch.start()
    try:
        watch.look_again()
        yield watch
    finally:
        watch.close()


def test_without_a_workspace_nothing_is_routed_and_the_problem_is_told(folder: Folder) -> None:
    with watching(folder) as watch:
        assert not watch.current.is_active
        assert "there is no workspace" in watch.problem


def test_a_workspace_that_appears_is_found(folder: Folder) -> None:
    with watching(folder) as watch:
        folder.put(table(ROUTE), RELEASE)
        watch.look_again()

        assert (watch.current.is_active, watch.problem) == (True, "")


def test_what_is_in_force_holds_all_that_deciding_takes(folder: Folder) -> None:
    folder.put(table(ROUTE), RELEASE)

    with watching(folder) as watch:
        current = watch.current

    assert (current.table.version, current.tasks) == (1, TASKS)
    assert (current.releases, current.routes) == ({"s1": RELEASE}, {"t1": ROUTE})


def test_each_change_is_followed_and_told_once(folder: Folder) -> None:
    told: list[InForce] = []
    folder.put(table(ROUTE), RELEASE)

    with watching(folder, on_change=told.append) as watch:
        folder.put(table(RETIRED, version=2))
        watch.look_again()
        watch.look_again()

    assert [(each.table.version, each.is_active) for each in told] == [(1, True), (2, False)]


def test_writing_something_else_changes_nothing(folder: Folder) -> None:
    folder.put(table(ROUTE), RELEASE)

    with watching(folder) as watch:
        before = watch.current
        with Store.open(folder.path, folder.environ) as store:
            store.put_result("report", "latest", {"n": 1})
        watch.look_again()

        assert watch.current is before


@pytest.mark.parametrize(
    "release",
    [
        changed(RELEASE, specialist_id="another"),
        changed(RELEASE, task=changed(TASK, template=changed(TASK.template, tools_id="x"))),
    ],
    ids=["missing", "another template"],
)
def test_a_route_whose_specialist_is_not_there_asks_nobody(
    folder: Folder, release: Release
) -> None:
    folder.put(table(ROUTE), release)

    with watching(folder) as watch:
        assert not watch.current.is_active
        assert "for: sort" in watch.problem
        assert "go to the upstream" in watch.problem


def test_a_release_that_comes_later_mends_its_route(folder: Folder) -> None:
    folder.put(table(ROUTE))

    with watching(folder) as watch:
        with Store.open(folder.path, folder.environ) as store:
            store.put_result("release", "s1", RELEASE)
        watch.look_again()

        assert (watch.current.is_active, watch.problem) == (True, "")


def test_tasks_of_an_odd_shape_route_nothing(folder: Folder) -> None:
    folder.put(table(ROUTE), RELEASE, tasks={"tasks": 7})

    with watching(folder) as watch:
        assert not watch.current.is_active
        assert watch.problem


def test_a_release_that_loses_its_certificate_is_noticed_in_time(folder: Folder) -> None:
    folder.put(table(ROUTE), RELEASE)

    with watching(folder, refresh_s=0.02) as watch:
        with Store.open(folder.path, folder.environ) as store:
            store.put_result("release", "s1", changed(RELEASE, certificate=None))
        for _ in range(3):
            watch.look_again()

        assert watch.current.releases["s1"].certificate is None


def test_a_store_that_cannot_be_read_leaves_the_last_routes_in_force(folder: Folder) -> None:
    gone: list[bool] = []

    def read() -> Store:
        if gone:
            raise StoreError("the file is damaged. Nothing was changed.")
        return folder.read()

    folder.put(table(ROUTE), RELEASE)
    watch = RouteWatch(read, poll_s=0.01, refresh_s=0.01)
    watch.start()
    watch.look_again()
    gone.append(True)
    watch.look_again()
    watch.look_again()

    found = (watch.current.is_active, watch.problem)
    gone.clear()
    watch.look_again()
    watch.look_again()
    watch.close()

    assert found[0]
    assert "the file is damaged" in found[1]
    assert watch.problem == ""


def test_a_workspace_made_anew_is_followed(folder: Folder, tmp_path: Path) -> None:
    folder.put(table(ROUTE), RELEASE)

    with watching(folder, refresh_s=0.02) as watch:
        folder.path.rename(tmp_path / "old")
        folder.put(table(RETIRED))
        for _ in range(4):
            watch.look_again()

        assert not watch.current.is_active


def test_closing_what_never_started_is_fine(folder: Folder) -> None:
    watch = RouteWatch(folder.read)

    watch.close()

    assert not watch.current.is_active
