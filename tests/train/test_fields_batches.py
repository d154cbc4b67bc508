"""Batches: every lesson once an epoch, in an order that the seed fixes, filled up as it should."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slimdown.encoder.pieces import Pieces, Unit
from slimdown.train.fields.plan import IGNORED, Field, Plan, Target

torch = pytest.importorskip("torch", reason="torch is not installed: nothing can be trained")

from slimdown.train.fields.batches import Lesson, collated, epoch  # noqa: E402  (needs torch)

PLAN = Plan(
    kind="json",
    fields=(
        Field(path=("a",), actions=("absent", "copy"), reader="verbatim", layer=0, tag=0),
        Field(path=("b",), actions=("absent",), values=("x",)),
    ),
    layers=(1,),
)


def lesson(n_words: int, span: tuple[int, int] | None = None, option: int = 0) -> Lesson:
    """A text of ``n_words`` words of one piece each, between an opening and a closing piece."""
    units = tuple(Unit(2 * i, 2 * i + 1) for i in range(n_words))
    n_pieces = n_words + 2
    pieces = Pieces(
        tuple(range(2, 2 + n_pieces)), (0,) * n_pieces, units, (-1, *range(n_words), -1)
    )
    spans = () if span is None else ((0, span),)
    return Lesson(pieces, Target((option,), (spans,), expressible=True))


@given(st.lists(st.integers(1, 20), min_size=1, max_size=80), st.integers(1, 9), st.integers(8, 60))
def test_an_epoch_holds_each_lesson_once_within_the_bounds(
    lengths: list[int], size: int, most: int
) -> None:
    lessons = [lesson(n) for n in lengths]
    batches = list(epoch(lessons, size=size, most_pieces=most, seed=1))
    assert sorted(at for batch in batches for at in batch) == list(range(len(lessons)))
    for batch in batches:
        longest = max(len(lessons[at].pieces.ids) for at in batch)
        assert len(batch) <= size
        assert len(batch) == 1 or len(batch) * longest <= most


def test_the_seed_fixes_the_order() -> None:
    lessons = [lesson(1 + i % 7) for i in range(50)]
    orders = [list(epoch(lessons, size=4, most_pieces=99, seed=seed)) for seed in (1, 1, 2)]
    assert orders[0] == orders[1] != orders[2]


def test_a_batch_is_filled_up_to_its_longest() -> None:
    batch = collated([lesson(3, span=(1, 3)), lesson(1, option=IGNORED)], PLAN)
    assert batch.ids.tolist() == [[2, 3, 4, 5, 6], [2, 3, 4, 0, 0]]
    assert batch.real.tolist() == [[True] * 5, [True] * 3 + [False] * 2]
    assert batch.n_units.tolist() == [3, 1]
    assert batch.tags[0].tolist() == [[0, 1, 2], [0, 0, 0]]
    assert batch.options.tolist() == [[0], [IGNORED]]
    np.testing.assert_array_equal(batch.pooling.sum(-1), [[1, 1, 1], [1, 0, 0]])
