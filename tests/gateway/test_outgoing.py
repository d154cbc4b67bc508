"""Which headers and addresses go up and come back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slimdown.gateway.outgoing import (
    header,
    joined_url,
    readable_codings,
    returned_headers,
    upstream_headers,
)

NAMES = st.sampled_from([b"connection", b"x-a", b"x-slimdown-route", b"te", b"host", b"accept"])
HEADERS = st.lists(st.tuples(NAMES, st.binary(max_size=12)), max_size=8)


def test_a_callers_headers_go_up_in_order_with_repeats() -> None:
    sent = upstream_headers([(b"x-b", b"1"), (b"x-a", b"2"), (b"x-b", b"3")])

    assert list(sent.items()) == [
        ("x-b", "1"),
        ("x-a", "2"),
        ("x-b", "3"),
        ("accept-encoding", "identity"),
    ]


@pytest.mark.parametrize(
    "name", [b"host", b"content-length", b"transfer-encoding", b"te", b"upgrade", b"keep-alive"]
)
def test_what_belongs_to_the_callers_connection_stays_here(name: bytes) -> None:
    sent = upstream_headers([(name, b"x")])

    assert list(sent) == ["accept-encoding"]


def test_headers_that_connection_names_stay_here_both_ways() -> None:
    headers = [(b"connection", b"close, X-Private"), (b"x-private", b"1"), (b"x-a", b"2")]

    assert "x-private" not in upstream_headers(headers)
    assert returned_headers(headers) == [(b"x-a", b"2")]


def test_our_own_headers_neither_go_up_nor_are_believed_from_upstream() -> None:
    ours = [(b"x-slimdown-route", b"off")]

    assert "x-slimdown-route" not in upstream_headers(ours)
    assert returned_headers([(b"X-Slimdown-Logged", b"1")]) == []


def test_a_key_of_the_settings_replaces_every_secret_of_the_caller() -> None:
    caller = [(b"authorization", b"Bearer caller"), (b"x-api-key", b"caller"), (b"x-a", b"1")]

    sent = upstream_headers(caller, "provider")

    assert "caller" not in str(list(sent.items()))
    assert (sent["authorization"], sent["x-a"]) == ("Bearer provider", "1")


def test_anthropics_key_goes_where_anthropic_looks_for_it() -> None:
    sent = upstream_headers([(b"x-api-key", b"caller")], "provider", is_anthropic=True)

    assert (sent["x-api-key"], "authorization" in sent) == ("provider", False)


def test_without_a_key_of_ours_the_callers_passes() -> None:
    assert upstream_headers([(b"authorization", b"Bearer me")])["authorization"] == "Bearer me"


def test_only_codings_that_can_be_recorded_are_asked_for() -> None:
    assert readable_codings(b"gzip;q=0.5, br, zstd, *") == "gzip;q=0.5, zstd"
    assert readable_codings(b"br") == "identity"


def test_cookies_do_not_come_back() -> None:
    assert returned_headers([(b"Set-Cookie", b"a=1"), (b"X-Request-Id", b"7")]) == [
        (b"x-request-id", b"7")
    ]


@pytest.mark.parametrize(
    ("base", "path", "url"),
    [
        ("http://up/v1", "/v1/chat/completions", "http://up/v1/chat/completions"),
        ("http://up/v1/", "/v1/models", "http://up/v1/models"),
        ("http://up", "/v1/messages", "http://up/v1/messages"),
        ("http://up/openai", "/v1/models", "http://up/openai/v1/models"),
        ("http://up/v1", "/health", "http://up/v1/health"),
        ("http://127.0.0.1", "/127.0.0.1/x", "http://127.0.0.1/127.0.0.1/x"),
        ("http://up/v1", "/v1/files/a%2Fb", "http://up/v1/files/a%2Fb"),
    ],
)
def test_a_path_is_joined_to_a_base_url_as_a_client_would(base: str, path: str, url: str) -> None:
    assert str(joined_url(base, path, "")) == url


def test_a_query_passes_as_it_is() -> None:
    assert str(joined_url("http://up/v1", "/v1/x", "a=%20&b=c+d")) == "http://up/v1/x?a=%20&b=c+d"


def test_the_first_of_repeated_headers_counts() -> None:
    assert header([(b"a", b"1"), (b"a", b"2")], b"a") == b"1"
    assert header([], b"a") == b""


@given(HEADERS)
def test_no_header_of_a_connection_or_of_ours_ever_goes_up(
    headers: list[tuple[bytes, bytes]],
) -> None:
    sent = upstream_headers(headers)

    assert not {"connection", "te", "host", "x-slimdown-route"} & set(sent)
