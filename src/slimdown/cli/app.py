"""The list of verbs, with their help; each is one file beside this one."""

from __future__ import annotations

import typer

from slimdown.cli import (
    calls,
    demo,
    gateway,
    importing,
    promote,
    replay,
    report,
    routes,
    run,
    runtime,
    scan,
    show,
    tail,
    tasks,
    up,
)

app = typer.Typer(
    help=(
        "Move an agent's repetitive LLM calls onto small language models that you own, "
        "with statistical proof."
    ),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command("scan")(scan.scan)
app.command("import")(importing.import_)
app.command("run")(run.run)
app.command("tasks")(tasks.tasks)
app.command("report")(report.report)
app.command("up")(up.up)
app.command("gateway")(gateway.gateway)
app.command("runtime")(runtime.runtime)
app.command("promote")(promote.promote)
app.command("rollback")(promote.rollback)
app.command("routes")(routes.routes)
app.command("tail")(tail.tail)
app.command("replay")(replay.replay)
app.command("calls")(calls.calls)
app.command("show")(show.show)
app.command("rejects")(importing.rejects)
app.command("demo")(demo.demo)


def _print_version(wanted: bool) -> None:
    if wanted:
        from slimdown import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    _version: bool = typer.Option(
        False,
        "--version",
        callback=_print_version,
        is_eager=True,
        help="Print the version and leave.",
    ),
) -> None:
    pass
