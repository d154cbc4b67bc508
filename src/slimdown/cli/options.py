"""Options that several verbs share, and the settings that they end in."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from slimdown.settings import Settings, load_settings

FLAG_UPSTREAM = "default"
"""The name of the upstream that --upstream tells; it stands in place of all others."""

WorkspaceOption = Annotated[
    Path | None,
    typer.Option(
        "--workspace", "-w", help="Folder of the workspace (or SLIMDOWN_WORKSPACE) [.slimdown]."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON value, versioned.")]
RiskOption = Annotated[
    float | None,
    typer.Option("--risk", help="Share of served answers that may differ from the LLM's [0.02]."),
]
DeltaOption = Annotated[
    float | None, typer.Option("--delta", help="Chance that the promise fails [0.05].")
]
RungsOption = Annotated[
    str | None,
    typer.Option("--rungs", help="Ladder to try, cheapest first [linear,fields]."),
]
FormatOption = Annotated[
    str, typer.Option("--format", help="Format of the logs; sniffed unless given.")
]
PathsArgument = Annotated[
    list[Path], typer.Argument(metavar="PATH...", help="Logs: files or folders; .gz, .zst too.")
]

UpstreamOption = Annotated[
    str | None,
    typer.Option(
        "--upstream", help="Base URL of the LLM behind the gateway, for all models [OpenAI's]."
    ),
]
PortOption = Annotated[int | None, typer.Option("--port", help="Port of the gateway [8400].")]
HostOption = Annotated[
    str | None, typer.Option("--host", help="Address that the gateway listens on [127.0.0.1].")
]
OnFailureOption = Annotated[
    str | None,
    typer.Option(
        "--on-failure", help="Where a call cannot be recorded: `open` answers it, `closed` refuses."
    ),
]


def settings_from(
    workspace: Path | None = None,
    risk: float | None = None,
    delta: float | None = None,
    rungs: str | None = None,
) -> Settings:
    """Return the settings in force: file, then environment, then these flags."""
    flags: dict[str, Any] = {
        "workspace": str(workspace) if workspace else None,
        "risk": risk,
        "delta": delta,
        "rungs": [name.strip() for name in rungs.split(",") if name.strip()] if rungs else None,
    }
    return load_settings(Path.cwd(), os.environ, flags)


def gateway_settings_from(
    workspace: Path | None,
    upstream: str | None,
    port: int | None,
    host: str | None,
    on_failure: str | None,
) -> Settings:
    """Return the settings in force for the gateway; an upstream given here is the only one."""
    listening = {"port": port, "host": host, "on_failure": on_failure}
    flags: dict[str, Any] = {
        "workspace": str(workspace) if workspace else None,
        "gateway": {name: value for name, value in listening.items() if value is not None},
        "upstreams": {FLAG_UPSTREAM: {"url": upstream}} if upstream else None,
    }
    return load_settings(Path.cwd(), os.environ, flags)
