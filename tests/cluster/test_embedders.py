from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st

from slimdown.cluster.cached import CachedEmbedder
from slimdown.cluster.hashing import HashingEmbedder


class Counting:
    name, dims = "counting", 2

    def __init__(self) -> None:
        self.asked: list[str] = []

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        self.asked += texts
        return np.array([[len(text), 1] for text in texts], dtype=np.float32)


def test_like_texts_are_nearer_than_others() -> None:
    card, cards, flight = HashingEmbedder().embed(
        ["my card was declined today", "my cards were declined", "book a flight to Rome"]
    )

    assert card @ cards > 2 * abs(card @ flight)


def test_a_text_has_the_same_vector_in_any_company() -> None:
    embedder = HashingEmbedder(64)

    assert np.array_equal(embedder.embed(["a b c"])[0], embedder.embed(["x", "a b c"])[1])


def test_the_name_tells_the_length() -> None:
    assert HashingEmbedder(64).name != HashingEmbedder(128).name
    assert HashingEmbedder(64).dims == 64


def test_no_texts_make_no_rows() -> None:
    assert HashingEmbedder(64).embed([]).shape == (0, 64)
    assert CachedEmbedder(HashingEmbedder(64)).embed([]).shape == (0, 64)


@given(st.lists(st.text(), max_size=5))
def test_every_vector_has_unit_length(texts: list[str]) -> None:
    vectors = HashingEmbedder(32).embed(texts)

    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_a_text_is_embedded_once() -> None:
    behind = Counting()
    cached = CachedEmbedder(behind)

    cached.embed(["a", "bb", "a"])
    again = cached.embed(["bb", "ccc"])

    assert behind.asked == ["a", "bb", "ccc"]
    assert again[:, 0].tolist() == [2, 3]
    assert (cached.name, cached.dims) == ("counting", 2)


def test_the_oldest_vectors_are_let_go() -> None:
    behind = Counting()
    cached = CachedEmbedder(behind, most=2)

    cached.embed(["a", "bb", "ccc"])
    cached.embed(["ccc", "a"])

    assert behind.asked == ["a", "bb", "ccc", "a"]
