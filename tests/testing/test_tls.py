"""A scripted upstream can speak HTTPS, with a certificate that holds or one that does not."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from slimdown.testing import Close, ScriptedUpstream, answer, tls_identity


def body_at(url: str, authority: Path | None) -> bytes:
    trust = ssl.create_default_context(cafile=authority)
    with urllib.request.urlopen(url, context=trust, timeout=10) as reply:
        body: bytes = reply.read()
    return body


def test_a_client_that_trusts_the_certificate_is_answered(tmp_path: Path) -> None:
    identity = tls_identity(tmp_path)

    with ScriptedUpstream([*answer(b"sealed"), Close()], tls=identity.server) as upstream:
        body = body_at(upstream.url, identity.authority)

    assert upstream.url.startswith("https://")
    assert body == b"sealed"


@pytest.mark.parametrize(
    ("host", "expired", "trusted", "fault"),
    [
        ("127.0.0.1", False, False, "self-signed"),
        ("127.0.0.1", True, True, "expired"),
        ("api.example", False, True, "not valid for"),
    ],
)
def test_a_faulty_certificate_is_refused(
    tmp_path: Path, host: str, expired: bool, trusted: bool, fault: str
) -> None:
    identity = tls_identity(tmp_path, host=host, expired=expired)
    authority = identity.authority if trusted else None

    with (
        ScriptedUpstream(answer(b"sealed"), tls=identity.server) as upstream,
        pytest.raises(urllib.error.URLError, match=fault),
    ):
        body_at(upstream.url, authority)

    assert upstream.requests == []
