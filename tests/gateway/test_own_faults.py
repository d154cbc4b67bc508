"""A fault in our own code: the caller still gets an answer, or an error that a client can read."""

import asyncio
from typing import Any

from slimdown.exchange import Exchange
from slimdown.gateway.app import GatewayApp
from slimdown.gateway.local import Local
from slimdown.gateway.metrics import Metrics
from slimdown.settings import GatewaySettings

SCOPE = {
    "method": "POST",
    "path": "/v1/chat/completions",
    "raw_path": b"/v1/chat/completions",
    "query_string": b"",
    "headers": [(b"host", b"localhost"), (b"content-length", b"2")],
}


class Notes:
    """A recording that keeps what it is told, and never fails."""

    def __init__(self) -> None:
        self.outcomes: list[str] = []

    def note(self, passage: Any, outcome: str) -> None:
        self.outcomes.append(outcome)
        assert isinstance(passage.exchange(), Exchange)

    def headers(self, passage: Any) -> list[tuple[bytes, bytes]]:
        return [(b"x-slimdown-call-id", passage.inbound.call_id.encode())]


class Broken:
    """Routes, or a relay, with a fault in them."""

    is_active = True

    def plan(self, passage: Any) -> Any:
        raise KeyError("words of a prompt")

    def follow_up(self, plan: Any, passage: Any) -> None:
        return

    async def relay(self, passage: Any, send: Any) -> None:
        raise KeyError("words of a prompt")


class Whole(Broken):
    """A relay that answers."""

    async def relay(self, passage: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"the upstream's"})


def asked(relay: Any) -> tuple[list[dict[str, Any]], Notes, Metrics]:
    sent: list[dict[str, Any]] = []
    notes, metrics = Notes(), Metrics()
    settings, parts = GatewaySettings(), {"recording": notes, "routing": Broken()}
    app = GatewayApp(
        settings,
        relay=relay,
        local=Local(metrics, {}),
        metrics=metrics,
        **parts,  # type: ignore[arg-type]
    )

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(app(dict(SCOPE), receive, send))
    return sent, notes, metrics


def test_a_fault_in_routing_costs_the_caller_nothing() -> None:
    sent, _, metrics = asked(Whole())

    assert sent[-1]["body"] == b"the upstream's"
    assert metrics.faults == {"KeyError": 1}


def test_a_fault_on_the_way_is_an_error_in_openais_shape_and_a_row() -> None:
    sent, notes, metrics = asked(Broken())

    assert sent[0]["status"] == 500
    assert b'"code":"gateway_fault"' in sent[1]["body"]
    assert notes.outcomes == ["gateway_fault"]
    assert metrics.in_flight == 0


def test_a_fault_tells_its_place_and_kind_and_no_word_of_the_call(caplog: Any) -> None:
    asked(Broken())

    assert "KeyError" in caplog.text
    assert "words of a prompt" not in caplog.text
