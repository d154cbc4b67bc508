"""Who may speak to the gateway: programs on this machine, and no page in a browser."""

import pytest

from slimdown.gateway.guard import Guard

GUARD = Guard(["127.0.0.1", "agents.internal"])


def code(method: str = "POST", **headers: str) -> str | None:
    listed = [(name.replace("_", "-").encode(), text.encode()) for name, text in headers.items()]
    problem = GUARD.objection(method, listed)
    return problem.code if problem else None


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8400", "localhost:8400", "LOCALHOST", "[::1]:8400", "agents.internal"]
)
def test_names_of_this_machine_and_of_the_settings_are_answered(host: str) -> None:
    assert code(host=host) is None


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "localhost:x", "", "127.0.0.1/health?y=", "[::1"],
)
def test_another_name_is_refused_as_a_rebound_one_would_be(host: str) -> None:
    assert code(host=host) == "host_not_allowed"


def test_two_host_headers_are_refused() -> None:
    problem = GUARD.objection("GET", [(b"host", b"localhost"), (b"host", b"localhost")])

    assert problem is not None
    assert problem.status == 403


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS", "HEAD", "PUT", "PATCH"])
def test_a_page_of_another_origin_is_refused_whatever_the_method(method: str) -> None:
    assert code(method, host="localhost", origin="https://evil.example") == "origin_not_allowed"


@pytest.mark.parametrize("origin", ["http://localhost:3000", "http://agents.internal"])
def test_a_page_of_this_machine_may_call(origin: str) -> None:
    assert code(host="localhost", origin=origin) is None


def test_an_opaque_origin_is_another_origin() -> None:
    assert code(host="localhost", origin="null") == "origin_not_allowed"


def test_a_web_socket_is_not_relayed() -> None:
    assert code("GET", host="localhost", upgrade="WebSocket") == "upgrade_not_supported"


def test_an_offer_of_http_2_is_no_reason_to_refuse() -> None:
    assert code(host="localhost", upgrade="h2c") is None


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "BREW"])
def test_methods_that_no_provider_has_are_refused(method: str) -> None:
    assert code(method, host="localhost") == "method_not_allowed"


def test_a_client_of_http_1_0_names_no_host() -> None:
    assert code("GET") is None
