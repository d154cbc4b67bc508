"""The runtime is asked within a budget; dead, slow or raving it costs little, then nothing."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from slimdown.backends.breaker import Breaker
from slimdown.backends.reply import RuntimeAnswer, RuntimeRefusal
from slimdown.backends.runtime import RuntimeClient
from slimdown.errors import RuntimeUnavailable
from slimdown.testing import (
    Close,
    Hang,
    Reset,
    Say,
    ScriptedUpstream,
    answer,
    completion,
    free_port,
    serving,
)
from slimdown.types import JsonObject

BODY = b'{"model": "gpt-4o-mini", "messages": []}'
FACTS = {"task": "t1", "specialist": "s1", "score": 0.9, "confidence": 0.8}
GOOD: JsonObject = {**completion("delivery"), "slimdown": FACTS}
PATIENT_S = 10.0

Answer = TypeVar("Answer")


def with_client(
    address: Path | str, use: Callable[[RuntimeClient], Coroutine[Any, Any, Answer]], **options: Any
) -> Answer:
    async def using() -> Answer:
        client = RuntimeClient(address, **{"budget_s": PATIENT_S, **options})
        await client.open()
        try:
            return await use(client)
        finally:
            await client.close()

    return asyncio.run(using())


async def asked(client: RuntimeClient) -> RuntimeAnswer | RuntimeRefusal:
    return await client.ask(BODY, ["s0", "s1"])


class Runtime:
    """An ASGI runtime that answers well and keeps what it was asked."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, bytes, bytes]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message["body"], message["more_body"]
        offer = dict(scope["headers"]).get(b"x-slimdown-offer", b"")
        self.seen.append((scope["path"], offer, body))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": msgspec.json.encode(GOOD)})


def test_a_runtime_on_a_socket_gets_the_callers_own_bytes(tmp_path: Path) -> None:
    runtime, path = Runtime(), tmp_path / "runtime.sock"

    with serving(runtime, path=path, lifespan="off"):
        found = with_client(path, asked)

    assert runtime.seen == [("/v1/chat/completions", b"s0,s1", BODY)]
    assert isinstance(found, RuntimeAnswer)
    assert (found.specialist_id, found.score) == ("s1", 0.9)


@pytest.mark.parametrize("suffix", ["", "/", "/v1"])
def test_a_runtime_on_a_port_is_asked_by_its_url(suffix: str) -> None:
    runtime = Runtime()

    with serving(runtime, lifespan="off") as url:
        with_client(f"{url}{suffix}", asked)

    assert [path for path, _, _ in runtime.seen] == ["/v1/chat/completions"]


def test_a_large_request_arrives_whole() -> None:
    runtime, body = Runtime(), b" " * 3_000_000 + BODY

    with serving(runtime, lifespan="off") as url:
        with_client(url, lambda client: client.ask(body, ["s1"]))

    assert runtime.seen[0][2] == body


def test_a_refusal_is_no_failure() -> None:
    refusal = {"error": {"message": "no", "type": "conflict", "code": "not_this_task"}}

    async def asked_often(client: RuntimeClient) -> set[str]:
        answers = [await asked(client) for _ in range(4)]
        return {each.code for each in answers if isinstance(each, RuntimeRefusal)}

    with ScriptedUpstream(lambda seen: answer(refusal, 409)) as upstream:
        assert with_client(upstream.url, asked_often) == {"not_this_task"}


