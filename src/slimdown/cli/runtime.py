"""``slimdown runtime``: the specialists' process alone, an OpenAI-compatible server."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from slimdown.cli.options import JsonOption, WorkspaceOption, settings_from
from slimdown.cli.output import print_json, say
from slimdown.errors import UsageError
from slimdown.settings import RUNTIME_SOCKET


def runtime(
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65535, help="A port of 127.0.0.1.")
    ] = None,
    uds: Annotated[
        Path | None,
        typer.Option("--socket", help="A Unix socket [runtime.sock in the workspace]."),
    ] = None,
    workspace: WorkspaceOption = None,
    with_parent: Annotated[
        bool, typer.Option("--with-parent", help="End when stdin closes, as `up` wants it.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Let the workspace's specialists answer, by id as `model` or as the gateway offers them."""
    from slimdown.runtime.serving import serve

    if port is not None and uds is not None:
        raise UsageError("--port and --socket exclude each other; nothing was started.")
    settings = settings_from(workspace)
    if port is None and uds is None:
        uds = Path(settings.workspace) / RUNTIME_SOCKET
    code = serve(
        settings,
        os.environ,
        uds=uds,
        port=port or 0,
        with_parent=with_parent,
        started=_say_where_as_json if as_json else _say_nothing if with_parent else _say_where,
    )
    raise typer.Exit(code)


def _say_nothing(place: str) -> None:
    """Leave it to whoever started us to say where."""


def _say_where_as_json(place: str) -> None:
    print_json("slimdown.runtime/1", {"place": place})


def _say_where(place: str) -> None:
    say(f"Specialists answer at {place}: name one by its id as `model`. Ctrl-C stops it.")
