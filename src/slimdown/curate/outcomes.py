"""Rules over what is known of a call: its outcome, and whom it was for.

A rule is text such as ``reward>=1``, ``success=true`` or ``audience=human``: a dotted key of the
call's metadata (or of ``metadata.feedback``), a comparison, and a JSON scalar or bare word. Parsed
strictly, once. Does not know what the keys mean.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any

import msgspec

from slimdown.errors import UsageError
from slimdown.types import JsonObject

_RULE = re.compile(r"\s*([A-Za-z_][\w.-]*)\s*(>=|<=|!=|==|=|>|<)\s*([^\s<>=!].*?)\s*")

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}

_ABSENT = object()


class Rule(msgspec.Struct, frozen=True):
    """One comparison with a value of a call's metadata."""

    text: str
    key: str
    sign: str
    value: Any

    def holds(self, metadata: JsonObject) -> bool | None:
        """Tell whether the rule holds, or None where the metadata has no such key."""
        found = lookup(metadata, self.key)
        if found is _ABSENT:
            return None
        if self.sign in _COMPARE:
            return _is_number(found) and _COMPARE[self.sign](found, self.value)
        return _same(found, self.value) is (self.sign != "!=")


def parse_rule(text: str) -> Rule:
    """Return the rule that a text states; raises `UsageError`, which says what is wrong."""
    match = _RULE.fullmatch(text)
    if match is None:
        raise UsageError(
            f"the rule {text!r} is no comparison; nothing was curated. "
            "Write KEY, then one of = != >= <= > <, then a value: reward>=1 or success=true."
        )
    key, sign, value = match[1], match[2], _scalar(match[3])
    if sign in _COMPARE and not _is_number(value):
        raise UsageError(
            f"the rule {text!r} orders by {match[3]!r}, which is not a number; nothing was "
            "curated. Use = or != for words, true and false."
        )
    return Rule(text.strip(), key, "=" if sign == "==" else sign, value)


def lookup(metadata: JsonObject, key: str) -> Any:
    """Return the value at a dotted key, also below ``feedback``; a sentinel where there is none."""
    for start in (metadata, metadata.get("feedback")):
        found: Any = start
        for step in (key,) if isinstance(start, dict) and key in start else key.split("."):
            found = found.get(step, _ABSENT) if isinstance(found, dict) else _ABSENT
        if found is not _ABSENT:
            return found
    return _ABSENT


def _scalar(text: str) -> Any:
    try:
        value = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text  # a bare word
    return text if isinstance(value, dict | list) else value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _same(found: Any, wanted: Any) -> bool:
    if _is_number(found) and _is_number(wanted):
        return bool(found == wanted)
    return type(found) is type(wanted) and bool(found == wanted)
