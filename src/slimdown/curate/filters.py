"""Why a call is set aside: one small function a reason, tried in a fixed order.

A check takes a `Look` at a call and returns a detail ("" where the reason says all) or None where
it has no objection. Who answered comes first, then failure before what presumes an answer, and
refusal before emptiness (the API leaves the text empty beside ``refusal``). Details name no
payload.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from slimdown.answer import answer_of, finish_reason, message_text
from slimdown.contract import violation
from slimdown.curate.outcomes import Rule, parse_rule
from slimdown.curate.refusal import refused
from slimdown.signature import messages_of
from slimdown.types import Answer, Call, Dropped, JsonObject

AUDIENCE_KEYS = ("audience", "x-slimdown-audience")
"""Metadata keys under which capture keeps whom a call was for."""


_TEXT_PARTS = ("text", "input_text", "output_text", "refusal")

SYSTEM_ROLES = ("system", "developer")


class CurationRules(msgspec.Struct, frozen=True, kw_only=True):
    """What the user asks of curation.

    ``outcomes`` such as "reward>=1" must hold where the call's metadata has the key; a call
    without it stays. ``human_facing`` sets calls aside that were made for a person to read: each
    is "system:TEXT" (the system prompt contains it) or a comparison such as "app=support-chat".
    ``keep_human_facing`` trains on those too.
    """

    outcomes: tuple[str, ...] = ()
    human_facing: tuple[str, ...] = ()
    keep_human_facing: bool = False


class Look(msgspec.Struct, frozen=True):
    """A call with its answer parsed once."""

    call: Call
    answer: Answer | None


Check = Callable[[Look], str | None]
"""Returns a detail if the call is to be set aside, else None."""


def checks(rules: CurationRules) -> tuple[tuple[str, Check], ...]:
    """Return (reason, check) in the order of trial; raises `UsageError` for a malformed rule."""
    outcomes = tuple(parse_rule(text) for text in rules.outcomes)
    audience = None if rules.keep_human_facing else _human_facing(rules.human_facing)
    return (
        ("specialist_answer", _specialist_answer),
        ("failure", _failure),
        ("unsupported", _unsupported),
        *((("human_facing", audience),) if audience else ()),
        ("truncated", _truncated),
        ("refusal", _refusal),
        ("empty", _empty),
        ("outcome", _outcome(outcomes)),
        ("contract_violation", _contract_violation),
    )


def objection(call: Call, tried: Iterable[tuple[str, Check]]) -> tuple[Look, Dropped | None]:
    """Return the call with its answer, and the first objection to it, if any."""
    look = Look(call, answer_of(call))
    for reason, check in tried:
        detail = check(look)
        if detail is not None:
            return look, Dropped(call.id, reason, detail)
    return look, None


def system_text(request: JsonObject) -> str:
    """Return the text of a request's system and developer messages."""
    messages = messages_of(request)
    return "\n".join(message_text(m) for m in messages if m.get("role") in SYSTEM_ROLES)


def _specialist_answer(look: Look) -> str | None:
    """Object to what a specialist said: learning from it would confirm its own mistakes."""
    gateway = look.call.metadata.get("gateway")
    served_by = gateway.get("served_by") if isinstance(gateway, dict) else None
    return None if served_by in (None, "", "upstream") else ""


def _failure(look: Look) -> str | None:
    call = look.call
    status = call.metadata.get("http_status", 200)
    if call.error:
        return "error"
    if isinstance(status, int) and status >= 400:
        return f"http {status}"
    if not isinstance(call.response, dict) or call.response.get("error"):
        return "no response"
    return None if _n_choices(call.response) else "no choices"


def _unsupported(look: Look) -> str | None:
    request = look.call.request
    messages = messages_of(request)
    if not messages:
        return "no messages"
    if request.get("n") not in (None, 1) or _n_choices(look.call.response) > 1:
        return "several choices"
    if any(not _is_text(part) for m in messages for part in _parts(m)):
        return "content other than text"
    modalities = request.get("modalities")
    return "audio" if isinstance(modalities, list) and "audio" in modalities else None


def _n_choices(response: JsonObject | None) -> int:
    choices = (response or {}).get("choices")
    return len(choices) if isinstance(choices, list) else 0


def _parts(message: JsonObject) -> list[object]:
    content = message.get("content")
    return content if isinstance(content, list) else []


def _is_text(part: object) -> bool:
    return isinstance(part, dict) and part.get("type") in _TEXT_PARTS


def _truncated(look: Look) -> str | None:
    reason = finish_reason(look.call.response)
    return reason if reason in ("length", "content_filter") else None


def _refusal(look: Look) -> str | None:
    return "" if refused(look.call.response, look.answer) else None


def _empty(look: Look) -> str | None:
    return "" if look.answer is None else None


def _contract_violation(look: Look) -> str | None:
    return None if look.answer is None else violation(look.call.request, look.answer)


def _outcome(rules: tuple[Rule, ...]) -> Check:
    def check(look: Look) -> str | None:
        failed = (rule.text for rule in rules if rule.holds(look.call.metadata) is False)
        return next(failed, None)

    return check


def _human_facing(texts: tuple[str, ...]) -> Check:
    inside = [text.removeprefix("system:") for text in texts if text.startswith("system:")]
    rules = [parse_rule(text) for text in texts if not text.startswith("system:")]

    def check(look: Look) -> str | None:
        told = [look.call.metadata.get(key) for key in AUDIENCE_KEYS]
        if "machine" in told:
            return None  # the caller knows better than a rule about many calls
        if "human" in told:
            return "audience"
        named = next((rule.text for rule in rules if rule.holds(look.call.metadata)), None)
        system = system_text(look.call.request) if inside else ""
        return named or next((f"system:{text}" for text in inside if text in system), None)

    return check
