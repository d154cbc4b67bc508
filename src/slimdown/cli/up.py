"""``slimdown up``: gateway and specialists' runtime, supervised; one command, Ctrl-C drains."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from slimdown.cli import children
from slimdown.cli.options import (
    HostOption,
    JsonOption,
    OnFailureOption,
    PortOption,
    UpstreamOption,
    WorkspaceOption,
    gateway_settings_from,
)
from slimdown.cli.output import print_error, print_json, say
from slimdown.processes import ChildEnded, Supervisor
from slimdown.settings import DEFAULT_UPSTREAMS, Settings, base_url


def up(
    upstream: UpstreamOption = None,
    port: PortOption = None,
    host: HostOption = None,
    on_failure: OnFailureOption = None,
    workspace: WorkspaceOption = None,
    no_runtime: Annotated[
        bool, typer.Option("--no-runtime", help="Record only; every call goes upstream.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Start the gateway and the runtime, and keep them up until Ctrl-C."""
    settings = gateway_settings_from(workspace, upstream, port, host, on_failure)
    folder, listening = Path(settings.workspace), settings.gateway
    n_before = _prepare(folder)
    address = listening.host, children.free_port(listening.host, listening.port)
    wanted = [children.gateway(settings, address)]
    if not no_runtime:
        wanted.append(children.runtime(folder))
    try:
        with Supervisor(children.pass_on) as supervisor, supervisor.heeding_signals():
            if children.start_all(supervisor, wanted):
                _say_ready(settings, address, as_json=as_json)
                supervisor.wait()
                if not as_json:
                    say("Stopping: calls under way are finished first. Once more: they are not.")
            supervisor.stop()
    except ChildEnded as error:
        print_error(str(error), as_json=as_json)
        raise typer.Exit(error.code if error.code > 0 else 1) from error
    if not as_json:
        say(f"Stopped. Calls recorded in {folder} meanwhile: {_newest(folder) - n_before:,}.")


def _prepare(folder: Path) -> int:
    """Make the workspace if there is none; return its newest record's number.

    Raises `StoreLocked`, naming the process, if another gateway records into it.
    """
    from slimdown.store import Store

    with Store.open(folder, os.environ, role="gateway") as store:
        return store.last()


def _newest(folder: Path) -> int:
    from slimdown.store import Store

    with Store.open(folder, os.environ, write=False) as store:
        return store.last()


def _say_ready(settings: Settings, address: tuple[str, int], *, as_json: bool) -> None:
    url, upstreams = base_url(*address), settings.upstreams or DEFAULT_UPSTREAMS
    if as_json:
        urls = {name: each.url for name, each in upstreams.items()}
        ready = {"base_url": url, "workspace": settings.workspace, "upstreams": urls}
        print_json("slimdown.up/1", ready)
        return
    say(f"Ready. Calls are recorded, encrypted, in {settings.workspace}, and go to:")
    for each in upstreams.values():
        say(f"    {each.url}  (models: {', '.join(each.models)})")
    say("In your agent change the base URL, and nothing else:")
    say(f'    client = OpenAI(base_url="{url}")')
    say("Watch the calls: `slimdown tail`. When there are some hundred: `slimdown run`, then")
    say("`slimdown promote TASK`. Ctrl-C here stops it; calls under way are finished first.")
