"""The quick way to words' vectors is scikit-learn's own, to the last bit."""

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.preprocessing import normalize

from slimdown.train.linear_words import Words

KNOWN = ["where is my card", "my card is lost, where?", "Lost card!", "naïve café 漢字", "card 17"]
N_HASHES = 1 << 20
TEXTS = st.lists(st.sampled_from([*KNOWN, "zzz"]) | st.text(max_size=30), max_size=4)


def by_the_book(words: Words, texts: list[str]) -> Any:
    """Return what hashing, weighing and scaling by scikit-learn gives."""
    views = []
    of_words: dict[str, Any] = {"ngram_range": (1, 2), "token_pattern": r"\w+|[^\w\s]"}
    of_runs: dict[str, Any] = {"ngram_range": (2, 5), "analyzer": "char_wb"}
    for i, options in enumerate((of_words, of_runs)):
        view = HashingVectorizer(
            n_features=N_HASHES, norm=None, alternate_sign=False, dtype=np.float32, **options
        )
        raw = view.transform(texts)[:, words.arrays[f"hashes{i}"]]
        raw.data = 1 + np.log(raw.data)
        weighed = raw.multiply(words.arrays[f"rarity{i}"][None, :]).tocsr().astype(np.float32)
        weighed.sort_indices()
        views.append(normalize(weighed) if weighed.shape[1] else weighed)
    return sparse.hstack(views, format="csr") * np.float32(np.sqrt(0.5))


@given(TEXTS.filter(bool))
@settings(max_examples=60, deadline=None)
def test_vectors_are_those_of_scikit_learn(texts: list[str]) -> None:
    words = Words.fit(KNOWN)

    ours, theirs = words.vectors(texts), by_the_book(words, texts)

    assert np.array_equal(ours.toarray(), theirs.toarray())


def test_a_batch_is_its_texts_one_by_one() -> None:
    words = Words.fit(KNOWN)

    whole = words.vectors(KNOWN).toarray()

    assert np.array_equal(whole, np.vstack([words.vectors([t]).toarray() for t in KNOWN]))


def test_texts_of_which_nothing_recurs_have_no_columns() -> None:
    words = Words.fit(["ab", "cd"])

    assert words.vectors(["ab", ""]).shape == (2, 0)
