"""Whether an upstream is asked again, and after how long."""

import pytest

from slimdown.gateway.upstreams import retry_delay_s


@pytest.mark.parametrize("status", [200, 400, 401, 404, 429, 500])
def test_answers_that_another_try_would_not_change_are_not_asked_for_again(status: int) -> None:
    assert retry_delay_s(status, None, 0) is None


@pytest.mark.parametrize("status", [502, 503, 504, 529])
def test_an_answer_that_says_not_now_is_asked_for_after_a_drawn_delay(status: int) -> None:
    delays = {retry_delay_s(status, None, 1) for _ in range(50)}

    assert len(delays) > 1
    assert all(delay is not None and 0.25 <= delay <= 0.5 for delay in delays)


def test_delays_stop_growing() -> None:
    delay = retry_delay_s(503, None, 60)

    assert delay is not None
    assert delay <= 10


def test_what_the_upstream_asks_for_is_kept_to() -> None:
    assert retry_delay_s(503, "7", 0) == 7


@pytest.mark.parametrize(
    "told", ["11", "1000000000", "-1", "1e9", "", "Wed, 21 Oct 2026 07:28 GMT"]
)
def test_what_is_long_or_no_number_of_seconds_is_left_to_the_caller(told: str) -> None:
    assert retry_delay_s(503, told, 0) is None
