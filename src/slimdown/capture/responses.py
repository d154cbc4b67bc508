"""OpenAI's Responses API as chat completions, so that one kind of call goes through everything.

What has a word in chat completions is put in that word; the rest is carried under its own name.
"""

from __future__ import annotations

from typing import Any

from slimdown.capture.messages import answer_from, messages_of
from slimdown.types import JsonObject


def is_request(request: JsonObject) -> bool:
    """Tell whether a request is one of the Responses API."""
    return "input" in request and "messages" not in request


def chat_request(request: JsonObject) -> JsonObject:
    """Return a Responses request as a chat-completions request."""
    made = {key: value for key, value in request.items() if key not in ("input", "instructions")}
    messages = messages_of(request["input"])
    if request.get("instructions"):
        messages.insert(0, {"role": "system", "content": request["instructions"]})
    made["messages"] = messages
    if isinstance(request.get("tools"), list):
        made["tools"] = [_tool(tool) for tool in request["tools"]]
    if "max_output_tokens" in made:
        made["max_completion_tokens"] = made.pop("max_output_tokens")
    text = request.get("text")
    form = text.get("format") if isinstance(text, dict) else None
    if isinstance(form, dict) and form.get("type") == "json_schema":
        schema = {key: value for key, value in form.items() if key != "type"}
        made["response_format"] = {"type": "json_schema", "json_schema": schema}
        del made["text"]
    return made


def chat_response(response: JsonObject) -> JsonObject:
    """Return a Responses answer as a chat completion, and one without output as it is."""
    message = answer_from(response.get("output"))
    if message is None:
        return response
    made: JsonObject = {key: response[key] for key in ("id", "model") if key in response}
    made["object"] = "chat.completion"
    if isinstance(response.get("created_at"), int | float):
        made["created"] = int(response["created_at"])
    made["choices"] = [
        {"index": 0, "message": message, "finish_reason": _finish(response, message)}
    ]
    usage = response.get("usage")
    if isinstance(usage, dict):
        made["usage"] = chat_usage(usage)
    return made


def chat_usage(usage: JsonObject) -> JsonObject:
    """Return token counts named input, output and total in chat completions' words."""
    names = {
        "input_tokens": "prompt_tokens",
        "output_tokens": "completion_tokens",
        "input_tokens_details": "prompt_tokens_details",
        "output_tokens_details": "completion_tokens_details",
    }
    return {names.get(key, key): value for key, value in usage.items()}


def _tool(tool: Any) -> Any:
    if not isinstance(tool, dict) or tool.get("type") != "function" or "function" in tool:
        return tool
    function = {key: value for key, value in tool.items() if key != "type"}
    return {"type": "function", "function": function}


def _finish(response: JsonObject, message: JsonObject) -> str:
    if response.get("status") == "incomplete":
        return "length"
    return "tool_calls" if message.get("tool_calls") else "stop"
