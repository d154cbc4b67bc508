"""Certificates in good order and not: a gateway fails closed, and names the cause."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from faulty import problem
from gateways import CHAT
from own_process import own_process

from slimdown.testing import ScriptedUpstream, answer, completion, tls_identity

FAULTS = {
    "good": ("127.0.0.1", False),
    "expired": ("127.0.0.1", True),
    "misnamed": ("api.example", False),
    "unknown": ("127.0.0.1", False),
}
SECRET = {"authorization": "Bearer sk-canary"}


def test_f19_only_a_certificate_that_holds_is_sent_a_call_and_its_key(tmp_path: Path) -> None:
    upstreams, environ, trusted = {}, {}, ""
    with ExitStack() as stack:
        for name, (host, expired) in FAULTS.items():
            (tmp_path / name).mkdir()
            identity = tls_identity(tmp_path / name, host=host, expired=expired)
            made = ScriptedUpstream(answer(completion("sealed")), tls=identity.server)
            upstreams[name] = stack.enter_context(made)
            environ[f"SLIMDOWN_UPSTREAMS__{name.upper()}__URL"] = made.url
            environ[f"SLIMDOWN_UPSTREAMS__{name.upper()}__MODELS"] = name
            trusted += "" if name == "unknown" else identity.authority.read_text()
        (tmp_path / "trusted.pem").write_text(trusted)
        environ["SSL_CERT_FILE"] = str(tmp_path / "trusted.pem")
        with own_process(tmp_path, environ=environ) as process:
            told = {
                name: process.gateway.post(json={**CHAT, "model": name}, headers=SECRET)
                for name in FAULTS
            }
            rows = {str(call.request["model"]): call for call in process.gateway.calls()}

    assert told.pop("good").json() == completion("sealed")
    assert {problem(each) for each in told.values()} == {(502, "upstream_unreachable")}
    messages = {name: each.json()["error"]["message"] for name, each in told.items()}
    assert "certificate has expired" in messages["expired"]
    assert "IP address mismatch" in messages["misnamed"]
    assert "self-signed" in messages["unknown"]
    assert [len(upstreams[name].requests) for name in FAULTS] == [1, 0, 0, 0]
    assert {name: row.error for name, row in rows.items()} == {
        "good": None,
        **dict.fromkeys(told, "upstream_unreachable"),
    }
