"""What commands print: text for people, one versioned JSON value for programs.

Text that came out of a log is hostile: control characters never reach the terminal.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from slimdown import seams

PLAIN_EVERY_S = 5.0
"""Seconds between two lines of progress where output is no terminal."""

PLAIN_WIDTH = 120
"""Columns where output is no terminal: wide enough that tables keep their words."""


class ReaderGone(Exception):
    """Whoever read our output has gone (`| head`): that is how pipes end, and no failure.

    No `OSError`, of which Typer and Rich would each make an exit code of their own.
    """


class _PipeConsole(Console):
    def on_broken_pipe(self) -> None:
        raise ReaderGone


def console(*, stderr: bool = False) -> Console:
    """Return a console for text; honours NO_COLOR and does not guess at markup."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else PLAIN_WIDTH
    kind = Console if stderr else _PipeConsole
    return kind(stderr=stderr, markup=False, highlight=False, width=width)


def print_json(schema: str, value: Any) -> None:
    """Print one JSON value with its schema's name and version first; may raise `ReaderGone`."""
    body = msgspec.to_builtins(value)
    whole = {"schema": schema, **(body if isinstance(body, dict) else {"rows": body})}
    text = msgspec.json.format(msgspec.json.encode(whole), indent=1).decode() + "\n"
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError as error:
        raise ReaderGone from error


def print_error(message: str, *, as_json: bool, hint: str = "") -> None:
    """Print why a command failed: on stderr, and as JSON on stdout if that was asked for."""
    if as_json:
        print_json("slimdown.error/1", {"error": message})
    text = f"slimdown: {clean(message)}" + (f" (see {hint})" if hint else "")
    console(stderr=True).print(Text(text), soft_wrap=True)


def print_table(
    columns: list[str], rows: list[list[str]], *, right: set[str] | None = None
) -> None:
    """Print rows under column names; the columns named in ``right`` hold numbers."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        is_number = column in (right or set())
        table.add_column(column, justify="right" if is_number else "left", no_wrap=is_number)
    for row in rows:
        table.add_row(*(Text(clean(cell)) for cell in row))
    console().print(table)


def say(text: str = "") -> None:
    """Print one line of text on stdout."""
    console().print(Text(clean(text)), soft_wrap=True)


def clean(text: str) -> str:
    """Replace control characters, which could move a terminal's cursor or rename its window."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


@contextmanager
def progress_bar(title: str) -> Iterator[seams.Progress]:
    """Yield a progress callback: a bar on a terminal, a plain line per note elsewhere."""
    if not sys.stderr.isatty():
        yield _plain_progress(title)
        return
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=28),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}", style="dim"),
        console=Console(stderr=True),
        transient=True,
    )
    with bar:
        task = bar.add_task(title, total=1.0, note="")
        yield lambda share, note: bar.update(task, completed=share, note=clean(note))


def _plain_progress(title: str) -> Callable[[float, str], None]:
    told_at = -PLAIN_EVERY_S

    def report(share: float, note: str) -> None:
        nonlocal told_at
        if note and time.monotonic() - told_at >= PLAIN_EVERY_S:
            told_at = time.monotonic()
            sys.stderr.write(f"{title} {share:4.0%}: {clean(note)}\n")

    return report
