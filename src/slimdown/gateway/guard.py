"""Who may speak to the gateway at all: a page in a browser may not, under whatever name.

A server on loopback can be reached by any page that its user opens, by rebinding a name to
127.0.0.1 or by posting across origins (CVE-2024-28224 is one of many). Programs send no Origin.
"""

from __future__ import annotations

from collections.abc import Iterable

from slimdown.exchange import Headers
from slimdown.gateway.replies import Problem

_LOOPBACK = frozenset((b"127.0.0.1", b"localhost", b"[::1]"))
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))


class Guard:
    """Refuses requests by their head alone."""

    def __init__(self, names: Iterable[str]) -> None:
        """Answer to ``names`` (hosts, without ports) beside those of loopback."""
        self._names = _LOOPBACK | {name.lower().encode() for name in names if name}

    def objection(self, method: str, headers: Headers) -> Problem | None:
        """Return why a request is refused, or None."""
        hosts = [value for name, value in headers if name == b"host"]
        if len(hosts) > 1 or (hosts and _host(hosts[0]) not in self._names):
            return _FOREIGN_HOST
        for name, value in headers:
            if name == b"origin" and not self._is_ours(value):
                return _FOREIGN_ORIGIN
            if name == b"upgrade" and value.lower() == b"websocket":
                return _NO_UPGRADE
            if name == b"transfer-encoding" and value.lower() != b"chunked":
                return _CODING
        return None if method in _METHODS else _METHOD

    def _is_ours(self, origin: bytes) -> bool:
        return _host(origin.partition(b"://")[2]) in self._names


def _host(value: bytes) -> bytes:
    """Return a host without its port; IPv6 stays in brackets."""
    name, colon, port = value.strip().lower().rpartition(b":")
    return name if colon and port.isdigit() else value.strip().lower()


_FOREIGN_HOST = Problem(
    403,
    "host_not_allowed",
    "The request names a host that this gateway does not answer to; nothing was sent upstream. "
    "Call it by 127.0.0.1 or localhost, or list the name in gateway.hosts.",
)
_FOREIGN_ORIGIN = Problem(
    403,
    "origin_not_allowed",
    "The request comes from a web page of another origin; nothing was sent upstream. "
    "List the page's host in gateway.hosts if it is yours.",
)
_NO_UPGRADE = Problem(
    501,
    "upgrade_not_supported",
    "This gateway speaks plain HTTP; WebSocket connections are not relayed. Nothing was sent "
    "upstream. Connect to the provider directly for its realtime API.",
)
_CODING = Problem(
    501,
    "transfer_coding_not_supported",
    "The request's body is in a transfer coding other than chunked; nothing was sent upstream. "
    "Send it plain, or compressed under content-encoding.",
)
_METHOD = Problem(
    405, "method_not_allowed", "The gateway does not relay this method; nothing was sent upstream."
)
