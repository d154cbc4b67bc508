"""Promote, roll back and list routes on a workspace, while others write to it."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from fake_rungs import reachable

from slimdown.errors import ArtefactIncomplete, GateNotMet, RouteConflict, UsageError
from slimdown.seal import encode_key
from slimdown.settings import Settings
from slimdown.store import Store
from slimdown.testing import sample_call
from slimdown.types import Call, Release, RouteTable
from slimdown.workspace import Workspace

ENVIRON = {"SLIMDOWN_KEY": encode_key(bytes(32))}
SYSTEMS = ("Sort this mail.", "Rate the mood of it.")
SKILLED = "fake_rungs:SkilledRung@1/1/1"


def quiet(_share: float, _note: str) -> None:
    pass


def two_tasks(n: int = 160) -> Iterator[Call]:
    for i in range(n):
        word = ("yes", "no")[i // 2 % 2]
        yield sample_call(
            f"{i * 7919 % 1009} {i} is what it says here {i * 31 % 97} {word}",
            word,
            system=SYSTEMS[i % 2],
            started_at=f"2026-01-01T{i // 60:02}:{i % 60:02}:00.000Z",
            session_id=f"s{i}",
        )


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a workspace of two tasks, each with a certified specialist; not to be changed."""
    folder = tmp_path_factory.mktemp("ran")
    with pytest.MonkeyPatch.context() as patch:
        reachable(patch, folder / "notebook")
        log = folder / "log.jsonl"
        log.write_bytes(b"".join(msgspec.json.encode(call) + b"\n" for call in two_tasks()))
        with Workspace.open(settings(folder), ENVIRON) as workspace:
            workspace.import_logs([log], progress=quiet)
            report = workspace.run(quiet)
    assert [task.verdict for task in report.tasks] == ["certified"] * 2
    return folder


@pytest.fixture
def folder(ran: Path, tmp_path: Path) -> Path:
    """Return a copy of that workspace."""
    for path in sorted((ran / "w").rglob("*")):
        copy = tmp_path / path.relative_to(ran)
        copy.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file():
            copy.write_bytes(path.read_bytes())
    return tmp_path


def settings(folder: Path, **fields: float) -> Settings:
    return msgspec.structs.replace(
        Settings(workspace=str(folder / "w"), rungs=(SKILLED,), encoder="hashing", risk=0.3),
        **fields,
    )


def opened(folder: Path, **fields: float) -> Workspace:
    return Workspace.open(settings(folder, **fields), ENVIRON, role="short")


def names(folder: Path) -> list[str]:
    with opened(folder) as workspace:
        return [task.task.name for task in workspace.report().tasks]


def test_a_promoted_specialist_has_its_certificates_threshold(folder: Path) -> None:
    name = names(folder)[0]

    with opened(folder) as workspace:
        table = workspace.promote(name, "live", reason="it is time", author="ada")
        certificate = workspace.report().tasks[0].certificate

    assert certificate is not None
    [route] = table.routes
    assert (route.task_name, route.stage) == (name, "live")
    assert (route.threshold, route.risk) == (certificate.threshold, certificate.risk)
    assert route.specialist_id == certificate.specialist_id
    assert (table.author, table.reason) == ("ada", "it is time")


def test_routes_are_moved_while_a_run_and_a_gateway_write(folder: Path) -> None:
    first, second = names(folder)

    with (
        Store.open(folder / "w", ENVIRON, role="batch"),
        Store.open(folder / "w", ENVIRON, role="gateway"),
        opened(folder) as workspace,
    ):
        workspace.promote(first, "shadow")
        workspace.promote(second, "canary", share=0.1)
        workspace.rollback(first)

        assert [route.stage for route in workspace.routes().routes] == sorted_stages(
            {first: "retired", second: "canary"}
        )


def sorted_stages(stages: dict[str, str]) -> list[str]:
    return [stage for _, stage in sorted(stages.items())]


