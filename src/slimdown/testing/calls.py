"""Sample calls. Knows nothing of stores or servers."""

from __future__ import annotations

from typing import Any

from slimdown.canonical import canonical_json, content_id
from slimdown.types import Call, JsonObject


def sample_call(
    text: str = "where is my parcel?",
    answer: str | JsonObject = "delivery",
    *,
    system: str = "Name the intent of the message.",
    **fields: Any,
) -> Call:
    """Return a call that asked ``text`` and was answered ``answer`` (an object becomes JSON text).

    ``fields`` are further fields of `Call`; the id is the content's unless given.
    """
    content = answer if isinstance(answer, str) else canonical_json(answer).decode()
    request = {
        "model": "gpt-4o-mini",
        "messages": [{"role": "system", "content": system}, {"role": "user", "content": text}],
    }
    message = {"role": "assistant", "content": content}
    response = {
        "object": "chat.completion",
        "model": "gpt-4o-mini",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 50, "completion_tokens": 5, "total_tokens": 55},
    }
    made: JsonObject = {"request": request, "response": response, **fields}
    return Call(**{"id": content_id(made), **made})
