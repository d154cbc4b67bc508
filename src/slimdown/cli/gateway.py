"""``slimdown gateway``: the recording gateway alone, without the specialists' runtime."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from slimdown.cli.options import (
    HostOption,
    JsonOption,
    OnFailureOption,
    PortOption,
    UpstreamOption,
    WorkspaceOption,
    gateway_settings_from,
)
from slimdown.cli.output import print_json, say


def gateway(
    upstream: UpstreamOption = None,
    port: PortOption = None,
    host: HostOption = None,
    on_failure: OnFailureOption = None,
    workspace: WorkspaceOption = None,
    with_parent: Annotated[
        bool, typer.Option("--with-parent", help="End when stdin closes, as `up` wants it.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Record every call, pass it on, and let certified specialists answer where they may."""
    from slimdown.gateway.serving import serve

    settings = gateway_settings_from(workspace, upstream, port, host, on_failure)

    def say_where(base_url: str) -> None:
        if as_json:
            print_json("slimdown.gateway/1", {"base_url": base_url})
        elif not with_parent:
            say(f"Calls to {base_url} are recorded in {settings.workspace}. Ctrl-C drains.")

    code = serve(settings, os.environ, with_parent=with_parent, started=say_where)
    raise typer.Exit(code)
