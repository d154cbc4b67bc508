"""Why a call failed, as a short stable code, and after it the provider's own code for it.

Never holds a payload: what a provider says in words may quote the prompt.
"""

from __future__ import annotations

import re
from typing import Any

_CODE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,63}")


def with_code(code: str, error: Any) -> str:
    """Return a code, followed by what a provider's error object calls itself.

    Takes the object of OpenAI's and Anthropic's error answers, or the whole answer around it.
    """
    inner = error.get("error", error) if isinstance(error, dict) else error
    inner = inner if isinstance(inner, dict) else {}
    told = [inner.get(key) for key in ("type", "code")]
    told = [str(word) if type(word) is int else word for word in told]
    words = [word for word in told if isinstance(word, str) and _CODE.fullmatch(word)]
    words = [word for word in words if word != "error"]  # which says nothing
    return f"{code}: {' '.join(dict.fromkeys(words))}" if words else code
