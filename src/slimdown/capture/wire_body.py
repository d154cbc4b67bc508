"""Bodies as they came over the wire: decompressed within bounds, decoded, or kept as bytes.

Knows no dialect. Nothing here raises: what cannot be read is told.
"""

from __future__ import annotations

import base64
import zlib
from typing import Any

import msgspec
import zstandard

from slimdown.capture.dialects.assembled import decoded
from slimdown.exchange import Headers
from slimdown.types import JsonObject

MAX_DECOMPRESSED_BYTES = 64 << 20
"""A body that grows beyond this is taken for a bomb."""

MAX_PLACES = 150_000
"""A body with more keys and texts, or more lists and objects, would take too long to decode."""

_COUNTED_FROM = 256 << 10
_MAX_ENCODINGS = 3
_GZIP_MAGIC = b"\x1f\x8b"
_ENCODE = msgspec.json.Encoder().encode


class Undecodable(ValueError):
    """A body whose content-encoding cannot be undone; its text is a short stable code."""


def header(headers: Headers, name: bytes) -> str:
    """Return a header's value in lower case, "" where there is none."""
    value = next((value for key, value in headers if key == name), b"")
    return value.strip().lower().decode("latin-1")


def plain(body: bytes, headers: Headers, bound: int = MAX_DECOMPRESSED_BYTES) -> bytes:
    """Return a body without its content-encoding; one that breaks off gives what came.

    Raises `Undecodable` for what is corrupt, unknown, or grows beyond ``bound`` bytes.
    """
    names = [name.strip() for name in header(headers, b"content-encoding").split(",")]
    wanted = [name for name in reversed(names) if name not in ("", "identity")]
    if len(wanted) > _MAX_ENCODINGS:
        raise Undecodable("undecodable_nested")
    for name in wanted:
        body = _decompressed(body, name, bound)
    return body


def json_object(body: bytes) -> JsonObject | None:
    """Return the object that a body holds, or None: it is none, or larger than `MAX_PLACES`."""
    if len(body) > _COUNTED_FROM and _n_places(body) > MAX_PLACES:
        return None
    value = decoded(body)
    return value if isinstance(value, dict) else None


def repeats_a_key(body: bytes, value: JsonObject) -> bool:
    """Tell whether a body says more keys than were decoded, so that the value is not all of it.

    Compares how many colons there are, which is cheap: in texts there are as many in both.
    """
    return body.count(b":") > _ENCODE(value).count(b":")


def kept_bytes(body: bytes, bound: int) -> JsonObject:
    """Return bytes as JSON can hold them: at most the first ``bound``, and how many they were."""
    return {"base64": base64.b64encode(body[:bound]).decode(), "n_bytes": len(body)}


def _n_places(body: bytes) -> int:
    n_texts = body.count(b'"') // 2
    if n_texts > MAX_PLACES:
        n_texts -= body.count(b'\\"') // 2  # those within texts
    return max(n_texts, body.count(b"[") + body.count(b"{"))


def _decompressed(body: bytes, name: str, bound: int) -> bytes:
    try:
        if name in ("gzip", "x-gzip"):
            return _gunzipped(body, bound)
        if name == "deflate":
            # RFC 9110 means zlib's format; some servers send the bare one.
            window_bits = 15 if _is_zlib(body) else -15
            return _bounded(zlib.decompressobj(window_bits).decompress(body, bound + 1), bound)
        if name == "zstd":
            return _unzstandard(body, bound)
    except (zlib.error, zstandard.ZstdError) as error:
        raise Undecodable(f"undecodable_{name}") from error
    raise Undecodable("undecodable_encoding")


def _gunzipped(body: bytes, bound: int) -> bytes:
    """Return the members of a gzip body, one after the other; what follows them is noise."""
    parts: list[bytes] = []
    left = bound
    while not parts or body[:2] == _GZIP_MAGIC:
        unpacking = zlib.decompressobj(31)
        parts.append(_bounded(unpacking.decompress(body, left + 1), left))
        left -= len(parts[-1])
        body = unpacking.unused_data
    return b"".join(parts)


def _unzstandard(body: bytes, bound: int) -> bytes:
    unpacking: Any = zstandard.ZstdDecompressor(max_window_size=MAX_DECOMPRESSED_BYTES)
    with unpacking.stream_reader(body, read_across_frames=True) as reader:
        return _bounded(reader.read(bound + 1), bound)


def _bounded(data: bytes, bound: int) -> bytes:
    if len(data) > bound:
        raise Undecodable("undecodable_bomb")
    return data


def _is_zlib(body: bytes) -> bool:
    return len(body) > 1 and body[0] & 0x0F == 8 and int.from_bytes(body[:2], "big") % 31 == 0
