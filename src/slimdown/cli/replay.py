"""``slimdown replay``: an upstream on this machine that answers from recorded calls."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from slimdown.cli.options import FormatOption, PathsArgument
from slimdown.cli.output import progress_bar, say


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
    log_format: FormatOption = "auto",
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
            calls = read_logs(paths, format=log_format, progress=progress)
            app = ReplayApp(calls, on_miss=on_miss, speed=speed, model_check=model_check)
        if not app.index.n_answers:
            raise UsageError("none of these calls has an answer to replay. Nothing was started.")
        say(f"{app.index.n_answers:,} recorded answers, {app.index.n_skipped:,} calls without one.")
        say(f"Base URL: http://127.0.0.1:{listener.getsockname()[1]}/v1 (Ctrl-C ends)")
        serve(app, listener, with_parent=with_parent)
    say(f"{app.n_given:,} calls answered, {app.n_missed:,} were not recorded.")
