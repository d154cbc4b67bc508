"""Who may speak to the runtime on a port: programs of this machine, not pages in its browsers.

Any page that a user opens can post to loopback, or reach it by a name rebound to 127.0.0.1
(CVE-2024-28224 is one of many). A Unix socket is out of a browser's reach.
"""

from __future__ import annotations

from typing import Any

from slimdown.runtime.refused import NOT_FOR_PAGES, Refused

_LOOPBACK = frozenset((b"127.0.0.1", b"localhost", b"[::1]"))


def require_program(scope: dict[str, Any]) -> None:
    """Raise `Refused` for a request that a browser's page could have sent."""
    names = {name for name, _ in scope["headers"]}
    if b"origin" in names:
        raise Refused(NOT_FOR_PAGES)
    server = scope.get("server")
    on_a_port = server is not None and server[1] is not None
    hosts = {_name(value) for name, value in scope["headers"] if name == b"host"}
    if on_a_port and not hosts <= _LOOPBACK:
        raise Refused(NOT_FOR_PAGES)


def _name(host: bytes) -> bytes:
    """Return a host without its port; IPv6 stays in brackets."""
    name, colon, port = host.strip().lower().rpartition(b":")
    return name if colon and port.isdigit() else host.strip().lower()