BROKEN: dict[str, list[Any]] = {
    "reset": [Reset()],
    "closed": [Close()],
    "cut": [Say(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{"), Close()],
    "no HTTP": [Say(b"I am no server\r\n\r\n"), Close()],
    "no JSON": [*answer(b"not JSON")],
    "no answer": [*answer({"choices": []})],
    "wrong specialist": [*answer({**GOOD, "slimdown": {**FACTS, "specialist": "another"}})],
    "failed": [*answer(b"Internal Server Error", 500)],
    "moved": [*answer(b"", 302, [("location", "http://127.0.0.1:9/elsewhere")])],
    "endless": [*answer(b" " * (9 << 20))],
}


@pytest.mark.parametrize("fault", BROKEN)
def test_what_is_broken_is_unavailable(fault: str) -> None:
    with (
        ScriptedUpstream(lambda seen: BROKEN[fault]) as upstream,
        pytest.raises(RuntimeUnavailable),
    ):
        with_client(upstream.url, asked)


@pytest.mark.parametrize("address", ["socket", "port"])
def test_nobody_there_is_unavailable(address: str, tmp_path: Path) -> None:
    nowhere = tmp_path / "none.sock" if address == "socket" else f"http://127.0.0.1:{free_port()}"

    with pytest.raises(RuntimeUnavailable, match="The upstream is asked instead"):
        with_client(nowhere, asked)


def test_a_hanging_runtime_costs_its_budget_and_then_nothing() -> None:
    async def asked_often(client: RuntimeClient) -> tuple[str, int]:
        for _ in range(5):
            with pytest.raises(RuntimeUnavailable):
                await asked(client)
        return client.state, len(upstream.requests)

    with ScriptedUpstream(lambda seen: [Hang()]) as upstream:
        found = with_client(upstream.url, asked_often, budget_s=0.2, breaker=Breaker(2, 60.0))

    assert found == ("open", 2)


def test_a_runtime_that_comes_back_is_asked_again(tmp_path: Path) -> None:
    path, now = tmp_path / "runtime.sock", [0.0]

    async def asked_across_a_restart(client: RuntimeClient) -> RuntimeAnswer | RuntimeRefusal:
        with pytest.raises(RuntimeUnavailable):
            await asked(client)
        with serving(Runtime(), path=path, lifespan="off"):
            with pytest.raises(RuntimeUnavailable, match="left alone"):
                await asked(client)
            now[0] += 2.0
            with pytest.raises(RuntimeUnavailable, match="left alone"):
                await asked(client)  # has it asked, and waits for no answer
            while client.state != "closed":
                await asyncio.sleep(0.01)
            return await asked(client)

    found = with_client(path, asked_across_a_restart, breaker=Breaker(1, 2.0, lambda: now[0]))

    assert isinstance(found, RuntimeAnswer)


def test_a_runtime_that_is_still_down_is_found_so_by_no_caller() -> None:
    now = [0.0]

    async def asked_again(client: RuntimeClient) -> str:
        for _ in range(2):
            with pytest.raises(RuntimeUnavailable):
                await asked(client)
            now[0] += 2.0
        await asyncio.to_thread(upstream.wait_for_requests, 2, PATIENT_S)
        return "".join(seen.method + seen.path for seen in upstream.requests)

    with ScriptedUpstream(lambda seen: [Hang()]) as upstream:
        found = with_client(
            upstream.url, asked_again, budget_s=0.2, breaker=Breaker(1, 2.0, lambda: now[0])
        )

    assert found == "POST/v1/chat/completionsGET/healthz"


def test_a_caller_who_goes_away_is_no_failure_of_the_runtime() -> None:
    async def asked_and_left(client: RuntimeClient) -> str:
        asking = asyncio.create_task(asked(client))
        await asyncio.to_thread(upstream.wait_for_requests, 1, PATIENT_S)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        return client.state

    with ScriptedUpstream(lambda seen: [Hang()]) as upstream:
        assert with_client(upstream.url, asked_and_left, breaker=Breaker(1, 60.0)) == "closed"


def test_a_patient_question_has_its_own_budget_and_no_say_in_the_breaker() -> None:
    async def asked_patiently(client: RuntimeClient) -> str:
        with pytest.raises(RuntimeUnavailable):
            await client.ask_patiently(BODY, ["s1"], 0.02)
        return client.state

    with ScriptedUpstream(lambda seen: [Hang()]) as upstream:
        assert with_client(upstream.url, asked_patiently, breaker=Breaker(1, 60.0)) == "closed"


def test_a_patient_question_is_not_put_to_what_is_down() -> None:
    async def asked_both_ways(client: RuntimeClient) -> None:
        with pytest.raises(RuntimeUnavailable):
            await asked(client)
        with pytest.raises(RuntimeUnavailable, match="left alone"):
            await client.ask_patiently(BODY, ["s1"], PATIENT_S)

    with ScriptedUpstream(lambda seen: [Hang()]) as upstream:
        with_client(upstream.url, asked_both_ways, budget_s=0.2, breaker=Breaker(1, 60.0))

    assert len(upstream.requests) == 1
