"""Calls out of tracing tools: Langfuse's exports and LiteLLM's standard logging payload.

Langfuse wraps inputs and outputs in JSON text, more than once at times; they are unwrapped.
"""

from __future__ import annotations

from typing import Any

import msgspec

from slimdown.capture.conversations import completion
from slimdown.capture.draft import Draft, Found, Unusable, name, objects, session_of
from slimdown.capture.messages import answer_from, messages_of
from slimdown.capture.recorded import error_text, milliseconds
from slimdown.capture.responses import chat_response
from slimdown.capture.times import iso_time, latency_ms
from slimdown.types import JsonObject

_WRAPPINGS = 3
_PARAMETERS = ("temperature", "top_p", "max_tokens", "seed", "tool_choice", "response_format")


def is_langfuse(record: JsonObject) -> bool:
    """Tell whether a record is a Langfuse trace with its observations, or one observation."""
    if isinstance(record.get("observations"), list):
        return True
    return bool({"traceId", "trace_id"} & record.keys()) and isinstance(record.get("type"), str)


def langfuse_drafts(record: JsonObject) -> Found:
    """Yield a call for each observation of the type GENERATION."""
    if not isinstance(record.get("observations"), list):
        yield _generation(record, {})
        return
    trace = next(iter(objects(record.get("trace"))), record)
    generations = [o for o in objects(*record["observations"]) if o.get("type") == "GENERATION"]
    if not generations:
        raise Unusable("a trace without an observation of the type GENERATION")
    for observation in generations:
        try:
            yield _generation(observation, trace)
        except Unusable as error:
            yield error


def is_litellm(record: JsonObject) -> bool:
    """Tell whether a record is LiteLLM's standard logging payload."""
    return "call_type" in record and "messages" in record and "response" in record


def litellm_drafts(record: JsonObject) -> Found:
    """Yield the call of a standard logging payload."""
    if not record["messages"]:
        raise Unusable("a payload without its messages: their logging was turned off")
    parameters = record.get("model_parameters")
    request: JsonObject = {"messages": messages_of(record["messages"])}
    if name(record.get("model")):
        request["model"] = record["model"]
    request |= parameters if isinstance(parameters, dict) else {}
    response = record["response"] if isinstance(record["response"], dict) else None
    failed = record.get("status") == "failure"
    yield Draft(
        request=request,
        response=None if failed and not (response or {}).get("choices") else response,
        started_at=iso_time(record.get("startTime")),
        latency_ms=latency_ms(record.get("startTime"), record.get("endTime")),
        session_id=session_of(record),
        error=error_text(record.get("error_str")) or ("failed" if failed else None),
        metadata=_carried(record, "call_type", "end_user", "custom_llm_provider", "request_tags"),
        source_id=name(record.get("id")) or "",
    )


def _generation(observation: JsonObject, trace: JsonObject) -> Draft:
    kind = observation.get("type")
    if kind != "GENERATION":
        raise Unusable(f"a Langfuse observation of the type {str(kind)[:40]}, not GENERATION")
    start, end = _either(observation, "startTime"), _either(observation, "endTime")
    asked = unwrapped(observation.get("input"))
    if asked is None:
        raise Unusable("a generation without its input")
    level = observation.get("level")
    return Draft(
        request=_request(asked, observation),
        response=_response(observation),
        started_at=iso_time(start),
        latency_ms=latency_ms(start, end) or _seconds(observation.get("latency")),
        session_id=_langfuse_session(observation, trace),
        error=_either(observation, "statusMessage") or "failed" if level == "ERROR" else None,
        metadata=_carried(observation, "name", "environment"),
        source_id=name(observation.get("id")) or "",
    )


def unwrapped(value: Any) -> Any:
    """Return what a value stands for when JSON was put into text, up to three times over."""
    for _ in range(_WRAPPINGS):
        if not isinstance(value, str) or value.lstrip()[:1] not in ("{", "[", '"'):
            return value
        try:
            value = msgspec.json.decode(value)
        except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
            return value
    return value


def _request(asked: Any, observation: JsonObject) -> JsonObject:
    request: JsonObject = {}
    model = _either(observation, "providedModelName") or observation.get("model")
    if name(model):
        request["model"] = model
    said = messages_of(asked)
    told = unwrapped(_either(observation, "modelParameters"))
    parameters: JsonObject = told if isinstance(told, dict) else {}
    request["messages"] = [
        *_system([asked, parameters]),
        *(message for message in said if not _is_tool_definition(message)),
    ]
    values = {key: parameters.get(key) for key in _PARAMETERS}
    request |= {key: v for key, v in values.items() if v not in (None, "", "null", -1)}
    tools = asked.get("tools") if isinstance(asked, dict) else None
    listed = tools if isinstance(tools, list) else []
    listed = [*listed, *(m["content"] for m in said if _is_tool_definition(m))]
    if listed:
        request["tools"] = listed
    return request


def _is_tool_definition(message: JsonObject) -> bool:
    """Tell whether a message is how LangChain's tracer writes a tool of the request."""
    content = message.get("content")
    return isinstance(content, dict) and isinstance(content.get("function"), dict)


def _system(places: list[Any]) -> list[JsonObject]:
    """Return the system prompt that stands apart from the messages (Gemini, Responses)."""
    inner = [place.get("config") for place in objects(*places)]
    for place in objects(*places, *inner):
        found = name(place.get("system_instruction")) or name(place.get("instructions"))
        if found:
            return [{"role": "system", "content": found}]
    return []


def _response(observation: JsonObject) -> JsonObject | None:
    said = unwrapped(observation.get("output"))
    if isinstance(said, dict) and isinstance(said.get("choices"), list):
        return said
    if isinstance(said, dict) and said.get("object") == "response":
        return chat_response(said)
    message = answer_from(said)
    if message is None:
        return None
    return completion(message, observation.get("model"), _usage(observation))


def _usage(observation: JsonObject) -> JsonObject | None:
    details = unwrapped(_either(observation, "usageDetails")) or observation.get("usage")
    if not isinstance(details, dict):
        return None
    names = {"input": "prompt_tokens", "output": "completion_tokens", "total": "total_tokens"}
    counts = {names[key]: value for key, value in details.items() if key in names}
    return {word: value for word, value in counts.items() if isinstance(value, int)} or None


def _langfuse_session(observation: JsonObject, trace: JsonObject) -> str | None:
    found = name(_either(trace, "sessionId")) or name(_either(observation, "sessionId"))
    return found or name(_either(observation, "traceId")) or name(trace.get("id"))


def _seconds(value: Any) -> float | None:
    seconds = milliseconds(value)
    return None if seconds is None else seconds * 1000


def _either(record: JsonObject, key: str) -> Any:
    """Return a field that is written traceId in one export and trace_id in another."""
    if key in record:
        return record[key]
    return record.get("".join(f"_{c.lower()}" if c.isupper() else c for c in key))


def _carried(record: JsonObject, *keys: str) -> JsonObject:
    own = record.get("metadata")
    kept = own if isinstance(own, dict) else {}
    return {**kept, **{key: record[key] for key in keys if record.get(key)}}
