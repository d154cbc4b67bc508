"""From a chat completion to what the model said: text, JSON, or tool calls.

Knows the answer's shape only; whether it is right, complete or allowed is for others to say.
"""

from __future__ import annotations

from typing import Any

import msgspec

from slimdown.canonical import canonical_json
from slimdown.types import Answer, Call, JsonObject, OutputKind


def answer_of(call: Call) -> Answer | None:
    """Return the first choice's answer, or None where there is none (a failure, an empty answer).

    Tool calls win over text beside them. Text is JSON if it decodes to an object or array,
    inside a Markdown fence or not; a bare number or string stays text.
    """
    message = answer_message(call.response)
    if message is None:
        return None
    tools = _tool_calls(message)
    if tools:
        return Answer("tool", tools)
    text = message_text(message)
    if not text.strip():
        return None
    return _text_answer(text.strip())


def output_of(kind: OutputKind, answer: Answer) -> Any:
    """Return an answer in the form that a task of this kind holds (see `Example`)."""
    if kind in ("label", "text") and answer.kind != "text":
        return canonical_json(answer.value).decode()
    return answer.value


def answer_message(response: JsonObject | None) -> JsonObject | None:
    """Return the assistant message of the first choice, or None if the response has none."""
    choices = (response or {}).get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        return None
    message = choices[0].get("message")
    return message if isinstance(message, dict) else None


def finish_reason(response: JsonObject | None) -> str | None:
    """Return the first choice's finish reason, or None where it is not told."""
    choices = (response or {}).get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        return None
    reason = choices[0].get("finish_reason")
    return reason if isinstance(reason, str) else None


def message_text(message: JsonObject) -> str:
    """Return a message's text; text parts are joined by a line break, other parts left out."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = [part.get("text") for part in content if isinstance(part, dict)]
    return "\n".join(part for part in parts if isinstance(part, str))


def parse_json(text: str) -> Any:
    """Return the object or array that a text holds, fenced or not, or None if it holds neither."""
    bare = _unfence(text.strip())
    if not bare or bare[0] not in "{[":
        return None
    try:
        value = msgspec.json.decode(bare)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return None
    return value if isinstance(value, dict | list) else None


def _text_answer(text: str) -> Answer:
    value = parse_json(text)
    return Answer("text", text) if value is None else Answer("json", value)


def _unfence(text: str) -> str:
    if not (text.startswith("```") and text.endswith("```") and "\n" in text):
        return text
    return text[text.index("\n") + 1 : -3].strip()


def _tool_calls(message: JsonObject) -> list[JsonObject]:
    listed = message.get("tool_calls")
    calls = (
        [c.get("function") for c in listed if isinstance(c, dict)]
        if isinstance(listed, list)
        else []
    )
    old_style = message.get("function_call")
    if not calls and isinstance(old_style, dict):
        calls = [old_style]
    return [_tool_call(f) for f in calls if isinstance(f, dict) and f.get("name")]


def _tool_call(function: JsonObject) -> JsonObject:
    arguments = function.get("arguments")
    if isinstance(arguments, str):
        parsed = parse_json(arguments) if arguments.strip() else {}
        # Arguments that are not JSON are kept as the text they are: a contract check names them.
        arguments = arguments if parsed is None else parsed
    return {"name": str(function["name"]), "arguments": {} if arguments is None else arguments}
