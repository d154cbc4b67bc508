"""What a specialist runtime says, checked: an answer, a refusal, or nonsense.

Knows nothing of the connection that it came over.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

from slimdown.errors import RuntimeUnavailable
from slimdown.types import JsonObject

DOWN = "the specialist runtime did not answer ({}). The upstream is asked instead."

REFUSALS = frozenset(
    {"not_this_task", "too_long", "abstained", "failed", "loading", "overloaded"}
    | {"unknown_specialist", "broken_specialist"}
)
"""What a runtime may say instead of an answer and be well; any other code becomes "refused"."""


class RuntimeAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A specialist's answer: a chat completion, and the score that decides whether it is served."""

    completion: JsonObject
    task_id: str
    specialist_id: str
    score: float


class RuntimeRefusal(msgspec.Struct, frozen=True):
    """No answer, from a runtime that is well: ``code`` is one of `REFUSALS`, or "refused"."""

    code: str


def reply_of(status: int, content: bytes, offered: Sequence[str]) -> RuntimeAnswer | RuntimeRefusal:
    """Read an HTTP answer to a question that offered these specialists.

    Raises `RuntimeUnavailable` if a well runtime would not have said it.
    """
    return _answer(content, offered) if status == 200 else _refusal(status, content)


class _Facts(msgspec.Struct, frozen=True):
    task: str
    specialist: str
    score: Annotated[float, msgspec.Meta(ge=0, le=1)]


class _Message(msgspec.Struct, frozen=True):
    content: str | None = None
    tool_calls: list["_ToolCall"] | None = None  # noqa: UP037


class _Function(msgspec.Struct, frozen=True):
    name: str
    arguments: str


class _ToolCall(msgspec.Struct, frozen=True):
    id: str
    function: _Function


class _Choice(msgspec.Struct, frozen=True):
    message: _Message
    finish_reason: str


class _Reply(msgspec.Struct, frozen=True):
    choices: Annotated[list[_Choice], msgspec.Meta(min_length=1, max_length=1)]
    usage: dict[str, Any]
    slimdown: _Facts


def _answer(content: bytes, offered: Sequence[str]) -> RuntimeAnswer:
    try:
        completion = msgspec.json.decode(content)
        facts = msgspec.convert(completion, _Reply).slimdown
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RuntimeUnavailable(DOWN.format("it said what is no chat completion")) from error
    if facts.specialist not in offered:
        raise RuntimeUnavailable(DOWN.format("a specialist answered that was not asked"))
    return RuntimeAnswer(
        completion=completion,
        task_id=facts.task,
        specialist_id=facts.specialist,
        score=facts.score,
    )


def _refusal(status: int, content: bytes) -> RuntimeRefusal:
    code = _code(content)
    if code in REFUSALS:
        return RuntimeRefusal(code)
    if 400 <= status < 500:
        return RuntimeRefusal("refused")
    raise RuntimeUnavailable(DOWN.format(f"HTTP status {status}"))


def _code(content: bytes) -> str:
    try:
        body = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    error = body.get("error") if isinstance(body, dict) else None
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, str) else ""
