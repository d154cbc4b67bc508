"""Upstreams whose answers are no answers: what the caller gets, and what is kept."""

from __future__ import annotations

import gzip
from base64 import b64decode
from collections.abc import Iterator

import msgspec
import pytest
from faulty import Faulty, faulty, flags, problem

from slimdown.testing import Close, Say, ScriptedUpstream, answer, chunk, completion, head

JSON = [("content-type", "application/json")]
HTML = b"<html><body>Bad gateway: sk-canary</body></html>"
TEXTS = {"object": "list", "data": []}


@pytest.fixture(scope="module")
def llm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Faulty]:
    with faulty(tmp_path_factory.mktemp("answers")) as made:
        yield made


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (HTML, "text/html"),
        (HTML, "application/json"),
        (b'{"choices": [', "application/json"),
        (b"", "application/json"),
        (b"\xff\xfe\x00", "application/json"),
        (b"ok", "text/plain"),
    ],
)
def test_f08_what_is_no_json_under_200_is_an_invalid_answer_and_its_bytes_are_kept(
    llm: Faulty, body: bytes, kind: str
) -> None:
    told = llm.ask(answer(body, content_type=kind))

    row = llm.row(told)
    assert problem(told) == (502, "upstream_invalid")
    assert b"canary" not in told.content
    assert row.error == "upstream_invalid"
    raw = row.metadata["gateway"].get("raw_response", {"base64": ""})
    assert b64decode(raw["base64"]) == body


@pytest.mark.parametrize("status", [403, 500, 502])
def test_f08_an_error_page_passes_as_it_is_since_its_status_says_all(
    llm: Faulty, status: int
) -> None:
    told = llm.ask(answer(HTML, status=status, content_type="text/html"))

    assert (told.status_code, told.content) == (status, HTML)
    assert llm.row(told).error == f"upstream_status_{status}"


def test_f08_an_answer_under_a_wrong_content_type_is_an_answer(llm: Faulty) -> None:
    told = llm.ask(answer(completion("ok"), content_type="text/html"))

    assert (told.status_code, told.json()) == (200, completion("ok"))
    assert llm.row(told).error is None


def test_f08_json_that_is_no_completion_passes_and_is_recorded_as_a_failure(llm: Faulty) -> None:
    told = llm.ask(answer(TEXTS))

    assert told.json() == TEXTS
    assert llm.row(told).error == "upstream_invalid"


@pytest.mark.parametrize("status", [200, 400])
def test_f07_an_error_passes_and_is_a_failure_whatever_its_status(llm: Faulty, status: int) -> None:
    body = {"error": {"message": "no", "type": "server_error", "code": "x7", "param": None}}

    told = llm.ask(answer(body, status=status))

    assert (told.status_code, told.json()) == (status, body)
    assert (llm.row(told).error or "").endswith("server_error x7")


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {"prompt_tokens": -5, "completion_tokens": 5, "total_tokens": 0},
        {"prompt_tokens": "50", "completion_tokens": 5},
        {"prompt_tokens": 1e300, "completion_tokens": 5},
        {"prompt_tokens": 2**62, "completion_tokens": 5},
        [],
    ],
)
def test_f12_usage_that_cannot_be_is_flagged_and_its_cost_estimated(
    llm: Faulty, usage: object
) -> None:
    body = {**completion("ok"), "usage": usage}

    told = llm.ask(answer(body))

    row = llm.row(told)
    assert told.json() == body
    assert flags(row) == ["usage_unusable"]
    assert row.metadata["gateway"]["cost_estimated"] is True


def test_f13_a_gzip_bomb_passes_packed_and_is_not_unpacked_here(llm: Faulty) -> None:
    bomb = gzip.compress(bytes(100 << 20), compresslevel=1)
    lines = [*JSON, ("content-encoding", "gzip"), ("content-length", str(len(bomb)))]

    told = llm.heard([Say(head(200, lines) + bomb)])

    row = llm.call(told.header(b"x-slimdown-call-id"))
    assert told.body == bomb
    assert (row.error, flags(row)) == ("upstream_invalid", ["undecodable_bomb"])


@pytest.mark.parametrize("coding", ["gzip", "br", "nonsense", "gzip, gzip, gzip, gzip"])
def test_f13_an_answer_in_a_coding_that_it_is_not_in_passes_and_is_a_failure(
    llm: Faulty, coding: str
) -> None:
    body = msgspec.json.encode(completion("ok"))

    told = llm.heard(answer(body, headers=[("content-encoding", coding)]))

    assert (told.status, told.body) == (200, body)
    assert llm.call(told.header(b"x-slimdown-call-id")).error == "upstream_invalid"


