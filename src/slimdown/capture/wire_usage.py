"""Whether the token counts of an answer may be trusted with a bill.

Knows chat's words alone (``prompt_tokens``, ``completion_tokens``); nothing of prices.
"""

from __future__ import annotations

from typing import Any

_MOST_TOKENS = 2**53
_COUNTED = ("prompt_tokens", "completion_tokens")
_DETAILS = ("prompt_tokens_details", "completion_tokens_details")


def usable(usage: Any) -> bool:
    """Tell whether prompt and completion tokens, and their details, are counts of tokens."""
    if not isinstance(usage, dict):
        return False
    for key in _COUNTED:
        count = usage.get(key)
        if type(count) is not int or not 0 <= count <= _MOST_TOKENS:
            return False
    told = [usage.get("total_tokens")]
    for key in _DETAILS:
        details = usage.get(key)
        if details and isinstance(details, dict):
            told += details.values()
    return all(count >= 0 for count in told if type(count) is int)
