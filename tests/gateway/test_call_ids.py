"""Call ids sort by time and never repeat, whatever the clock does."""

import time

from slimdown.gateway.ids import CallIds


def test_ids_are_128_bits_and_all_different() -> None:
    ids = CallIds()

    made = [ids.next() for _ in range(5_000)]

    assert len(set(made)) == 5_000
    assert {len(each) for each in made} == {32}


def test_an_id_begins_with_the_milliseconds_of_its_time() -> None:
    before = time.time_ns() // 1_000_000

    made = int(CallIds().next()[:12], 16)

    assert before <= made <= time.time_ns() // 1_000_000


def test_ids_do_not_go_back_when_the_clock_does() -> None:
    times = iter([10 * 10**9, 1 * 10**9, 11 * 10**9])
    ids = CallIds(lambda: next(times))

    starts = [int(ids.next()[:12], 16) for _ in range(3)]

    assert starts == [10_000, 10_000, 11_000]
