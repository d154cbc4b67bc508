"""The tagger's arithmetic against the sum over all taggings, and against its torch twin."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from slimdown.encoder.pieces import Pieces, Unit
from slimdown.train.fields.chain import FORBIDDEN, allowed, best_tags, spans_of, unit_pooling


def drawn(n_units: int, n_fields: int, seed: int) -> tuple[Any, Any]:
    draw = np.random.default_rng(seed)
    moves = draw.normal(size=(2 + 2 * n_fields, 1 + 2 * n_fields)) + allowed(n_fields)
    return draw.normal(size=(n_units, 1 + 2 * n_fields)) * 2, moves


def score(tags: tuple[int, ...], emissions: Any, moves: Any) -> float:
    path = [len(moves) - 1, *tags]
    moved = sum(moves[a, b] for a, b in itertools.pairwise(path))
    return float(moved + sum(e[t] for e, t in zip(emissions, tags, strict=True)))


@pytest.mark.parametrize("seed", range(5))
def test_the_best_tags_and_their_chances_are_exact(seed: int) -> None:
    emissions, moves = drawn(4, 1, seed)
    ways = list(itertools.product(range(3), repeat=4))
    weights = np.exp([score(tags, emissions, moves) for tags in ways])
    weights /= weights.sum()
    tagged = best_tags(emissions, moves)
    assert tuple(tagged.tags) == ways[int(weights.argmax())]
    assert tagged.probability == pytest.approx(weights.max(), rel=1e-4)
    for at, tag in itertools.product(range(4), range(3)):
        share = sum(w for w, tags in zip(weights, ways, strict=True) if tags[at] == tag)
        assert tagged.marginals[at, tag] == pytest.approx(share, abs=1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_an_inside_follows_only_its_own_beginning(seed: int) -> None:
    emissions, moves = drawn(30, 3, seed)
    tags = [0, *best_tags(emissions * 10, moves).tags]
    for before, tag in itertools.pairwise(tags):
        assert tag % 2 == 1 or tag == 0 or before in (tag, tag - 1)


def test_a_text_without_units_has_no_tags() -> None:
    emissions, moves = drawn(0, 2, 0)
    tagged = best_tags(emissions, moves)
    assert (tagged.tags, tagged.probability) == ([], 1.0)


def test_spans_run_from_begin_to_the_last_inside() -> None:
    assert spans_of([0, 1, 2, 2, 0, 3, 1]) == [(0, (1, 4)), (1, (5, 6)), (0, (6, 7))]


def test_the_start_forbids_an_inside() -> None:
    assert allowed(1).tolist() == [[0, 0, FORBIDDEN], [0, 0, 0], [0, 0, 0], [0, 0, FORBIDDEN]]


def test_a_units_pieces_are_averaged() -> None:
    pieces = Pieces((2, 5, 6, 7, 3), (0,) * 5, (Unit(0, 2), Unit(3, 4)), (-1, 0, 0, 1, -1))
    assert unit_pooling(pieces).tolist() == [[0, 0.5, 0.5, 0, 0], [0, 0, 0, 1, 0]]


def test_the_torch_loss_is_the_chance_of_the_true_tags() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed: nothing to compare with")
    from slimdown.train.fields.net import _Tagger

    tagger = _Tagger(6, 2)
    units = torch.randn(2, 5, 6, generator=torch.Generator().manual_seed(1))
    lengths = torch.tensor([5, 3])
    with torch.no_grad():
        emissions = tagger.emit(units).numpy()
        moves = (tagger.moves + tagger.allowed).numpy()
        best = [best_tags(emissions[i, :n], moves) for i, n in enumerate((5, 3))]
        tags = torch.tensor([best[0].tags, [*best[1].tags, 0, 0]])
        loss = float(tagger(units, tags, lengths))
    assert loss == pytest.approx(-sum(np.log(b.probability) for b in best), rel=1e-4)
