"""``slimdown replay``: an upstream on this machine that answers from recorded calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from slimdown.cli.options import JsonOption, PathsArgument
from slimdown.cli.output import print_json, progress_bar, say

if TYPE_CHECKING:
    from slimdown.replay.index import ReplayIndex


def replay(
    paths: PathsArgument,
    port: Annotated[int, typer.Option("--port", "-p", help="Port on 127.0.0.1; 0: any.")] = 8500,
    speed: Annotated[
        float,
        typer.Option(min=0, help="1: recorded latency; 10: a tenth of it; 0: none."),
    ] = 0.0,
    on_miss: Annotated[
        Literal["error", "nearest"],
        typer.Option(help="Answer what was never recorded with an error, or by the nearest call."),
    ] = "error",
    model_check: Annotated[
        bool, typer.Option("--model-check", help="An answer of another model is none.")
    ] = False,
    with_parent: Annotated[
        bool, typer.Option("--with-parent", help="End when stdin closes.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Stand in for an LLM: answer from recorded calls, streamed too, until Ctrl-C.

    Every answer says so in its `system_fingerprint`. Point a client's base URL, or
    `slimdown up --upstream`, at the address that is printed.
    """
    from slimdown.capture import read_logs
    from slimdown.errors import UsageError
    from slimdown.replay import ReplayApp
    from slimdown.replay.serving import listener_at, serve

    with listener_at(port) as listener:
        with progress_bar("replay") as progress:
            calls = read_logs(paths, progress=progress)
            app = ReplayApp(calls, on_miss=on_miss, speed=speed, model_check=model_check)
        if not app.index.n_answers:
            raise UsageError("none of these calls has an answer to replay. Nothing was started.")
        _say_where(app.index, f"http://127.0.0.1:{listener.getsockname()[1]}/v1", as_json=as_json)
        serve(app, listener, with_parent=with_parent)
    if not as_json:
        say(f"{app.n_given:,} calls answered, {app.n_missed:,} were not recorded.")


def _say_where(index: ReplayIndex, base_url: str, *, as_json: bool) -> None:
    if as_json:
        counts = {"n_answers": index.n_answers, "n_skipped": index.n_skipped}
        print_json("slimdown.replay/1", {"base_url": base_url, **counts})
        return
    say(f"{index.n_answers:,} recorded answers, {index.n_skipped:,} calls without one.")
    say(f"Base URL: {base_url} (Ctrl-C ends)")
