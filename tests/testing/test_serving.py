"""Any ASGI application can be served for a while."""

from __future__ import annotations

import http.client
import socket
import urllib.request
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

import pytest

from slimdown.testing import free_port, serving

Message = MutableMapping[str, Any]


async def says_ok(
    scope: Message,
    _receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
) -> None:
    assert scope["type"] == "http"
    headers = [(b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok"})


async def fails_to_start(_scope: Message, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no"})


def test_an_application_answers_at_its_url_while_it_is_served() -> None:
    with serving(says_ok) as url, urllib.request.urlopen(url) as reply:
        told = reply.read()

    assert told == b"ok"
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(url)


def test_an_application_answers_on_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "app.sock"

    with serving(says_ok, path=path) as url, socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        reply = http.client.HTTPResponse(client)
        reply.begin()
        told = reply.read()

    assert url == f"unix:{path}"
    assert told == b"ok"


def test_two_applications_are_served_beside_each_other() -> None:
    with serving(says_ok) as one, serving(says_ok) as other:
        assert one != other


def test_an_application_that_does_not_start_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="did not start"), serving(fails_to_start):
        pass


def test_an_error_within_ends_the_serving() -> None:
    with pytest.raises(ZeroDivisionError), serving(says_ok) as url:
        raise ZeroDivisionError

    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(url)


def test_nothing_listens_on_a_free_port() -> None:
    port = free_port()

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=1)
