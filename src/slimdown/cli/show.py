"""``slimdown show ID``: one stored call, whole."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer

from slimdown.answer import answer_message, finish_reason, message_text
from slimdown.cli.options import JsonOption, WorkspaceOption, settings_from
from slimdown.cli.output import print_json, say
from slimdown.types import Call, JsonObject


def show(
    call_id: Annotated[str, typer.Argument(metavar="ID", help="A call's id, or its start.")],
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print one call: its messages, its answer, and what is known about it."""
    from slimdown.workspace import Workspace

    with Workspace.open(settings_from(workspace), write=False) as opened:
        call = opened.call(call_id)
    if as_json:
        print_json("slimdown.call/1", call)
        return
    _print_call(call)


def _print_call(call: Call) -> None:
    say(f"call      {call.id}")
    facts = {
        "started": call.started_at,
        "session": call.session_id,
        "model": call.request.get("model"),
        "latency": f"{call.latency_ms:,.0f} ms" if call.latency_ms is not None else None,
        "finish": finish_reason(call.response),
        "error": call.error,
    }
    for name, value in facts.items():
        if value:
            say(f"{name:<9} {value}")
    for message in call.request.get("messages") or []:
        _print_message(message)
    answer = answer_message(call.response)
    if answer is not None:
        _print_message(answer)


def _print_message(message: JsonObject) -> None:
    say()
    say(f"[{message.get('role', '?')}]")
    text = message_text(message)
    if text:
        say(text)
    for tool in message.get("tool_calls") or []:
        say(f"tool call: {msgspec.json.encode(tool.get('function', tool)).decode()}")
