"""Whether the token counts of an answer may be trusted with a bill.

Knows chat's words alone (``prompt_tokens``, ``completion_tokens``); nothing of prices.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from slimdown.types import JsonObject

_MOST_TOKENS = 2**53
_DETAILS = ("prompt_tokens_details", "completion_tokens_details")


def usable(usage: Any) -> bool:
    """Tell whether prompt and completion tokens, and their details, are counts of tokens."""
    if not isinstance(usage, dict):
        return False
    if not all(_is_count(usage.get(key)) for key in ("prompt_tokens", "completion_tokens")):
        return False
    details = [usage.get(key) for key in _DETAILS]
    counts = [count for each in details if isinstance(each, dict) for count in each.values()]
    told = [usage.get("total_tokens"), *counts]
    return all(_is_count(count) for count in told if isinstance(count, int | float))


def without_bad_usage(answer: JsonObject, usages: Sequence[Any]) -> tuple[JsonObject, list[Any]]:
    """Return an answer, and the counts that were taken out of it because nobody should trust them.

    ``usages`` are the final counts that a stream told: two are one too many, even equal ones.
    """
    usage = answer.get("usage")
    if len(usages) < 2 and usable(usage):
        return answer, []
    aside = list(usages) if len(usages) > 1 else [usage]
    return {key: value for key, value in answer.items() if key != "usage"}, aside


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_TOKENS
