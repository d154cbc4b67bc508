"""A request that offers to change protocols, as it would have been without its offer.

Java's client offers HTTP/2 to any server without TLS (RFC 7540, 3.2), with a body behind. A server
may ignore that (RFC 9110, 7.8), but httptools takes what follows for another protocol.
"""

from __future__ import annotations

from collections.abc import Iterable

from slimdown.exchange import Headers

_CARRIERS = (b"connection", b"proxy-connection")
_OFFERED = (b"upgrade", b"http2-settings")


def head_without_offer(method: bytes, target: bytes, headers: Headers) -> bytes | None:
    """Return the head to be read instead, or None where it is no offer that may be ignored."""
    if method == b"CONNECT" or not any(name in _CARRIERS for name, _ in headers):
        return None
    return b"%b %b HTTP/1.1\r\n%b\r\n" % (method, target, b"".join(_lines(headers)))


def _lines(headers: Headers) -> Iterable[bytes]:
    for name, value in headers:
        if name in _CARRIERS:
            tokens = (token.strip().lower() for token in value.split(b","))
            yield b"%b: %b\r\n" % (name, b", ".join(t for t in tokens if t not in _OFFERED))
        elif name != b"http2-settings":
            yield b"%b: %b\r\n" % (name, value)
