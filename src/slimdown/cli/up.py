"""``slimdown up``: gateway and specialists' runtime, supervised; one command, Ctrl-C drains."""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from slimdown.cli.options import (
    FLAG_UPSTREAM,
    HostOption,
    OnFailureOption,
    PortOption,
    UpstreamOption,
    WorkspaceOption,
    gateway_settings_from,
)
from slimdown.cli.output import clean, print_error, say
from slimdown.cli.runtime import SOCKET_NAME
from slimdown.errors import SlimdownError
from slimdown.processes import Address, Child, ChildEnded, Supervisor, answers
from slimdown.settings import DEFAULT_UPSTREAMS, Settings

_READY_S = 60.0
"""A runtime that loads several specialists on a busy machine takes a while."""


def up(
    upstream: UpstreamOption = None,
    port: PortOption = None,
    host: HostOption = None,
    on_failure: OnFailureOption = None,
    workspace: WorkspaceOption = None,
    no_runtime: Annotated[
        bool, typer.Option("--no-runtime", help="Record only; every call goes upstream.")
    ] = False,
) -> None:
    """Start the gateway and the runtime, and keep them up until Ctrl-C."""
    settings = gateway_settings_from(workspace, upstream, port, host, on_failure)
    folder = Path(settings.workspace)
    n_before = _prepare(folder)
    address = settings.gateway.host, _free_port(settings.gateway.host, settings.gateway.port)
    children = [gateway_child(settings, address)]
    if not no_runtime:
        children.append(runtime_child(folder))
    try:
        with supervised(children, address, folder / SOCKET_NAME) as supervisor:
            if supervisor is not None:
                _say_ready(settings, address)
                supervisor.wait()
                say("Stopping: calls under way are finished first. Once more, and they are not.")
    except ChildEnded as error:
        print_error(str(error), as_json=False)
        raise typer.Exit(error.code if error.code > 0 else 1) from error
    say(f"Stopped. Calls recorded in {folder} meanwhile: {_n_records(folder) - n_before:,}.")


@contextmanager
def supervised(
    children: list[Child], address: tuple[str, int], socket_path: Path
) -> Iterator[Supervisor | None]:
    """Start gateway and runtime, the gateway first; yield once both answer, and stop them after.

    Yields None if a signal asked to stop before. Raises `ChildEnded`.
    """
    places: dict[str, Address] = {"gateway": address, "runtime": socket_path}
    with Supervisor(_pass_on) as supervisor, supervisor.heeding_signals():
        for child in children:
            supervisor.start(child)
            place = places[child.name]
            if not supervisor.wait_ready(child.name, partial(_is_ready, place), _READY_S):
                yield None
                return
        yield supervisor


def gateway_child(settings: Settings, address: tuple[str, int]) -> Child:
    """Return the gateway's command, at an address that is known to be free."""
    flags = ["--host", address[0], "--port", str(address[1]), "--workspace", settings.workspace]
    flags += ["--on-failure", settings.gateway.on_failure]
    if list(settings.upstreams) == [FLAG_UPSTREAM]:
        flags += ["--upstream", settings.upstreams[FLAG_UPSTREAM].url]
    return _child("gateway", *flags)


def runtime_child(folder: Path) -> Child:
    """Return the runtime's command, listening on the workspace's socket."""
    return _child("runtime", "--socket", str(folder / SOCKET_NAME), "--workspace", str(folder))


def _child(verb: str, *flags: str) -> Child:
    # -P: a folder that is called slimdown and happens to stand here is not us.
    argv = (sys.executable, "-P", "-m", "slimdown", verb, "--with-parent", *flags)
    return Child(verb, argv, os.environ)


def _prepare(folder: Path) -> int:
    """Make the workspace if there is none; return its newest record's number.

    Raises `StoreLocked`, naming the process, if another gateway records into it.
    """
    from slimdown.store import Store

    with Store.open(folder, os.environ, role="gateway") as store:
        return store.last()


def _n_records(folder: Path) -> int:
    from slimdown.store import Store

    with Store.open(folder, os.environ, write=False) as store:
        return store.last()


def _free_port(host: str, port: int) -> int:
    """Return the port, a free one for 0; raises where another process has it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise SlimdownError(_objection(host, port, error)) from error
        return int(probe.getsockname()[1])


def _objection(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} of {host} is in use by another program. Nothing was started. "
            "Name another one with --port, or stop that program."
        )
    return (
        f"{host}:{port} cannot be listened on ({error.strerror}). Nothing was started. "
        "Name another place with --host and --port."
    )


def _is_ready(address: Address) -> bool:
    return answers(address, "/readyz") == 200


def _pass_on(line: str) -> None:
    try:
        sys.stderr.write(clean(line) + "\n")
        sys.stderr.flush()
    except OSError:  # our terminal has gone, which is no reason for the children to
        return


def _say_ready(settings: Settings, address: tuple[str, int]) -> None:
    host = f"[{address[0]}]" if ":" in address[0] else address[0]
    upstreams = settings.upstreams or DEFAULT_UPSTREAMS
    say(f"Ready. Calls are recorded, encrypted, in {settings.workspace}, and go to:")
    for each in upstreams.values():
        say(f"    {each.url}  (models: {', '.join(each.models)})")
    say("In your agent change the base URL, and nothing else:")
    say(f'    client = OpenAI(base_url="http://{host}:{address[1]}/v1")')
    say("Watch the calls: `slimdown tail`. When there are some hundred: `slimdown run`, then")
    say("`slimdown promote TASK`. Ctrl-C here stops it; calls under way are finished first.")
