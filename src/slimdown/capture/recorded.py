"""Logs that hold a request beside its answer: our own calls, NVIDIA's flywheel, stored completions.

Request and response are handed on untouched, but for those of the Responses API.
"""

from __future__ import annotations

from typing import Any

from slimdown.capture import responses
from slimdown.capture.draft import Draft, Found, Unusable, name, session_of
from slimdown.capture.times import iso_time
from slimdown.types import JsonObject


def is_call(record: JsonObject) -> bool:
    """Tell whether a record is a slimdown call: a chat-completions request, and its answer."""
    return isinstance(record.get("request"), dict)


def call_drafts(record: JsonObject) -> Found:
    """Yield the call of a slimdown record."""
    request, response = record["request"], record.get("response")
    if response is not None and not isinstance(response, dict):
        raise Unusable("the response is not an object")
    if responses.is_request(request):
        request = responses.chat_request(request)
        response = responses.chat_response(response) if response is not None else None
    if not isinstance(request.get("messages"), list):
        raise Unusable("the request has no list of messages")
    metadata = record.get("metadata")
    time = record.get("started_at")
    started_at = iso_time(time)
    kept = metadata if isinstance(metadata, dict) else {}
    if time is not None and started_at is None:
        kept = {**kept, "started_at_as_logged": time}
    yield Draft(
        request=request,
        response=response,
        started_at=started_at,
        latency_ms=milliseconds(record.get("latency_ms")),
        session_id=session_of(record),
        error=error_text(record.get("error")) or error_of(response),
        label=record.get("label"),
        metadata=kept,
        source_id=name(record.get("id")) or "",
    )


def is_flywheel(record: JsonObject) -> bool:
    """Tell whether a record is of NVIDIA's data flywheel."""
    return is_call(record) and ("workload_id" in record or "client_id" in record)


def flywheel_drafts(record: JsonObject) -> Found:
    """Yield the call of a flywheel record; whose workload it was is carried as metadata."""
    metadata = {key: record[key] for key in ("workload_id", "client_id") if key in record}
    same = {"started_at": record.get("timestamp"), "metadata": metadata}
    yield from call_drafts({**record, **same})


def is_completion(record: JsonObject) -> bool:
    """Tell whether a record is a chat completion, as OpenAI's stored completions are listed."""
    return record.get("object") == "chat.completion" and isinstance(record.get("choices"), list)


def completion_drafts(record: JsonObject) -> Found:
    """Yield the call of a stored completion whose messages were put beside it."""
    messages = record.get("messages") or record.get("input_messages")
    if not isinstance(messages, list):
        raise Unusable(
            "a stored completion without its messages: they are listed apart; "
            "put them into it under the key messages"
        )
    beside = ("messages", "input_messages", "metadata", "request_id", "tools", "tool_choice")
    request: JsonObject = {"messages": messages}
    request |= {key: record[key] for key in ("model", "tools", "tool_choice") if record.get(key)}
    yield Draft(
        request=request,
        response={key: value for key, value in record.items() if key not in beside},
        started_at=iso_time(record.get("created")),
        session_id=session_of(record),
        metadata=record["metadata"] if isinstance(record.get("metadata"), dict) else {},
        source_id=name(record.get("id")) or "",
    )


def milliseconds(value: Any) -> float | None:
    """Return a duration as it was logged, or None for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e12:
        return None
    return float(value)


def error_text(error: Any) -> str | None:
    """Return what an error says: a text, or the message of an error object."""
    if isinstance(error, dict):
        return name(error.get("message")) or name(error.get("code")) or name(error.get("type"))
    return error if isinstance(error, str) and error else None


def error_of(response: JsonObject | None) -> str | None:
    """Return what went wrong, for an answer in the shape of OpenAI's errors; else None."""
    if response is None or isinstance(response.get("choices"), list):
        return None
    return error_text(response.get("error"))
