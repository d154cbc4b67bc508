"""A head without its offer of another protocol says all else that it said."""

import httptools
import pytest

from slimdown.gateway.offer import head_without_offer

HOST = (b"host", b"localhost")


class Reading:
    """What httptools reads in a head."""

    def __init__(self, data: bytes) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.parser = httptools.HttpRequestParser(self)
        self.parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))


@pytest.mark.parametrize("carrier", [b"connection", b"proxy-connection"])
def test_the_offer_goes_and_the_rest_stays(carrier: bytes) -> None:
    offer = [(carrier, b"keep-alive, Upgrade, HTTP2-Settings"), (b"http2-settings", b"AAM")]

    head = head_without_offer(b"POST", b"/v1?a=1", [HOST, *offer, (b"upgrade", b"h2c")])

    assert head is not None
    assert head.startswith(b"POST /v1?a=1 HTTP/1.1\r\n")
    read = Reading(head)
    assert read.headers == [HOST, (carrier, b"keep-alive"), (b"upgrade", b"h2c")]
    assert not read.parser.should_upgrade()


def test_that_the_connection_is_to_end_is_kept() -> None:
    offer = [(b"connection", b"close, upgrade"), (b"upgrade", b"h2c")]

    head = head_without_offer(b"GET", b"/", [HOST, *offer])

    assert head is not None
    assert (b"connection", b"close") in Reading(head).headers


def test_a_tunnel_is_no_offer() -> None:
    assert head_without_offer(b"CONNECT", b"a:443", [HOST, (b"connection", b"upgrade")]) is None
    assert head_without_offer(b"GET", b"/", [HOST]) is None
