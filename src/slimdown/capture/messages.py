"""Chat messages out of the shapes that tracing tools and other providers write them in.

Understood: chat completions, LangChain, OpenTelemetry's parts, Gemini's contents, and the items of
OpenAI's Responses. What has none of these shapes becomes text as it stands, so nothing said is
lost. Knows nothing of records, times or files.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from slimdown.canonical import content_id
from slimdown.capture.draft import name
from slimdown.types import JsonObject

MESSAGE_KEYS = frozenset(
    (
        "role",
        "content",
        "name",
        "tool_calls",
        "tool_call_id",
        "function_call",
        "refusal",
        "audio",
        "annotations",
        "reasoning",
        "reasoning_content",
    )
)
"""What a chat-completions message may hold; the rest is a tool's own notes."""

_ROLES = {
    "human": "user",
    "ai": "assistant",
    "model": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "observation": "tool",
    "function_response": "tool",
    "AIMessage": "assistant",
    "HumanMessage": "user",
    "SystemMessage": "system",
    "ToolMessage": "tool",
}
_KNOWN_ROLES = frozenset(("system", "developer", "user", "assistant", "tool", "function"))
_INSIDE = ("message", "output", "candidates", "choices")
_TEXT_PARTS = frozenset(("input_text", "output_text", "text"))


def messages_of(value: Any) -> list[JsonObject]:
    """Return the chat messages that a logged input stands for."""
    if isinstance(value, list):
        return [message for item in value for message in messages_from(item)]
    if isinstance(value, dict):
        for key in ("messages", "contents", "input", "prompt", "args"):
            if value.get(key):
                return messages_of(value[key])
        return messages_from(value)
    return [{"role": "user", "content": as_text(value)}]


def answer_from(value: Any) -> JsonObject | None:
    """Return the assistant message that a logged output stands for, None if it holds nothing."""
    if value is None or value in ("", [], {}):
        return None
    said = [_as_answer(message) for message in _outputs(value)]
    if not said:
        return None
    calls = [call for message in said for call in message.get("tool_calls") or ()]
    texts = [text for message in said if (text := message.get("content"))]
    answer: JsonObject = dict(said[0]) if len(said) == 1 else {"role": "assistant"}
    if len(said) > 1:
        answer["content"] = "\n".join(map(as_text, texts)) or None
    if calls:
        answer["tool_calls"] = calls
    return answer


def messages_from(item: Any) -> list[JsonObject]:
    """Return the chat messages of one logged item, usually one; none for what was never said."""
    if not isinstance(item, dict):
        return [{"role": "user", "content": as_text(item)}]
    kind = item.get("type")
    reader = _ITEMS.get(kind) if isinstance(kind, str) else None
    if reader is not None:
        return reader(item)
    if isinstance(item.get("parts"), list):
        return _from_parts(item)
    return [_chat_message(item)]


def tool_call(called: str, arguments: Any, call_id: Any = None) -> JsonObject:
    """Return a tool call in chat-completions form; its arguments become JSON text."""
    text = as_text({} if arguments is None else arguments)
    function = {"name": called, "arguments": text}
    identity = name(call_id) or f"call_{content_id(function)[:24]}"
    return {"id": identity, "type": "function", "function": function}


def as_text(value: Any) -> str:
    """Return a text as it is, and any other JSON value as JSON text."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def role_of(value: Any) -> str:
    """Return the chat role that a speaker's name stands for; who is not known is the user."""
    text = value if isinstance(value, str) else ""
    return text if text in _KNOWN_ROLES else _ROLES.get(text, "user")


def _outputs(value: Any) -> list[JsonObject]:
    if isinstance(value, list):
        return [message for item in value for message in _outputs(item)]
    if not isinstance(value, dict):
        return [{"role": "assistant", "content": as_text(value)}]
    inside = next((value[k] for k in _INSIDE if isinstance(value.get(k), dict | list)), None)
    if inside is None and isinstance(value.get("content"), dict):  # a Gemini candidate
        inside = value["content"]
    if inside is not None:
        return _outputs(inside)
    if name(value.get("toolName")):
        call = tool_call(str(value["toolName"]), value.get("input"), value.get("toolCallId"))
        return [{"role": "assistant", "content": None, "tool_calls": [call]}]
    if {"role", "parts", "content", "tool_calls", "type"} & value.keys():
        return messages_from(value)
    return [{"role": "assistant", "content": as_text(value)}]


