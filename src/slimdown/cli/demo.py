"""``slimdown demo``: the whole loop, on a log made for it or on the user's own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from slimdown.cli.options import DeltaOption, JsonOption, RiskOption, RungsOption, settings_from
from slimdown.cli.output import print_json, progress_bar, say
from slimdown.cli.report import write_page
from slimdown.cli.summary import print_report
from slimdown.errors import UsageError
from slimdown.report.model import Report
from slimdown.settings import Settings

FOLDER = Path("slimdown-demo")
"""Where the demo leaves its log, its workspace and its page."""


def demo(
    calls: Annotated[
        list[Path] | None, typer.Option("--calls", help="Your own log, instead of the demo's.")
    ] = None,
    folder: Annotated[
        Path, typer.Option("--folder", help="Where to leave the workspace and the page.")
    ] = FOLDER,
    risk: RiskOption = None,
    delta: DeltaOption = None,
    rungs: RungsOption = None,
    live: Annotated[
        bool,
        typer.Option("--live", help="Then let the specialists answer an agent, by the gateway."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Import, find tasks, train, certify and report, in minutes, with no key and no GPU."""
    began = time.monotonic()
    settings = settings_from(None, risk, delta, rungs)
    if live:
        _live(settings, folder, calls, as_json=as_json)
        return
    logs = calls or [_demo_log(folder, as_json=as_json)]
    name = "workspace" if not calls else f"workspace-{calls[0].name}"
    report = _learned(msgspec.structs.replace(settings, workspace=str(folder / name)), logs)
    page = folder / "report.html"
    write_page(report, page)
    if as_json:
        print_json("slimdown.report/1", report)
        return
    print_report(report)
    say()
    say(f"The whole loop took {time.monotonic() - began:.0f} s. The page is {page}.")
    say("Your own log: `slimdown scan PATH` (keeps nothing), or `slimdown demo --calls PATH`.")


def _learned(settings: Settings, logs: list[Path]) -> Report:
    from slimdown.workspace import Workspace

    with Workspace.open(settings) as workspace:
        with progress_bar("import") as progress:
            workspace.import_logs(logs, progress=progress)
        with progress_bar("demo") as progress:
            return workspace.run(progress)


def _live(settings: Settings, folder: Path, calls: list[Path] | None, *, as_json: bool) -> None:
    from slimdown.cli.live import check_openai, print_live, run_live

    if calls:
        raise UsageError(
            "--live is for the demo's own log, whose newest calls its agent makes anew; nothing "
            "was done. For your own: `slimdown import`, `slimdown run`, then `slimdown up`."
        )
    check_openai()
    began = time.monotonic()
    settings = msgspec.structs.replace(settings, workspace=str(folder / "workspace-live"))
    logs = _live_logs(folder, as_json=as_json)
    earlier = _earlier(settings)
    report = earlier or _learned(settings, logs[:1])
    if not as_json:
        print_report(report)
        took = f"Learning took {time.monotonic() - began:.0f} s."
        say(f"{'Learned by the last live run here.' if earlier else took} Now the agent, twice.")
    began = time.monotonic()
    found = run_live(settings, report, logs)
    if as_json:
        print_json("slimdown.live/1", {"report": report, "live": found})
    elif found is None:
        say("No task was certified, so there is nothing that could answer live.")
    else:
        print_live(found, settings.workspace)
        say(f"The live part took {time.monotonic() - began:.0f} s.")


def _earlier(settings: Settings) -> Report | None:
    """Return the report of an earlier live run here: what its agent asked is not to be learned.

    Raises `UsageError` where that was made with another dial.
    """
    from slimdown.workspace import Workspace

    if not Path(settings.workspace).exists():
        return None
    with Workspace.open(settings, write=False) as workspace:
        if not workspace.routes().version:
            return None
        report = workspace.report()
    if (report.risk, report.delta) != (settings.risk, settings.delta):
        raise UsageError(
            f"{settings.workspace} holds a live run at risk {report.risk} and delta "
            f"{report.delta}; nothing was changed. Name another place with --folder."
        )
    return report


def _live_logs(folder: Path, *, as_json: bool) -> list[Path]:
    """Write the demo's log in two files, the newest calls apart; return the files."""
    from slimdown.demo.log import write_split_log

    older, newer = folder / "help-desk-older.jsonl", folder / "help-desk-newest.jsonl"
    with _writing(folder):
        n_older, n_newer = write_split_log(older, newer)
    if not as_json:
        say(
            f"A help-desk agent's log, made up for this demo: no person and no LLM wrote it. "
            f"Specialists learn from {n_older:,} calls ({older}); the agent then makes the "
            f"{n_newer:,} newest anew ({newer})."
        )
    return [older, newer]


def _demo_log(folder: Path, *, as_json: bool) -> Path:
    from slimdown.demo.log import write_demo_log

    path = folder / "help-desk.jsonl"
    with _writing(folder):
        n_calls = write_demo_log(path)
    if not as_json:
        say(
            f"A help-desk agent's log of {n_calls:,} LLM calls, made up for this demo, is in "
            f"{path}: no person and no LLM wrote it."
        )
    return path


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Make the folder; raises `UsageError` where it, or a log in it, cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise UsageError(
            f"{error.filename or folder} cannot be written ({error.strerror}); nothing was "
            "imported. Name another place with --folder."
        ) from error
