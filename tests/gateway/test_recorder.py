"""The recorder while its store works: every call once, committed before it is told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import apsw
import pytest

from slimdown.errors import KeyProblem, StoreLocked
from slimdown.exchange import Exchange
from slimdown.gateway.recorder import Recorder
from slimdown.seal import encode_key
from slimdown.store import Store
from slimdown.testing import sample_call
from slimdown.types import Call, Evidence

KEY = {"SLIMDOWN_KEY": encode_key(b"k" * 32)}

Body = Callable[[Recorder], Coroutine[Any, Any, None]]


def exchange(call_id: str, body: bytes = b"{}") -> Exchange:
    return Exchange(
        call_id=call_id,
        path="/v1/chat/completions",
        request_headers=(),
        request_body=body,
        started_at=0.0,
        latency_ms=1.0,
    )


def make(seen: Exchange) -> Call:
    return sample_call(seen.request_body.decode(), id=seen.call_id)


def recording(folder: Path, body: Body, **options: Any) -> Recorder:
    """Run ``body`` with a recorder of the workspace in ``folder``, and close it."""
    options = {"make": make, **options}
    recorder = Recorder(lambda: Store.open(folder, KEY, role="gateway"), **options)

    async def run() -> None:
        recorder.start()
        try:
            await body(recorder)
        finally:
            await recorder.close(5)

    asyncio.run(run())
    return recorder


def stored(folder: Path) -> list[Call]:
    with Store.open(folder, KEY, write=False) as store:
        return list(store.calls())


def test_a_call_is_committed_when_it_is_told(tmp_path: Path) -> None:
    async def body(recorder: Recorder) -> None:
        assert await recorder.record(exchange("1", b"said"))
        assert stored(tmp_path) == [sample_call("said", id="1")]

    recorder = recording(tmp_path, body)

    assert recorder.health.ok
    assert (recorder.health.n_written, recorder.health.n_waiting) == (1, 0)


def test_calls_at_once_are_stored_together_each_once(tmp_path: Path) -> None:
    async def body(recorder: Recorder) -> None:
        records = [recorder.record(exchange(f"{i:03}")) for i in range(500)]
        assert all(await asyncio.gather(*records))

    recording(tmp_path, body)

    assert [call.id for call in stored(tmp_path)] == [f"{i:03}" for i in range(500)]


def test_the_same_id_twice_is_one_row(tmp_path: Path) -> None:
    async def body(recorder: Recorder) -> None:
        both = [recorder.record(exchange("1")) for _ in range(2)]
        assert await asyncio.gather(*both) == [True, True]
        assert await recorder.record(exchange("1"))

    recording(tmp_path, body)

    assert len(stored(tmp_path)) == 1


def test_what_nobody_waits_for_is_written_too(tmp_path: Path) -> None:
    async def body(recorder: Recorder) -> None:
        recorder.note(exchange("noted"))
        recorder.note_evidence(evidence("noted"))

    recording(tmp_path, body)

    with Store.open(tmp_path, KEY, write=False) as store:
        assert [call.id for call in store.calls()] == ["noted"]
        assert list(store.evidence("task")) == [evidence("noted")]


def slow_if_large(seen: Exchange) -> Call:
    if len(seen.request_body) > 1_000:
        time.sleep(0.3)
    return make(seen)


def test_a_call_that_takes_long_to_read_holds_up_no_other_and_is_no_fault(tmp_path: Path) -> None:
    told: list[str] = []

    async def body(recorder: Recorder) -> None:
        large = asyncio.ensure_future(recorder.record(exchange("large", b"x" * (1 << 20))))
        await asyncio.sleep(0.01)
        assert await recorder.record(exchange("small"))
        assert [call.id for call in stored(tmp_path)] == ["small"]
        assert not await large
        assert recorder.health.ok

    recording(tmp_path, body, make=slow_if_large, budget_s=0.1, on_broken=told.append)

    assert {call.id for call in stored(tmp_path)} == {"large", "small"}
    assert told == []


def evidence(call_id: str) -> Evidence:
    return Evidence(
        call_id=call_id,
        task_id="task",
        specialist_id="specialist",
        stage="shadow",
        score=0.5,
        output="delivery",
        agreed=True,
        created_at="2025-01-02T03:04:05Z",
    )


def test_a_large_call_is_written_beside_the_loop(tmp_path: Path) -> None:
    async def body(recorder: Recorder) -> None:
        seen = [exchange("large", b"x" * (1 << 20)), exchange("small")]
        assert await asyncio.gather(*map(recorder.record, seen)) == [True, True]
        assert await recorder.record(exchange("later"))

    recording(tmp_path, body, budget_s=5)

    assert {call.id for call in stored(tmp_path)} == {"large", "small", "later"}


def broken(seen: Exchange) -> Call:
    if seen.call_id == "bad":
        raise ValueError(f"canary {seen.request_body.decode()}")
    return make(seen)


def unstorable(seen: Exchange) -> Call:
    return Call(id="bad", request={"odd": object()}) if seen.call_id == "bad" else make(seen)


@pytest.mark.parametrize(("faulty", "error"), [(broken, "ValueError"), (unstorable, "TypeError")])
def test_a_call_that_cannot_be_read_or_stored_is_a_row_and_stops_no_other(
    tmp_path: Path, faulty: Callable[[Exchange], Call], error: str
) -> None:
    async def body(recorder: Recorder) -> None:
        records = [recorder.record(exchange(name)) for name in ("a", "bad", "b")]
        assert await asyncio.gather(*records) == [True, True, True]

    recording(tmp_path, body, make=faulty)

    calls = {call.id: call for call in stored(tmp_path)}
    assert sorted(calls) == ["a", "b", "bad"]
    assert calls["bad"] == Call(id="bad", request={}, error=f"unrecordable: {error}")


def test_a_caller_who_goes_away_loses_no_row(tmp_path: Path) -> None:
    async def body(recorder: Recorder) -> None:
        waiting = asyncio.ensure_future(recorder.record(exchange("1")))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.sleep(0.01)
        assert recorder.health.n_written == 1

    recording(tmp_path, body)

    assert len(stored(tmp_path)) == 1


def test_what_waits_when_closed_is_written_first(tmp_path: Path) -> None:
    async def body(recorder: Recorder) -> None:
        for i in range(300):
            recorder.note(exchange(f"{i}"))

    recorder = recording(tmp_path, body)

    assert recorder.health.n_written == len(stored(tmp_path)) == 300


def test_a_closed_recorder_stores_nothing_more_and_says_so(tmp_path: Path) -> None:
    async def body(recorder: Recorder) -> None:
        await recorder.close(5)
        assert not await recorder.record(exchange("late"))

    recorder = recording(tmp_path, body)

    assert recorder.health.n_lost == 1


def test_a_second_gateway_does_not_start(tmp_path: Path) -> None:
    async def body(recorder: Recorder) -> None:
        second = Recorder(lambda: Store.open(tmp_path, KEY, role="gateway"), make)
        with pytest.raises(StoreLocked, match=r"process \d+ is the gateway"):
            second.start()
        assert await recorder.record(exchange("1"))

    recording(tmp_path, body)


def test_a_wrong_key_does_not_start(tmp_path: Path) -> None:
    Store.open(tmp_path, {"SLIMDOWN_KEY": encode_key(b"o" * 32)}).close()

    async def body(recorder: Recorder) -> None:
        raise AssertionError("it started")

    with pytest.raises(KeyProblem, match="not the one"):
        recording(tmp_path, body)


def test_nothing_said_stands_in_the_reason_of_a_fault(tmp_path: Path) -> None:
    told: list[str] = []

    async def body(recorder: Recorder) -> None:
        holder = apsw.Connection(str(tmp_path / "slimdown.db"))
        holder.execute("BEGIN IMMEDIATE")
        assert not await recorder.record(exchange("1", b"canary"))
        holder.close(True)

    recording(tmp_path, body, budget_s=0.05, on_broken=told.append)

    assert len(told) == 1
    assert "held by another process" in told[0]
    assert "canary" not in told[0]
