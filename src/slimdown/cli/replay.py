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
    log_format: FormatOption = "auto",
) -> None:
    """Stand in for an LLM: answer from recorded calls, streamed too, until Ctrl-C.

    Every answer says so in its `system_fingerprint`. Point a client's base URL, or
    `slimdown up --upstream`, at the address that is printed.
    """
    import socket

    import uvicorn

    from slimdown.capture import read_logs
    from slimdown.errors import UsageError
    from slimdown.replay import ReplayApp

    try:
        listener = socket.create_server(("127.0.0.1", port))
    except (OSError, OverflowError) as error:
        raise UsageError(
            f"port {port} on 127.0.0.1 cannot be used: {error}. Nothing was started. "
            "Choose another with --port."
        ) from error
    with listener:
        with progress_bar("replay") as progress:
            calls = read_logs(paths, format=log_format, progress=progress)
            app = ReplayApp(calls, on_miss=on_miss, speed=speed, model_check=model_check)
        if not app.index.n_answers:
            raise UsageError("none of these calls has an answer to replay. Nothing was started.")
        bound = listener.getsockname()[1]
        say(f"{app.index.n_answers:,} recorded answers, {app.index.n_skipped:,} calls without.")
        say(f"Base URL: http://127.0.0.1:{bound}/v1  (Ctrl-C ends)")
        config = uvicorn.Config(app, log_level="warning", access_log=False, ws="none")
        try:
            uvicorn.Server(config).run([listener])
        except KeyboardInterrupt:  # this is how it ends
            say(f"{app.n_given:,} calls answered, {app.n_missed:,} were not recorded.")