def _as_answer(message: JsonObject) -> JsonObject:
    return {**message, "role": "assistant"}


def _chat_message(item: JsonObject) -> JsonObject:
    message = {key: value for key, value in item.items() if key in MESSAGE_KEYS}
    message["role"] = role_of(item.get("role") or item.get("type") or item.get("from"))
    if "content" not in item and "value" in item:
        message["content"] = item["value"]
    if isinstance(message.get("content"), list):
        message["content"] = _content(message["content"])
    extra = item.get("additional_kwargs")
    if isinstance(extra, dict) and extra.get("tool_calls") and not message.get("tool_calls"):
        message["tool_calls"] = extra["tool_calls"]
    if "tool_calls" in message:
        listed = message.pop("tool_calls")
        message |= {"tool_calls": [_as_tool_call(c) for c in listed]} if _is_list(listed) else {}
    if not {"content", "tool_calls", "function_call"} & message.keys():
        message["content"] = as_text(item)
    return message


def _is_list(value: Any) -> bool:
    return isinstance(value, list) and bool(value)


def _as_tool_call(call: Any) -> Any:
    """Return LangChain's {name, args, id} in chat-completions form, and that form as it is."""
    if isinstance(call, dict) and "function" not in call and name(call.get("name")):
        arguments = call.get("args", call.get("arguments"))
        return tool_call(str(call["name"]), arguments, call.get("id"))
    return call


def _content(parts: list[Any]) -> Any:
    """Return a content list with the text parts in chat form; a sole text becomes plain text."""
    mapped = [_content_part(part) for part in parts]
    if len(mapped) == 1 and isinstance(mapped[0], dict) and mapped[0].keys() == {"type", "text"}:
        return mapped[0]["text"]
    return mapped


def _content_part(part: Any) -> Any:
    if isinstance(part, dict) and part.get("type") in _TEXT_PARTS and "text" in part:
        return {"type": "text", "text": part["text"]}
    return part


def _from_parts(item: JsonObject) -> list[JsonObject]:
    role = role_of(item.get("role"))
    texts: list[str] = []
    calls: list[JsonObject] = []
    results: list[JsonObject] = []
    for part in item["parts"]:
        _sort_part(part, texts, calls, results)
    if results and not texts and not calls:
        return results
    message: JsonObject = {"role": role, "content": "\n".join(texts) if texts else None}
    if calls:
        message["tool_calls"] = calls
    return [message, *results]


def _sort_part(
    part: Any, texts: list[str], calls: list[JsonObject], results: list[JsonObject]
) -> None:
    """Add an OpenTelemetry or Gemini part to the texts, tool calls or tool results."""
    fields: JsonObject = part if isinstance(part, dict) else {"text": part}
    asked = fields.get("function_call", fields.get("functionCall"))
    told = fields.get("function_response", fields.get("functionResponse"))
    kind = fields.get("type")
    if kind == "tool_call":
        called = as_text(fields.get("name"))
        calls.append(tool_call(called, fields.get("arguments"), fields.get("id")))
    elif kind == "tool_call_response":
        results.append(_result(fields.get("id"), fields.get("response", fields.get("result"))))
    elif isinstance(asked, dict):
        calls.append(tool_call(as_text(asked.get("name")), asked.get("args")))
    elif isinstance(told, dict):
        results.append(_result(told.get("name"), told.get("response")))
    elif kind not in ("thinking", "reasoning"):
        texts.append(as_text(fields.get("text", fields.get("content", fields))))


def _result(call_id: Any, result: Any) -> JsonObject:
    return {"role": "tool", "tool_call_id": name(call_id) or "", "content": as_text(result)}


def _called(item: JsonObject) -> list[JsonObject]:
    call = tool_call(as_text(item.get("name")), item.get("arguments"), item.get("call_id"))
    return [{"role": "assistant", "content": None, "tool_calls": [call]}]


def _called_back(item: JsonObject) -> list[JsonObject]:
    return [_result(item.get("call_id"), item.get("output"))]


def _defined_tool(_: JsonObject) -> list[JsonObject]:
    return []


_ITEMS: dict[str, Callable[[JsonObject], list[JsonObject]]] = {
    "function_call": _called,
    "function_call_output": _called_back,
    "reasoning": _defined_tool,
    "compaction": _defined_tool,
}
"""Items of the Responses API that are not messages. Reasoning was not said to anybody."""
