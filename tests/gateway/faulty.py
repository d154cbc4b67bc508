"""A gateway in front of an upstream that misbehaves: what is told, and what is kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
from callers import Caller, Heard
from gateways import CHAT, ENVIRON, Running, running_gateway

from slimdown.store import Store
from slimdown.testing import Say, Script, ScriptedUpstream, head
from slimdown.types import Call, JsonObject

STREAMED = {**CHAT, "stream": True}
EVENT_STREAM = [("content-type", "text/event-stream"), ("transfer-encoding", "chunked")]
BEGUN = Say(head(200, EVENT_STREAM))
"""The head of an event stream whose events are to follow."""


class Faulty(msgspec.Struct, frozen=True):
    """A gateway and its upstream."""

    upstream: ScriptedUpstream
    gateway: Running

    def ask(
        self, script: Script | Sequence[Script], asked: JsonObject = CHAT, **fields: Any
    ) -> httpx.Response:
        """Have the upstream answer by ``script`` from now on, and ask the gateway."""
        self.upstream.play(script)
        return self.gateway.post(json=asked, **fields)

    def heard(self, script: Script, asked: JsonObject = CHAT) -> Heard:
        """Ask as `ask` does, and return the reply undecoded, as it came over the wire."""
        self.upstream.play(script)
        lines = [(b"content-type", b"application/json"), (b"accept-encoding", b"gzip")]
        with Caller(int(self.gateway.url.rpartition(":")[2])) as caller:
            return caller.ask("POST", "/v1/chat/completions", lines, msgspec.json.encode(asked))

    def row(self, response: httpx.Response) -> Call:
        """Return what is recorded of an answer that said it is."""
        return self.call(response.headers["x-slimdown-call-id"])

    def call(self, call_id: str) -> Call:
        with Store.open(self.gateway.workspace, ENVIRON, write=False) as store:
            return store.call(call_id)

    @property
    def n_asked(self) -> int:
        """How many requests the upstream has seen."""
        return len(self.upstream.requests)


@contextmanager
def faulty(folder: Path, **settings: Any) -> Iterator[Faulty]:
    """Yield a gateway, of these settings, in front of an upstream that is yet to be told what to
    do."""
    with (
        ScriptedUpstream([]) as upstream,
        running_gateway(folder, upstream.url, **settings) as ours,
    ):
        yield Faulty(upstream, ours)


def problem(response: httpx.Response) -> tuple[int, str]:
    """Return an error's status and code; it must have OpenAI's shape and name the call."""
    error = response.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert response.headers["x-slimdown-call-id"]
    return response.status_code, error["code"]


def flags(call: Call) -> list[str]:
    """Return what capture found odd about a call."""
    return list(call.metadata["gateway"].get("flags", []))


def said(call: Call) -> str:
    """Return the text of a recorded answer."""
    assert call.response is not None
    return str(call.response["choices"][0]["message"]["content"])
