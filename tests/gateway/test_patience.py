"""Deadlines of many waits by one timer."""

import asyncio

import pytest

from slimdown.gateway.patience import Patience


async def waiting(patience: Patience, limit_s: float, work_s: float) -> str:
    try:
        with patience.limit(limit_s):
            await asyncio.sleep(work_s)
    except TimeoutError:
        return "late"
    return "done"


def test_each_wait_ends_by_its_own_deadline() -> None:
    async def all_three() -> list[str]:
        patience = Patience()
        patience.start()
        found = await asyncio.gather(
            waiting(patience, 0.05, 30), waiting(patience, 30, 0.01), waiting(patience, 0.05, 30)
        )
        patience.stop()
        assert not patience.waits
        return list(found)

    assert asyncio.run(all_three()) == ["late", "done", "late"]


def test_a_task_goes_on_after_its_wait_was_ended() -> None:
    async def twice() -> tuple[str, str]:
        patience = Patience()
        patience.start()
        found = await waiting(patience, 0.01, 30), await waiting(patience, 30, 0.1)
        patience.stop()
        return found

    assert asyncio.run(twice()) == ("late", "done")


def test_somebody_elses_cancellation_passes_as_what_it_is() -> None:
    async def cancelled() -> str:
        patience = Patience()
        patience.start()
        task = asyncio.create_task(waiting(patience, 30, 30))
        await asyncio.sleep(0.01)
        task.cancel()
        return await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled())


def test_a_client_that_goes_while_a_wait_expires_is_not_mistaken_for_a_timeout() -> None:
    async def cancelled_twice() -> str:
        patience = Patience()
        task = asyncio.create_task(waiting(patience, 0.0, 30))
        await asyncio.sleep(0.01)
        for wait in list(patience.waits):
            wait.expire()
        task.cancel()
        return await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled_twice())
