"""An ordinary agent's calls to its LLM, by the `openai` package: it knows nothing of slimdown.

Reads requests from one file (a JSON object a line: id, session, request), asks the LLM that
OPENAI_BASE_URL names, and writes what it answered to another. Sessions go side by side, the calls
of one after each other.

    python agent.py requests.jsonl answers.jsonl
"""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import openai

SESSIONS_AT_A_TIME = 8


def main(requests: Path, answers: Path) -> None:
    """Ask all requests and write all answers."""
    sessions: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in requests.read_text("utf-8").splitlines():
        entry = json.loads(line)
        sessions[entry["session"]].append(entry)
    client = openai.OpenAI(max_retries=0)
    with ThreadPoolExecutor(SESSIONS_AT_A_TIME) as pool, answers.open("w") as file:
        for answered in pool.map(
            lambda entries: [ask(client, e) for e in entries], sessions.values()
        ):
            file.writelines(json.dumps(answer) + "\n" for answer in answered)


def ask(client: openai.OpenAI, entry: dict[str, Any]) -> dict[str, Any]:
    """Return the answer to one request, with the milliseconds it took."""
    request, began = entry["request"], time.perf_counter()
    try:
        reply = (streamed if request.get("stream") else whole)(client, request)
    except openai.APIError as error:
        reply = {"error": type(error).__name__}
    return {"id": entry["id"], "ms": (time.perf_counter() - began) * 1000, **reply}


def whole(client: openai.OpenAI, request: dict[str, Any]) -> dict[str, Any]:
    """Ask for an answer in one piece."""
    completion = client.chat.completions.create(**request)
    choice = completion.choices[0]
    return {
        "message": choice.message.model_dump(mode="json", exclude_none=True),
        "finish_reason": choice.finish_reason,
        "fingerprint": completion.system_fingerprint,
    }


def streamed(client: openai.OpenAI, request: dict[str, Any]) -> dict[str, Any]:
    """Ask for an answer piece by piece, and put the pieces together."""
    content, finish_reason, fingerprint = "", None, None
    tool_calls: dict[int, dict[str, Any]] = {}
    for chunk in client.chat.completions.create(**request):
        fingerprint = chunk.system_fingerprint or fingerprint
        for choice in chunk.choices:
            content += choice.delta.content or ""
            finish_reason = choice.finish_reason or finish_reason
            for piece in choice.delta.tool_calls or ():
                add(tool_calls, piece)
    message: dict[str, Any] = {"role": "assistant", "content": content or None}
    if tool_calls:
        message["tool_calls"] = [tool_calls[index] for index in sorted(tool_calls)]
    return {"message": message, "finish_reason": finish_reason, "fingerprint": fingerprint}


def add(tool_calls: dict[int, dict[str, Any]], piece: Any) -> None:
    """Add a piece of a tool call to those so far."""
    empty = {"name": "", "arguments": ""}
    call = tool_calls.setdefault(piece.index, {"type": "function", "function": empty})
    call |= {"id": piece.id} if piece.id else {}
    call["function"]["name"] += piece.function.name or ""
    call["function"]["arguments"] += piece.function.arguments or ""


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
