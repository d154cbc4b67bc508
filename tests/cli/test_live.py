"""The live demo from end to end on one small task: real processes, and a real client."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from slimdown.cli import live
from slimdown.cli.demo import _earlier
from slimdown.cli.live import print_live, run_live
from slimdown.demo.log import demo_calls
from slimdown.errors import MissingExtra, UsageError
from slimdown.settings import Settings
from slimdown.store import Store
from slimdown.types import Call, RouteTable
from slimdown.workspace import Workspace

Slimdown = Callable[..., tuple[int, str, str]]


def write(path: Path, calls: list[Call]) -> Path:
    path.write_bytes(b"".join(msgspec.json.encode(call) + b"\n" for call in calls))
    return path


def mail_sorting(n_calls: int) -> list[Call]:
    """Return the demo's calls of its one task with a label for an answer, and few labels."""
    return [
        call
        for call in demo_calls(n_calls)
        if call.request["messages"][0]["content"].startswith("You sort the mail")
    ]


def quiet(_share: float, _note: str) -> None:
    pass


def test_an_unchanged_agent_is_answered_by_specialists(
    slimdown: Slimdown, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SLIMDOWN_GATEWAY__SPECIALIST_BUDGET_S", "10")  # the machine may be busy
    calls = mail_sorting(1_000)
    logs = [write(Path("older"), calls[:-30]), write(Path("newest"), calls[-30:])]
    settings = Settings(workspace="w", rungs=("linear",), encoder="hashing", risk=0.5, delta=0.5)
    with Workspace.open(settings) as workspace:
        workspace.import_logs(logs[:1], progress=quiet)
        report = workspace.run(quiet)

    found = run_live(settings, report, logs)

    assert found is not None
    assert found.n_calls == 30
    assert found.served_share > 0.3
    assert found.reasons["live"] == found.tasks[0].n_served
    assert found.usd_after < found.usd_before
    assert found.n_failed_through == found.n_failed_direct
    print_live(found, "w")
    assert "made-up" in capsys.readouterr().out
    rows = slimdown("tail", "-n", "30", "--no-follow", "-w", "w")[1]
    assert report.tasks[0].certificate
    assert report.tasks[0].certificate.specialist_id[:12] in rows


def test_where_nothing_is_certified_nothing_is_started(slimdown: Slimdown) -> None:
    log = write(Path("log"), mail_sorting(200))
    settings = Settings(workspace="w", rungs=("slimdown.testing:CopyingRung",), encoder="hashing")
    with Workspace.open(settings) as workspace:
        workspace.import_logs([log], progress=quiet)
        report = workspace.run(quiet)

    assert run_live(settings, report, [log]) is None


def test_what_an_earlier_agent_asked_is_not_learned_from(slimdown: Slimdown) -> None:
    log = write(Path("log"), mail_sorting(200))
    settings = Settings(workspace="w", rungs=("slimdown.testing:CopyingRung",), encoder="hashing")
    with Workspace.open(settings) as workspace:
        workspace.import_logs([log], progress=quiet)
        report = workspace.run(quiet)
    before = _earlier(settings)
    with Store.open(Path("w"), os.environ, role="short") as store:
        store.put_routes(RouteTable(version=1))

    again = _earlier(settings)

    assert (before, again) == (None, report)
    with pytest.raises(UsageError, match="holds a live run at risk"):
        _earlier(msgspec.structs.replace(settings, risk=0.1))


def test_an_own_log_is_not_for_the_live_demo(slimdown: Slimdown) -> None:
    code, _, err = slimdown("demo", "--live", "--calls", "log.jsonl")

    assert code == 2
    assert "`slimdown up`" in err


def test_without_the_agents_client_it_says_what_to_install(monkeypatch: Any) -> None:
    monkeypatch.setattr(live, "find_spec", lambda _name: None)

    with pytest.raises(MissingExtra, match=r"pip install 'slimdown\[demo\]'"):
        live.check_openai()
