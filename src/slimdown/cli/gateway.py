"""``slimdown gateway``: the recording gateway alone, without the specialists' runtime."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from slimdown.cli.options import (
    HostOption,
    OnFailureOption,
    PortOption,
    UpstreamOption,
    WorkspaceOption,
    gateway_settings_from,
)


def gateway(
    upstream: UpstreamOption = None,
    port: PortOption = None,
    host: HostOption = None,
    on_failure: OnFailureOption = None,
    workspace: WorkspaceOption = None,
    with_parent: Annotated[
        bool, typer.Option("--with-parent", help="End when stdin closes, as `up` wants it.")
    ] = False,
) -> None:
    """Record every call, pass it on, and let certified specialists answer where they may."""
    from slimdown.gateway.serving import serve

    settings = gateway_settings_from(workspace, upstream, port, host, on_failure)
    raise typer.Exit(serve(settings, os.environ, with_parent=with_parent))
