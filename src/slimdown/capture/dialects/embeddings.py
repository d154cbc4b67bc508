"""Embeddings: the answer without its vectors, which nobody learns from and which weigh most."""

from __future__ import annotations

from typing import Any

import msgspec

from slimdown.types import JsonObject


class _Vector(msgspec.Struct):
    embedding: msgspec.Raw


class _Answer(msgspec.Struct):
    data: list[_Vector]
    object: str = "list"
    model: str | None = None
    usage: dict[str, Any] | None = None


_DECODER = msgspec.json.Decoder(_Answer)


def without_vectors(body: bytes) -> tuple[JsonObject, JsonObject] | None:
    """Return an embeddings answer without vectors, and how many they were and of what length.

    None for a body that is no such answer. ``n_dims`` is absent where vectors came as base64.
    """
    try:
        answer = _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    dropped: JsonObject = {"n": len(answer.data)}
    first = bytes(answer.data[0].embedding) if answer.data else b""
    if first.startswith(b"["):
        dropped["n_dims"] = first.count(b",") + 1
    made: JsonObject = {"object": answer.object, "model": answer.model}
    if answer.usage is not None:
        # In chat's words: nothing was said, so that the tokens can be priced.
        made["usage"] = {"completion_tokens": 0} | answer.usage
    return made, dropped
