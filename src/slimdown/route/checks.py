"""Is a specialist's answer fit to be served? What is not goes to the upstream, unseen.

Pure: the request, the release and the completion decide. The reasons are a bounded set of short
codes that hold nothing of the payload. How sure the specialist is is not asked here.
"""

from __future__ import annotations

from typing import Any

from slimdown.answer import answer_of, finish_reason
from slimdown.canonical import canonical_json
from slimdown.contract import breach, contract_of, schema_breach
from slimdown.route.grounding import Said, choices, texts_in
from slimdown.types import Answer, AnswerKind, Call, JsonObject, OutputKind, Release

CHARS_PER_TOKEN = 4
"""Characters that a token stands for where a request bounds its answer in tokens."""

_FINISHED = frozenset({"stop", "tool_calls"})
_KINDS: dict[OutputKind, frozenset[AnswerKind]] = {
    "label": frozenset({"text", "json"}),
    "text": frozenset({"text", "json"}),
    "json": frozenset({"json"}),
    "tool": frozenset({"tool", "text"}),
}
"""What a task's answers may be: a model may reply in words instead of calling a tool."""


def unfit(request: JsonObject, release: Release, completion: JsonObject) -> str | None:
    """Return why an answer may not be served, or None: "unfinished", "empty", "other_kind",
    "contract", "too_long" or "ungrounded"."""
    if finish_reason(completion) not in _FINISHED:
        return "unfinished"
    answer = answer_of(Call(id="", request=request, response=completion))
    if answer is None:
        return "empty"
    if answer.kind not in _KINDS[release.task.kind]:
        return "other_kind"
    if _breaks_contract(request, answer):
        return "contract"
    if _too_long(request, answer):
        return "too_long"
    return None if _grounded(request, release, answer) else "ungrounded"


def make_ready() -> None:
    """Load what checking needs, some 100 ms, so that no call waits for it."""
    schema_breach({"type": "string", "pattern": "a"}, "a")


def _breaks_contract(request: JsonObject, answer: Answer) -> bool:
    contract = contract_of(request)
    if answer.kind == "tool" and not contract.tools:
        return True  # a log may have lost its tools, a live request has not
    return breach(contract, answer) is not None


def _too_long(request: JsonObject, answer: Answer) -> bool:
    bounds = [request.get("max_tokens"), request.get("max_completion_tokens")]
    told = [bound for bound in bounds if isinstance(bound, int)]
    return bool(told) and _length(answer.value) > CHARS_PER_TOKEN * min(told)


def _length(value: Any) -> int:
    """Return the characters of an answer; of one that is not text, those of its JSON."""
    return len(value) if isinstance(value, str) else len(canonical_json(value).decode())


def _grounded(request: JsonObject, release: Release, answer: Answer) -> bool:
    """Tell whether each text in the answer was said, listed, or known; free text is not judged."""
    if release.task.kind == "text":
        return True
    said = Said(request)
    listed: frozenset[str] | None = None
    for text in _values(answer):
        if text in release.known_values or said.grounds(text):
            continue
        listed = choices(request) if listed is None else listed
        if text not in listed:
            return False
    return True


def _values(answer: Answer) -> list[str]:
    """Return the texts that an answer claims; a tool's name is not one, its contract has it."""
    if answer.kind == "tool":
        return [text for call in answer.value for text in texts_in(call["arguments"])]
    return list(texts_in(answer.value))
