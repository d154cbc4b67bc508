"""Did the model decline? The API says so in ``refusal``; else the words of its opening do.

The heuristic wants, in the first sentence but for an apology, a first person who cannot or will
not *and* a helper's verb without an object of the business ("I can't assist with that"), or a
model that speaks of itself ("as an AI"). An agent that applies its policy ("I'm sorry, this fare
cannot be changed") answers; it does not decline. English only: a refusal in another language is
kept as an answer. JSON and tool calls never decline.
"""

from __future__ import annotations

import re

from slimdown.answer import answer_message
from slimdown.types import Answer, JsonObject

_OPENING_CHARS = 400

_NOT = r"(?:n't|n\u2019t|not| not)"
_CANNOT = (
    rf"\bi (?:can{_NOT}|can['\u2019]t|could{_NOT}|(?:will not|won['\u2019]t)(?: be able to)?)"
    r"|\bi(?: am|['\u2019]m) (?:unable|not able|not allowed|not permitted) to"
)
_AFTER_HELP = r"(?: you)?(?: (?:with|to|in|on|about))?"
_VERBS = (
    r"(?:assist|help|comply|fulfil+|engage|participate|answer|respond|provide|generate|create|"
    r"write|produce|support|discuss|do|continue)"
)
_THAT = (
    r" (?:that|this|your|such|the)(?: (?:kind|type|sort) of)?(?: specific)?"
    r"(?: (?:request|question|query|content|information|topic|conversation|task|inquiry)s?)?"
)
_STOP = r"(?=\s*(?:[.,;!:]|$)| as\b| because\b| since\b)"

# What may stand before a refusal: an apology as a sentence of its own, then the same sentence's
# beginning. A refusal after an explanation is an agent's verdict on the case, so an answer.
_BEFORE = (
    r"\s*(?:[^.!?\n]{0,80}\b(?:sorry|apologi[sz]e|unfortunately)[^.!?\n]{0,40}[.!]\s)?"
    r"[^.!?\n]{0,120}?"
)

_PATTERNS = tuple(
    re.compile(_BEFORE + f"(?:{pattern})", re.IGNORECASE)
    for pattern in (
        rf"(?:{_CANNOT}) {_VERBS}{_AFTER_HELP}{_THAT}{_STOP}",
        rf"(?:{_CANNOT}) (?:assist|help|comply|answer)(?: you)?{_STOP}",
        r"\bi (?:must|have to|need to) (?:respectfully )?(?:decline|refuse)\b",
        r"\bas an? (?:ai|artificial intelligence|(?:large )?language model)\b[^.]{0,80}?"
        rf"(?:{_CANNOT}|\bi do{_NOT})\b",
        r"\bagainst (?:my|our|openai['\u2019]?s?|usage|safety) (?:\w+ )?"
        r"(?:programming|guidelines|polic(?:y|ies))\b",
    )
)


def refused(response: JsonObject | None, answer: Answer | None) -> bool:
    """Tell whether the model declined to answer, by the API's field or by its opening words."""
    message = answer_message(response) or {}
    if isinstance(message.get("refusal"), str) and message["refusal"].strip():
        return True
    return answer is not None and answer.kind == "text" and declines(answer.value)


def declines(text: str) -> bool:
    """Tell whether the opening of a text declines to answer."""
    opening = text[:_OPENING_CHARS]
    return any(pattern.match(opening) for pattern in _PATTERNS)
