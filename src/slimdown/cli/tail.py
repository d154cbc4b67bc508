"""``slimdown tail``: the last calls, and each new one as it is recorded."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from slimdown.cli.options import WorkspaceOption, settings_from
from slimdown.cli.output import ReaderGone, clean

if TYPE_CHECKING:
    from slimdown.store import CallRow, Store

_EVERY_S = 0.25
_PAGE = 500

FollowOption = Annotated[
    bool, typer.Option("--follow/--no-follow", help="Go on with new calls until Ctrl-C.")
]


def tail(
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="Past calls to show.")] = 10,
    follow: FollowOption = True,
    workspace: WorkspaceOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON object a line, versioned.")
    ] = False,
) -> None:
    """Follow the calls as they are recorded, a line each, without their text."""
    from slimdown.store import Store

    folder = Path(settings_from(workspace).workspace)
    with Store.open(folder, os.environ, write=False) as store:
        for row in _rows(store, limit, follow=follow):
            _print(_as_json(row) if as_json else _as_text(row))


def _rows(store: Store, limit: int, *, follow: bool) -> Iterator[CallRow]:
    """Yield the last ``limit`` calls in the order recorded, then new ones for ever."""
    number = max(store.last() - limit, 0)
    while True:
        page = store.newer(number, _PAGE)
        yield from (row for _, row in page)
        number = page[-1][0] if page else number
        if len(page) == _PAGE:
            continue
        if not follow:
            return
        _wait()


def _wait() -> None:
    """Wait before the next look; raises `ReaderGone` as soon as nobody reads any more."""
    reader = select.poll()
    reader.register(sys.stdout.fileno(), 0)
    if reader.poll(_EVERY_S * 1000):
        raise ReaderGone


def _as_text(row: CallRow) -> str:
    tokens = "-"
    if row.prompt_tokens is not None or row.completion_tokens is not None:
        tokens = f"{row.prompt_tokens or 0:,}+{row.completion_tokens or 0:,}"
    latency = "-" if row.latency_ms is None else f"{row.latency_ms:,.0f} ms"
    served_by = (row.served_by or "-")[:12]
    started = (row.started_at or "-")[:23]
    model = clean(row.model or "-").replace("\n", " ")[:28]
    words = f"{started:23}  {row.id[:12]:12}  {model:28}  {tokens:>13} tok  {latency:>10}  "
    return clean(words + f"{served_by:12}  {row.status}").replace("\n", " ")


def _as_json(row: CallRow) -> str:
    return msgspec.json.encode({"schema": "slimdown.tail/1", **msgspec.to_builtins(row)}).decode()


def _print(line: str) -> None:
    """Print one line at once; raises `ReaderGone` where nobody reads any more."""
    try:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
    except BrokenPipeError as error:
        raise ReaderGone from error
