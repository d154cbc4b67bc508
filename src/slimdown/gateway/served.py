"""A runtime's completion made the caller's: its model name, and the interface that it speaks."""

from __future__ import annotations

from slimdown.answer import answer_message, finish_reason
from slimdown.backends.reply import RuntimeAnswer
from slimdown.types import JsonObject

_FINGERPRINT_CHARS = 12


def served_completion(
    request: JsonObject, draft: RuntimeAnswer, call_id: str, now: float
) -> JsonObject | None:
    """Return a chat completion that names the caller's own model and, as its fingerprint, the
    specialist; ``now`` is in seconds since the epoch.

    None where the caller declares ``functions`` in the old way and would get several calls.
    """
    said = answer_message(draft.completion) or {}
    message: JsonObject = {"role": "assistant", "content": said.get("content"), "refusal": None}
    finish, calls = finish_reason(draft.completion), said.get("tool_calls")
    if calls and not request.get("tools"):
        if len(calls) > 1:
            return None
        message["function_call"], finish = calls[0]["function"], "function_call"
    elif calls:
        message["tool_calls"] = calls
    return {
        "id": f"chatcmpl-{call_id}",
        "object": "chat.completion",
        "created": int(now),
        "model": request["model"],
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}],
        "usage": draft.completion["usage"],
        "system_fingerprint": f"slimdown-{draft.specialist_id[:_FINGERPRINT_CHARS]}",
    }
