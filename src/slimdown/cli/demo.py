"""``slimdown demo``: the whole loop, on a log made for it or on the user's own."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from slimdown.cli.options import DeltaOption, JsonOption, RiskOption, RungsOption, settings_from
from slimdown.cli.output import print_json, progress_bar, say
from slimdown.cli.report import write_page
from slimdown.cli.summary import print_report
from slimdown.errors import UsageError

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
    as_json: JsonOption = False,
) -> None:
    """Import, find tasks, train, certify and report, in minutes, with no key and no GPU."""
    from slimdown.workspace import Workspace

    began = time.monotonic()
    logs = calls or [_demo_log(folder, as_json=as_json)]
    name = "workspace" if not calls else f"workspace-{calls[0].name}"
    settings = msgspec.structs.replace(
        settings_from(None, risk, delta, rungs), workspace=str(folder / name)
    )
    with Workspace.open(settings) as workspace:
        with progress_bar("import") as progress:
            workspace.import_logs(logs, progress=progress)
        with progress_bar("demo") as progress:
            report = workspace.run(progress)
    page = folder / "report.html"
    write_page(report, page)
    if as_json:
        print_json("slimdown.report/1", report)
        return
    print_report(report)
    say()
    say(f"The whole loop took {time.monotonic() - began:.0f} s. The page is {page}.")
    say("Your own log: `slimdown scan PATH` (keeps nothing), or `slimdown demo --calls PATH`.")


def _demo_log(folder: Path, *, as_json: bool) -> Path:
    from slimdown.demo.log import write_demo_log

    path = folder / "help-desk.jsonl"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        n_calls = write_demo_log(path)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written ({error.strerror}); nothing was imported. "
            "Name another place with --folder."
        ) from error
    if not as_json:
        say(
            f"A help-desk agent's log of {n_calls:,} LLM calls, made up for this demo, is in "
            f"{path}: no person and no LLM wrote it."
        )
    return path
