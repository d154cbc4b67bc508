"""Did the model decline? The API says so in ``refusal``; else the words of its opening do.

The heuristic wants a first person who will not or cannot, *and* a helper's verb with no object of
the business ("I can't assist with that"), or a model speaking of itself ("as an AI"). An agent
that applies its policy ("I'm sorry, this fare cannot be changed") answers; it does not decline.
English only; a refusal in another language is kept as an answer. JSON and tool calls never decline.
"""

from __future__ import annotations

import re

from slimdown.answer import answer_message
from slimdown.types import Answer, JsonObject

_OPENING_CHARS = 240
"""A refusal comes first; later in a text the same words are usually quoted or qualified."""

_CANNOT = (
    r"\bi(?: am|'m|\u2019m)? (?:really |very |simply )?"
    r"(?:sorry,? (?:but )?i )?(?:can(?:not|'t|\u2019t| not)|could(?:n't|n\u2019t| not)"
    r"|won(?:'t|\u2019t)|will not|(?:am |'m |\u2019m )?(?:unable|not able|not allowed) to"
    r"|must (?:decline|refuse)|(?:have to|need to) (?:decline|refuse))"
)
_HELP = (
    r"(?:assist|help|comply|fulfil+|engage|participate|answer|respond|provide|generate|create|"
    r"write|produce|support|discuss|do|continue)"
)
_BARE = (
    r"(?: you)?(?: with| to| in| on)? ?"
    r"(?:that|this|your|such|the) ?(?:kind of |type of |sort of )?"
    r"(?:request|question|query|content|information|topic|conversation|task|inquiry)?s?"
    r"\s*(?:[.,;!:]|$|as\b|because\b|since\b)"
)
_PATTERNS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"{_CANNOT} {_HELP}{_BARE}",
        rf"{_CANNOT.rsplit('|must', 1)[0]}) (?:assist|help)(?: you)?\s*(?:[.,;!]|$)",
        r"\bi (?:must|have to|need to) (?:respectfully )?(?:decline|refuse)\b",
        r"\bas an? (?:ai|artificial intelligence|(?:large )?language model)\b[^.]{0,80}"
        r"\b(?:can(?:not|'t|\u2019t)|unable|not able|don(?:'t|\u2019t)|do not|won(?:'t|\u2019t))\b",
        r"\b(?:against|violates?) (?:my|our|openai'?s?|the content|usage|safety) "
        r"(?:programming|guidelines|polic(?:y|ies)|ethical)\b",
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
    return any(pattern.search(opening) for pattern in _PATTERNS)
