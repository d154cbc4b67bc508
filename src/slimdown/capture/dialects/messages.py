"""Anthropic's messages as chat completions: requests and answers.

What has a word in chat is put in that word; the rest is carried under its own name. Written from
Anthropic's API reference (Messages). Knows nothing of bytes and streams.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from slimdown.capture.dialects.assembled import object_in, objects_in, text_in
from slimdown.capture.messages import as_text, tool_call
from slimdown.types import JsonObject

_FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_RENAMED = {"max_tokens": "max_completion_tokens", "stop_sequences": "stop"}
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}
_CACHED = ("cache_read_input_tokens", "cache_creation_input_tokens")
_THINKING = ("thinking", "redacted_thinking")


def chat_request(request: JsonObject) -> JsonObject:
    """Return a messages request as a chat-completions request."""
    own = ("messages", "system", "tools", "tool_choice")
    made = {_RENAMED.get(key, key): value for key, value in request.items() if key not in own}
    messages: list[JsonObject] = []
    if request.get("system"):
        messages.append({"role": "system", "content": _content(request["system"])})
    for message in objects_in(request, "messages"):
        messages += _chat_messages(message)
    made["messages"] = messages
    if isinstance(request.get("tools"), list):
        made["tools"] = [_tool(tool) for tool in request["tools"]]
    made |= _choice_of_tools(request.get("tool_choice"))
    return made | _form(request)


def chat_answer(answer: JsonObject) -> JsonObject:
    """Return an Anthropic message as a chat completion."""
    if not isinstance(answer.get("content"), list):
        return answer
    own = ("id", "model", "service_tier", "container", "context_management")
    made: JsonObject = {key: answer[key] for key in own if key in answer}
    made["object"] = "chat.completion"
    reason = answer.get("stop_reason")
    choice: JsonObject = {
        "index": 0,
        "message": _assistant(objects_in(answer, "content")),
        "finish_reason": _FINISH.get(reason, reason) if isinstance(reason, str) else None,
    }
    if answer.get("stop_sequence"):
        choice["stop_sequence"] = answer["stop_sequence"]
    made["choices"] = [choice]
    if isinstance(answer.get("usage"), dict):
        made["usage"] = chat_usage(answer["usage"])
    return made


def chat_usage(usage: JsonObject) -> JsonObject:
    """Return token counts in chat's words: there the tokens of the cache are among the prompt's.

    Counts that are none are handed on as they are, for others to judge.
    """
    read, written = (usage.get(key) or 0 for key in _CACHED)
    counts: list[Any] = [usage.get("input_tokens"), read, written]
    output: Any = usage.get("output_tokens")
    rest = {k: v for k, v in usage.items() if k not in (*_CACHED, "input_tokens", "output_tokens")}
    details = {"cached_tokens": read, "cache_creation_tokens": written}
    made = {"completion_tokens": output, "prompt_tokens_details": details, **rest}
    if not all(isinstance(count, int) and count >= 0 for count in (*counts, output)):
        return {"prompt_tokens": counts[0]} | made
    prompt = sum(counts)
    return {"prompt_tokens": prompt, "total_tokens": prompt + output} | made


def _chat_messages(message: JsonObject) -> Iterator[JsonObject]:
    """Yield the chat messages of one: a tool's result is a message of its own there."""
    content = message.get("content")
    role = message.get("role")
    if not isinstance(content, list):
        yield message
    elif role == "assistant":
        yield _assistant(objects_in(message, "content"))
    else:
        yield from _user(content, role)


def _user(content: list[Any], role: Any) -> Iterator[JsonObject]:
    parts: list[Any] = []
    for part in content:
        if not isinstance(part, dict) or part.get("type") != "tool_result":
            parts.append(_image(part))
            continue
        if parts:
            yield {"role": role, "content": _content(parts)}
            parts = []
        own = ("type", "tool_use_id", "content")
        rest = {key: value for key, value in part.items() if key not in own}
        result = _content(part.get("content") or "")
        yield {"role": "tool", "tool_call_id": part.get("tool_use_id"), "content": result} | rest
    if parts or not content:
        yield {"role": role, "content": _content(parts)}


def _assistant(blocks: list[JsonObject]) -> JsonObject:
    """Return an assistant's message: its text, its calls of tools, its reasoning, and the rest.

    Text blocks follow each other without a break (citations cut them), and so they are joined.
    Blocks of other kinds, such as a search's results, are kept as ``content_blocks``.
    """
    message: JsonObject = {"role": "assistant", "content": None}
    texts = [text_in(block, "text") for block in blocks if block.get("type") == "text"]
    if texts:
        message["content"] = "".join(texts)
    calls = [
        tool_call(as_text(block.get("name")), block.get("input"), block.get("id"))
        for block in blocks
        if block.get("type") == "tool_use"
    ]
    if calls:
        message["tool_calls"] = calls
    thought = [block for block in blocks if block.get("type") in _THINKING]
    if thought:
        message["reasoning_content"] = "".join(text_in(block, "thinking") for block in thought)
        message["thinking_blocks"] = thought
    rest = [block for block in blocks if block.get("type") not in (*_THINKING, "text", "tool_use")]
    if rest:
        message["content_blocks"] = rest
    return message


def _content(content: Any) -> Any:
    """Return content in chat form: a sole text part as the text that it holds."""
    if isinstance(content, list) and len(content) == 1 and isinstance(content[0], dict):
        part = content[0]
        if part.get("type") == "text" and part.keys() == {"type", "text"}:
            return part.get("text")
    return content


def _image(part: Any) -> Any:
    """Return an image in chat form, and any other part as it is."""
    if not isinstance(part, dict) or part.get("type") != "image":
        return part
    source = object_in(part, "source")
    url = source.get("url")
    if source.get("type") == "base64":
        url = f"data:{source.get('media_type')};base64,{source.get('data')}"
    return {"type": "image_url", "image_url": {"url": url}} if isinstance(url, str) else part


def _tool(tool: Any) -> Any:
    """Return a function in chat form; a tool of the provider's own (typed) stays as it is."""
    if not isinstance(tool, dict) or "input_schema" not in tool:
        return tool
    own = ("type", "input_schema")
    function = {key: value for key, value in tool.items() if key not in own}
    return {"type": "function", "function": function | {"parameters": tool["input_schema"]}}


def _choice_of_tools(choice: Any) -> JsonObject:
    if not isinstance(choice, dict):
        return {}
    kind = choice.get("type")
    made: JsonObject = {}
    if kind == "tool":
        made["tool_choice"] = {"type": "function", "function": {"name": choice.get("name")}}
    else:
        made["tool_choice"] = _CHOICES.get(kind, choice) if isinstance(kind, str) else choice
    if choice.get("disable_parallel_tool_use") is True:
        made["parallel_tool_calls"] = False
    return made


def _form(request: JsonObject) -> JsonObject:
    """Return the demanded form of the answer in chat's words, if one is demanded."""
    form = object_in(object_in(request, "output_config"), "format")
    form = form or object_in(request, "output_format")
    if form.get("type") != "json_schema" or "schema" not in form:
        return {}
    schema = {"name": "output", "strict": True, "schema": form["schema"]}
    return {"response_format": {"type": "json_schema", "json_schema": schema}}
