"""The older completions: a prompt as a user's message, a text as the assistant's."""

from __future__ import annotations

from typing import Any

from slimdown.capture.dialects.assembled import objects_in
from slimdown.types import JsonObject


def chat_request(request: JsonObject) -> JsonObject:
    """Return a completions request in chat form; a prompt of token numbers stays ``prompt``."""
    prompt = request.get("prompt")
    prompts = [prompt] if isinstance(prompt, str) else prompt
    if not isinstance(prompts, list) or not all(isinstance(each, str) for each in prompts):
        return request
    made = {key: value for key, value in request.items() if key != "prompt"}
    return made | {"messages": [{"role": "user", "content": each} for each in prompts]}


def chat_answer(answer: JsonObject) -> JsonObject:
    """Return a text completion as a chat completion."""
    made = answer | {"object": "chat.completion"}
    return made | {"choices": [_choice(choice) for choice in objects_in(answer, "choices")]}


def _choice(choice: JsonObject) -> JsonObject:
    if "message" in choice:
        return choice
    message: dict[str, Any] = {"role": "assistant", "content": choice.get("text")}
    kept = {key: value for key, value in choice.items() if key != "text"}
    return {"index": 0, "message": message} | kept