def test_a_task_is_found_by_its_id_and_by_a_start_that_is_its_alone(folder: Path) -> None:
    with opened(folder) as workspace:
        task = workspace.report().tasks[0].task

        assert workspace.promote(task.id, "shadow").routes[0].task_id == task.id
        assert workspace.promote(task.id[:10], "live").routes[0].stage == "live"
        assert workspace.rollback(task.name[:-1]).routes[0].stage == "shadow"


@pytest.mark.parametrize("wanted", ["nothing of that name", ""], ids=["unknown", "empty"])
def test_a_task_that_is_not_there_is_named_with_those_that_are(folder: Path, wanted: str) -> None:
    with (
        opened(folder) as workspace,
        pytest.raises(UsageError, match=names(folder)[0]),
    ):
        workspace.promote(wanted, "shadow")


def test_a_stricter_setting_closes_the_gate(folder: Path) -> None:
    with (
        opened(folder, risk=0.01) as workspace,
        pytest.raises(GateNotMet, match="the settings ask"),
    ):
        workspace.promote(names(folder)[0], "live")


def test_altered_files_are_not_promoted(folder: Path) -> None:
    for path in (folder / "w/specialists").glob("*/skill.json"):
        path.write_bytes(b"{}")

    with opened(folder) as workspace, pytest.raises(ArtefactIncomplete, match=r"skill\.json"):
        workspace.promote(names(folder)[0], "shadow")


def test_before_any_run_there_is_nothing_to_promote(tmp_path: Path) -> None:
    with Store.open(tmp_path / "w", ENVIRON):
        pass

    with opened(tmp_path) as workspace, pytest.raises(GateNotMet, match="slimdown run"):
        workspace.promote("mail", "shadow")


def test_another_specialist_of_the_task_may_be_named_by_its_start(folder: Path) -> None:
    with opened(folder) as workspace:
        name = names(folder)[0]
        best = workspace.promote(name, "shadow").routes[0].specialist_id

        assert workspace.promote(name, "live", specialist=best[:8]).routes[0].stage == "live"
        with pytest.raises(UsageError, match="names 0 of the specialists"):
            workspace.promote(name, "live", specialist="zzz")


def test_a_line_tells_the_change_by_which_its_route_came(folder: Path) -> None:
    first, second = names(folder)

    with opened(folder) as workspace:
        workspace.promote(first, "live", author="ada", reason="first")
        workspace.promote(second, "live", author="bob", reason="second")
        lines = {line.route.task_name: line for line in workspace.route_lines()}
        tables = workspace.route_history()

    assert (lines[first].author, lines[first].reason, lines[first].version) == ("ada", "first", 1)
    assert (lines[second].author, lines[second].version) == ("bob", 2)
    assert lines[first].since == tables[-1].created_at
    assert [table.version for table in tables] == [2, 1]


def test_a_workspace_without_routes_says_so(folder: Path) -> None:
    with opened(folder) as workspace:
        assert workspace.routes() == RouteTable()
        assert workspace.route_lines() == ()


def test_of_two_changes_at_once_the_later_is_told(folder: Path) -> None:
    with opened(folder) as workspace:
        workspace.promote(names(folder)[0], "shadow")
        late = RouteTable(version=1)

    with Store.open(folder / "w", ENVIRON, role="short") as store, pytest.raises(RouteConflict):
        store.put_routes(late)


def test_a_second_run_changes_no_route(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reachable(monkeypatch, folder / "notebook")
    with opened(folder) as workspace:
        before = workspace.promote(names(folder)[0], "live")

    with Workspace.open(settings(folder), ENVIRON) as workspace:
        workspace.run(quiet)
        after = workspace.promote(names(folder)[0], "canary", share=0.5)

    assert after.tasks_id == before.tasks_id
    with Store.open(folder / "w", ENVIRON, write=False) as store:
        release = msgspec.convert(store.result("release", after.routes[0].specialist_id), Release)
    assert release.certificate is not None
