"""What a recorded call answers: a completion or an error, encoded, with its time.

Knows chat completions only; other dialects are rendered from them when they are asked for.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from slimdown.answer import answer_message
from slimdown.types import Call, JsonObject

EXACT = "slimdown-replay"
NEAREST = "slimdown-replay-nearest"

_STATUS = re.compile(r"(?<!\d)[45]\d\d(?!\d)")


class Recorded(msgspec.Struct, frozen=True, gc=False):
    """One answer: ``body`` is a chat completion, or an error under a ``status`` of 400 or more.

    ``latency_ms`` is 0 where it is not known, ``first_ms`` where the first byte's time is not.
    """

    status: int
    body: bytes
    model: str
    latency_ms: float = 0.0
    first_ms: float = 0.0


def recorded(call: Call) -> Recorded | None:
    """Return what a call answers; None for one without a whole answer or an error's status.

    What broke off (a client that left, a stream cut short) was no answer and is not given as one.
    """
    status = 200 if call.error is None else _error_status(call)
    unanswered = call.error is None and answer_message(call.response) is None
    if status is None or unanswered or not isinstance(call.request.get("messages"), list):
        return None
    return Recorded(
        status=status,
        body=msgspec.json.encode(completion(call) if call.error is None else _error(call)),
        model=_text(call.request.get("model")),
        latency_ms=max(call.latency_ms or 0.0, 0.0),
        first_ms=_number(_gateway(call).get("ttft_ms")),
    )


def completion(call: Call) -> JsonObject:
    """Return the recorded completion, with what every completion has and a log may lack."""
    made = {"id": f"chatcmpl-{call.id}", "object": "chat.completion", "created": 0}
    made |= {"model": _text(call.request.get("model"))}
    told = call.response or {}
    lacking = {name: value for name, value in made.items() if told.get(name) is None}
    return {**told, **lacking, "system_fingerprint": EXACT}


def _error(call: Call) -> JsonObject:
    response = call.response or {}
    if isinstance(response.get("error"), dict):
        return {"error": response["error"]}
    return error_body(call.error or "", "replay_recorded_error", "replayed_error")


def error_body(message: str, code: str, kind: str) -> JsonObject:
    """Return an error in OpenAI's shape."""
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _error_status(call: Call) -> int | None:
    """Return the status that a failed call was answered with: as recorded, else as told."""
    recorded = (_gateway(call).get("status"), call.metadata.get("http_status"))
    found = _STATUS.search(call.error or "")
    known = (status for status in recorded if isinstance(status, int) and 400 <= status <= 599)
    return next(known, int(found[0]) if found else None)


def _gateway(call: Call) -> JsonObject:
    facts = call.metadata.get("gateway")
    return facts if isinstance(facts, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _number(value: Any) -> float:
    known = isinstance(value, int | float) and not isinstance(value, bool)
    return max(float(value), 0.0) if known else 0.0