def test_f13_an_answer_shorter_than_its_length_is_broken_off(llm: Faulty) -> None:
    body = msgspec.json.encode(completion("ok"))
    lines = [*JSON, ("content-length", str(len(body) + 10))]

    told = llm.ask([Say(head(200, lines) + body), Close()])

    assert problem(told) == (502, "upstream_truncated")
    assert llm.row(told).error == "upstream_truncated"


def test_f13_an_answer_longer_than_its_length_leaks_into_no_other_call(llm: Faulty) -> None:
    other = msgspec.json.encode(completion("of another"))
    smuggled = answer(other)[0].data  # type: ignore[attr-defined]
    lines = [*JSON, ("content-length", "2")]

    first = llm.ask([Say(head(200, lines) + b"{}" + smuggled)])
    second = llm.ask(answer(completion("mine")))

    assert first.content == b"{}"
    assert second.json() == completion("mine")


@pytest.mark.parametrize(
    "lines",
    [
        [("content-length", "5"), ("transfer-encoding", "chunked")],
        [("content-length", "5"), ("content-length", "7")],
        [("content-length", "-5")],
        [("content-length", "1e3")],
        [("transfer-encoding", "chunked, gzip")],
    ],
)
def test_f13_an_answer_whose_end_is_in_doubt_is_refused(
    llm: Faulty, lines: list[tuple[str, str]]
) -> None:
    told = llm.ask([Say(head(200, [*JSON, *lines]) + chunk(b"{}") + chunk(b"")), Close()])

    status, code = problem(told)
    assert (status, code) in {(502, "upstream_invalid"), (502, "upstream_truncated")}
    assert llm.row(told).error == code


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/files"])
def test_f14_a_redirect_is_not_followed_and_the_key_not_sent_on(llm: Faulty, path: str) -> None:
    with ScriptedUpstream(answer({})) as other:
        llm.upstream.play(answer(b"", status=307, headers=[("location", other.url)]))
        told = llm.gateway.post(path, json={}, headers={"authorization": "Bearer sk-canary"})

    assert (told.status_code, told.headers["location"]) == (307, other.url)
    assert other.n_connections == 0


def test_f15_cookies_and_headers_of_one_connection_do_not_come_back(llm: Faulty) -> None:
    theirs = [
        ("Set-Cookie", "session=1"),
        ("Connection", "keep-alive, X-Private"),
        ("X-Private", "1"),
        ("Keep-Alive", "timeout=5"),
        ("Proxy-Authenticate", "Basic"),
        ("Upgrade", "h2c"),
        ("x-slimdown-served-by", "forged"),
        ("X-Slimdown-Call-Id", "forged"),
        ("x-request-id", "req_1"),
    ]

    told = llm.ask(answer(completion("ok"), headers=theirs))

    names = set(told.headers)
    assert not names & {"set-cookie", "x-private", "keep-alive", "proxy-authenticate", "upgrade"}
    assert (told.headers["x-slimdown-served-by"], told.headers["x-request-id"]) == (
        "upstream",
        "req_1",
    )
    assert len(told.headers.get_list("x-slimdown-call-id")) == 1


@pytest.mark.parametrize(
    "line",
    [
        b"x-a: 1\rx-injected: 2",
        b"x-a: \x001",
        b"x a: 1",
        b"no colon here",
        b": empty",
        b"x-a: 1\n x",
    ],
)
def test_f15_a_head_that_is_not_http_never_reaches_the_caller(llm: Faulty, line: bytes) -> None:
    raw = b"HTTP/1.1 200 OK\r\n" + line + b"\r\ncontent-length: 2\r\n\r\n{}"

    told = llm.ask([Say(raw), Close()])

    assert "x-injected" not in told.headers
    assert told.status_code == 200 or problem(told) == (502, "upstream_invalid")


@pytest.mark.parametrize(
    "raw", [b"SSH-2.0-OpenSSH_9\r\n", b"\x15\x03\x01\x00\x02\x02", b"\r\n\r\n"]
)
def test_f15_what_speaks_no_http_is_an_invalid_upstream(llm: Faulty, raw: bytes) -> None:
    told = llm.ask([Say(raw), Close()])

    assert told.status_code == 502
    assert problem(told)[1] in {"upstream_invalid", "upstream_unreachable"}


def test_f15_a_head_without_end_is_refused(llm: Faulty) -> None:
    raw = b"HTTP/1.1 200 OK\r\n" + b"".join(b"x-%d: %s\r\n" % (i, b"a" * 900) for i in range(200))

    told = llm.ask([Say(raw + b"x-last: " + b"a" * 100_000), Close()])

    assert problem(told) == (502, "upstream_invalid")
