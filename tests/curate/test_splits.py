import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slimdown.curate.splits import is_dated, split
from slimdown.errors import UsageError
from slimdown.types import Dataset, Example

NAMES = st.sampled_from(["", *"abcdefgh"])


@st.composite
def examples(draw: st.DrawFn) -> list[Example]:
    times = st.sampled_from(["", *(f"2024-01-{day:02}" for day in range(1, 29))])
    rows = draw(st.lists(st.tuples(NAMES, NAMES, times), max_size=60))
    return [one(i, session=s, group=g, at=at) for i, (s, g, at) in enumerate(rows)]


def one(i: int, *, session: str = "", group: str = "", at: str = "") -> Example:
    return Example(id=f"c{i}", input="x", output="y", session=session, group=group, started_at=at)


def dated(n: int) -> list[Example]:
    return [one(i, at=f"2024-01-01T{i // 60:02}:{i % 60:02}") for i in range(n)]


def made(rows: list[Example]) -> Dataset:
    return split(rows, task_id="t", kind="label")


def test_train_is_oldest_and_calibration_newest() -> None:
    dataset = made(dated(100)[::-1])

    assert [len(s) for s in (dataset.train, dataset.dev, dataset.calibration)] == [60, 15, 25]
    assert max(e.started_at for e in dataset.train) < min(e.started_at for e in dataset.dev)
    assert max(e.started_at for e in dataset.dev) < dataset.calibration[0].started_at
    assert dataset.dropped == ()


def test_a_session_that_began_in_train_is_not_calibrated_on() -> None:
    rows = [*dated(99), one(99, session="s", at="2025"), one(100, session="s", at="2023")]

    dataset = made(rows)

    assert [(d.call_id, d.reason) for d in dataset.dropped] == [("c99", "same_session")]


def test_calibration_holds_one_of_a_group() -> None:
    rows = [*dated(90), *(one(i, group="g", at=f"2025-{i}") for i in range(90, 100))]

    dataset = made(rows)

    assert Counter(d.reason for d in dataset.dropped) == {"near_duplicate": 9}
    assert sum(e.group == "g" for e in dataset.calibration) == 1


def test_undated_examples_are_shuffled_whatever_order_they_came_in() -> None:
    by_answer = [
        Example(id=str(i), input="x", output=str(i // 100), session="", group=f"g{i}")
        for i in range(400)
    ]

    dataset = made(by_answer)

    assert made(by_answer[::-1]) == dataset
    assert {e.output for e in dataset.calibration} == {"0", "1", "2", "3"}
    assert not is_dated(by_answer)


def test_undated_examples_come_before_dated_ones() -> None:
    dataset = made([*dated(40), *(one(i) for i in range(40, 100))])

    assert not any(e.started_at for e in dataset.train)
    assert all(e.started_at for e in dataset.calibration)


def test_one_time_for_all_is_no_time() -> None:
    assert not is_dated([one(1, at="2024"), one(2, at="2024"), one(3)])
    assert is_dated([one(1, at="2024"), one(2, at="2025")])


@pytest.mark.parametrize("shares", [(0.5, 0.2, 0.2), (1.2, -0.1, -0.1)])
def test_shares_must_sum_to_one(shares: tuple[float, float, float]) -> None:
    with pytest.raises(UsageError, match="sum to 1"):
        split([], task_id="t", kind="label", shares=shares)


def test_nothing_splits_into_nothing() -> None:
    assert made([]).n_examples == 0


@given(examples())
def test_nothing_is_lost(rows: list[Example]) -> None:
    dataset = made(rows)
    kept = [e.id for e in (*dataset.train, *dataset.dev, *dataset.calibration)]

    assert sorted([*kept, *(d.call_id for d in dataset.dropped)]) == sorted(e.id for e in rows)


@given(examples())
def test_no_session_or_group_spans_splits(rows: list[Example]) -> None:
    dataset = made(rows)
    splits = (dataset.train, dataset.dev, dataset.calibration)
    for field in ("session", "group"):
        held = [{getattr(e, field) for e in part} - {""} for part in splits]
        assert not held[0] & held[1] | held[0] & held[2] | held[1] & held[2]


@given(examples())
def test_dev_and_calibration_hold_one_of_each(rows: list[Example]) -> None:
    dataset = made(rows)
    for part in (dataset.dev, dataset.calibration):
        for field in ("session", "group"):
            counts = Counter(getattr(e, field) for e in part)
            assert all(n == 1 for name, n in counts.items() if name)


@given(examples(), st.randoms(use_true_random=False))
def test_the_order_of_the_examples_is_free(rows: list[Example], rng: random.Random) -> None:
    assert made(rng.sample(rows, len(rows))) == made(rows)


@given(st.integers(0, 300))
def test_shares_are_kept_where_all_are_independent(n: int) -> None:
    dataset = made([one(i) for i in range(n)])

    assert abs(len(dataset.train) - 0.6 * n) <= 1
    assert abs(len(dataset.calibration) - 0.25 * n) <= 1


@given(examples())
def test_later_splits_are_never_older(rows: list[Example]) -> None:
    dataset = made(rows)
    order = [e.started_at for e in (*dataset.train, *dataset.dev, *dataset.calibration)]

    assert order == sorted(order)
