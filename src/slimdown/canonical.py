"""Content hashes: the same value has the same id, whatever the order of its keys.

The hash covers the JSON text with sorted keys, so it survives a round trip through any JSON
library. It does not equate values that merely mean the same (that is `evaluate.agreement`).
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

_ENCODER = msgspec.json.Encoder(order="sorted")

ID_HEX_DIGITS = 32
"""128 bits: enough that two different values of one workspace never meet."""


def canonical_json(value: Any) -> bytes:
    """Return JSON bytes with sorted keys and no blanks; msgspec Structs are allowed inside."""
    return _ENCODER.encode(value)


def content_id(value: Any) -> str:
    """Return the id of a JSON value: 32 hexadecimal digits of the SHA-256 of its canonical form."""
    return bytes_id(canonical_json(value))


def bytes_id(data: bytes) -> str:
    """Return the id of raw bytes: 32 hexadecimal digits of their SHA-256."""
    return hashlib.sha256(data).hexdigest()[:ID_HEX_DIGITS]
