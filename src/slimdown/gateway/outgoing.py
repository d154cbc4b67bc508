"""Which bytes of a request go upstream, and which of an answer go back: headers and URLs.

Everything passes but what HTTP says belongs to one connection (RFC 9110, 7.6.1), what is ours
(``x-slimdown-*``), and cookies. Pure; knows nothing of connections or of bodies.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

from multidict import CIMultiDict
from yarl import URL

from slimdown.exchange import Headers

_HOP_BY_HOP = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)
_REPLACED = _HOP_BY_HOP | {b"host", b"content-length", b"expect", b"accept-encoding"}
_SECRETS = frozenset((b"authorization", b"x-api-key", b"api-key"))
# Cookies are between a provider and a browser; kept, they would mix callers in one jar.
_NOT_RETURNED = _HOP_BY_HOP | {b"set-cookie", b"set-cookie2"}
_OURS = b"x-slimdown-"
_LONGEST_KEPT = 512  # characters
# What the recorder can read back; an answer in another coding could be relayed, not recorded.
_CODINGS = ("gzip", "deflate", "zstd", "identity")


def upstream_headers(
    headers: Headers, key: str = "", *, is_anthropic: bool = False, uncoded: bool = False
) -> CIMultiDict[str]:
    """Return the headers to send upstream; ``key``, if given, replaces the caller's secrets.

    ``uncoded`` asks for an answer in no content coding: the end of a stream is seen only so.
    """
    listed = _connection_tokens(headers)
    out: CIMultiDict[str] = CIMultiDict()
    for name, value in headers:
        if name in _REPLACED or name in listed or name.startswith(_OURS):
            if name == b"accept-encoding" and not uncoded:
                out["accept-encoding"] = readable_codings(value)
            continue
        if key and name in _SECRETS:
            continue
        out.add(name.decode("latin-1"), _text(value))
    if "accept-encoding" not in out:
        # Said outright, since an upstream may take silence as any coding.
        out["accept-encoding"] = "identity"
    # Beside its messages it has paths that tell themselves by this header alone.
    is_anthropic = is_anthropic or "anthropic-version" in out
    if key:
        out["x-api-key" if is_anthropic else "authorization"] = (
            key if is_anthropic else f"Bearer {key}"
        )
    return out


@lru_cache(maxsize=64)
def readable_codings(value: bytes) -> str:
    """Return those of the accepted content codings that we can decode, else ``identity``."""
    kept = [
        part.strip()
        for part in value.decode("latin-1").split(",")
        if part.split(";")[0].strip().lower() in _CODINGS
    ]
    return ", ".join(kept) or "identity"


def returned_headers(raw: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return the upstream's headers for the caller, names in lower case, order kept."""
    lowered = [(name.lower(), value) for name, value in raw]
    listed = _connection_tokens(lowered)
    return [
        (name, value)
        for name, value in lowered
        if name not in _NOT_RETURNED and name not in listed and not name.startswith(_OURS)
    ]


def joined_url(base: str, path: str, query: str) -> URL:
    """Return the upstream's URL for a path that the caller asked us for.

    ``base`` is a client's base URL. One that ends in the version segment that the path begins
    with (``/v1``) is not given it twice. Long ones are not remembered: they would fill memory.
    """
    joined = _joined if len(path) + len(query) <= _LONGEST_KEPT else _joined.__wrapped__
    return joined(base, path, query)


@lru_cache(maxsize=1024)
def _joined(base: str, path: str, query: str) -> URL:
    base = base.rstrip("/")
    version = base.rsplit("/", 1)[-1]
    if path.startswith(f"/{version}/") and "." not in version:
        path = path[len(version) + 1 :]
    return URL(f"{base}{path}{'?' + query if query else ''}", encoded=True)


def header(headers: Headers, wanted: bytes) -> bytes:
    """Return the first value of a header, b"" if there is none."""
    for name, value in headers:
        if name == wanted:
            return value
    return b""


def _text(value: bytes) -> str:
    """Return a header's value as aiohttp, which encodes it as UTF-8, sends the same bytes.

    Bytes that are no UTF-8 arrive as the characters that Latin-1 takes them for.
    """
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _connection_tokens(headers: Sequence[tuple[bytes, bytes]]) -> frozenset[bytes]:
    """Return the header names that ``connection`` binds to this connection."""
    value = header(headers, b"connection")
    if not value or value in (b"keep-alive", b"close"):
        return frozenset()
    return frozenset(token.strip().lower() for token in value.split(b","))
