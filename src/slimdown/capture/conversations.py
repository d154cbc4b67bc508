"""Conversations: each turn of the model is a call, whose request is what was said before it.

Fine-tuning files, agent trajectories, TRL and ShareGPT data. The model's settings are not in
such logs, so the requests hold only what is told.
"""

from __future__ import annotations

from typing import Any

from slimdown.canonical import content_id
from slimdown.capture.draft import Draft, Found, Unusable, name, session_of
from slimdown.capture.messages import MESSAGE_KEYS, role_of
from slimdown.capture.records import is_conversation
from slimdown.capture.times import iso_time
from slimdown.types import JsonObject

MAX_TURNS = 2_000
"""Calls taken from one conversation: the requests of a longer one would grow with its square."""

_KEYS = ("messages", "traj", "history", "trajectory", "conversation", "turns")
_CARRIED = ("model", "tools", "tool_choice", "parallel_tool_calls", "functions", "response_format")
_OWN_IDS = ("session_id", "conversation_id", "trajectory_id", "instance_id", "trace_id", "id")


def is_trajectory(record: Any) -> bool:
    """Tell whether a record is a list of messages, or an object that holds one."""
    return is_conversation(record) or (isinstance(record, dict) and _listed(record) is not None)


def trajectory_drafts(record: Any) -> Found:
    """Yield a call for each turn of the model, but those that fine-tuning leaves out (weight 0)."""
    fields: JsonObject = record if isinstance(record, dict) else {}
    messages = record if isinstance(record, list) else _listed(record)
    assert messages is not None, "only what is_trajectory accepts is read"
    session = session_of(fields) or _own_id(fields) or content_id(messages)
    carried = {key: fields[key] for key in _CARRIED if fields.get(key) is not None}
    metadata = fields.get("metadata")
    kept = metadata if isinstance(metadata, dict) else {}
    whole = [_message(message) for message in messages]
    turns = [i for i, message in enumerate(messages) if _is_turn(message)]
    if not turns:
        raise Unusable("a conversation in which the model says nothing")
    for turn in turns[:MAX_TURNS]:
        yield Draft(
            request={**carried, "messages": whole[:turn]},
            response=completion(whole[turn], fields.get("model")),
            started_at=iso_time(messages[turn].get("timestamp")),
            session_id=session,
            metadata=kept,
            source_id=f"{session}/{turn}",
        )
    if len(turns) > MAX_TURNS:
        yield Unusable(
            f"a conversation with {len(turns)} turns of the model; the first {MAX_TURNS} are kept"
        )


def is_prompt_completion(record: JsonObject) -> bool:
    """Tell whether a record is TRL's prompt and completion."""
    return "prompt" in record and "completion" in record


def prompt_completion_drafts(record: JsonObject) -> Found:
    """Yield the call of a TRL record; its parts are texts or lists of messages."""
    prompt, completed = _turns(record["prompt"], "user"), _turns(record["completion"], "assistant")
    yield from trajectory_drafts({**record, "messages": prompt + completed[:1]})


def is_sharegpt(record: JsonObject) -> bool:
    """Tell whether a record is of ShareGPT's form: conversations of from and value."""
    listed = record.get("conversations")
    return is_conversation(listed) and "from" in record["conversations"][0]


def sharegpt_drafts(record: JsonObject) -> Found:
    """Yield a call for each turn of the model in a ShareGPT record."""
    messages = [
        {"role": role_of(m.get("from")), "content": m.get("value")} for m in record["conversations"]
    ]
    if name(record.get("system")):
        messages.insert(0, {"role": "system", "content": record["system"]})
    yield from trajectory_drafts({**record, "messages": messages})


def completion(
    message: JsonObject, model: Any = None, usage: JsonObject | None = None
) -> JsonObject:
    """Return a chat completion that answers ``message``, with what else is known and no more."""
    made: JsonObject = {"object": "chat.completion"}
    if name(model):
        made["model"] = model
    made["choices"] = [{"index": 0, "message": message}]
    if usage:
        made["usage"] = usage
    return made


def _listed(record: JsonObject) -> list[JsonObject] | None:
    return next((record[key] for key in _KEYS if is_conversation(record.get(key))), None)


def _own_id(fields: JsonObject) -> str | None:
    found = (name(fields.get(key)) for key in _OWN_IDS)
    return next((value for value in found if value is not None), None)


def _is_turn(message: JsonObject) -> bool:
    # A demonstration is part of the prompt, although it is written as if the model had spoken.
    return (
        message.get("role") == "assistant"
        and message.get("weight") != 0
        and not message.get("is_demo")
    )


def _message(message: JsonObject) -> JsonObject:
    return {key: value for key, value in message.items() if key in MESSAGE_KEYS}


def _turns(value: Any, role: str) -> list[JsonObject]:
    if isinstance(value, str):
        return [{"role": role, "content": value}]
    if not is_conversation(value):
        raise Unusable("prompt and completion are neither texts nor lists of messages")
    return list(value)
