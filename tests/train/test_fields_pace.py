"""When a training is done, and on how many threads it runs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="torch is not installed: nothing can be trained")

from slimdown.train.fields.pace import Pace, Threads  # noqa: E402  (needs torch)


def pace(step: int, spent_s: float) -> Pace:
    return Pace(budget_s=10.0, least=100, most=1000, step=step, spent_s=spent_s)


def test_a_training_ends_when_its_time_is_out() -> None:
    assert pace(step=500, spent_s=9.9).share < 1
    assert pace(step=500, spent_s=10.0).share >= 1


def test_the_least_is_trained_however_long_it_takes() -> None:
    assert pace(step=99, spent_s=1e6).share < 1
    assert pace(step=100, spent_s=1e6).share >= 1


def test_no_more_than_the_most_is_trained() -> None:
    assert pace(step=1000, spent_s=0.1).share >= 1


@given(st.integers(0, 2000), st.floats(0, 100), st.integers(0, 9), st.floats(0, 9))
def test_the_share_done_never_falls(step: int, spent: float, more: int, longer: float) -> None:
    assert pace(step, spent).share <= pace(step + more, spent + longer).share


def test_a_step_is_counted_with_its_time() -> None:
    run = pace(0, 0.0)
    with run.counted():
        pass
    assert run.step == 1
    assert run.spent_s > 0


def test_a_number_of_threads_is_settled_on() -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        threads = Threads()
        for _ in range(12):
            with threads.tried():
                torch.ones(8).sum()
        assert torch.get_num_threads() in (1, 2)
        settled = torch.get_num_threads()
        with threads.tried():
            pass
        assert torch.get_num_threads() == settled
    finally:
        torch.set_num_threads(before)
