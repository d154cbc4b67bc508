from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from slimdown.train import linear_kernel as kernel_ridge
from slimdown.train import linear_logistic as logistic
from slimdown.train.linear_signals import Known, Views, held_out_reliability, read, reliability
from slimdown.train.linear_words import Words

N = 40


def _rows(seed: int, n: int = N) -> sparse.csr_matrix:
    raw = np.random.default_rng(seed).random((n, 12))
    return sparse.csr_matrix((raw / np.linalg.norm(raw, axis=1, keepdims=True)).astype(np.float32))


def _fit(rows: sparse.csr_matrix, classes: np.ndarray, groups: np.ndarray) -> kernel_ridge.Fitted:
    kernel = kernel_ridge.likeness(rows, kernel_ridge.turned(rows), None, None)
    return kernel_ridge.fit(kernel, np.arange(rows.shape[0]), classes, 3, groups)


def test_left_out_scores_are_those_of_a_fit_without_the_group() -> None:
    rows, classes, groups = _rows(0), np.arange(N) % 3, np.arange(N) // 4
    whole = _fit(rows, classes, groups)
    for group in (0, 7):
        rest = np.flatnonzero(groups != group)
        without = _fit(rows[rest], classes[rest], groups[rest])
        kernel = kernel_ridge.likeness(
            rows[groups == group], kernel_ridge.turned(rows[rest]), None, None
        )
        expected = kernel @ without.weights
        assert np.allclose(whole.left_out[groups == group], expected, atol=2e-3)


def test_more_examples_than_landmarks_are_all_left_out_in_turn() -> None:
    n = kernel_ridge.MOST_LANDMARKS + 5
    marks = kernel_ridge.landmarks(n)
    assert len(marks) == kernel_ridge.MOST_LANDMARKS
    assert (marks[0], marks[-1]) == (0, n - 1)
    rows, some = _rows(1), np.arange(0, N, 2)
    kernel = kernel_ridge.likeness(rows, kernel_ridge.turned(rows[some]), None, None)
    fitted = kernel_ridge.fit(kernel, some, np.arange(N) % 3, 3, np.arange(N))
    assert fitted.weights.shape == (20, 3) and fitted.left_out.shape == (N, 3)


def test_copies_of_a_text_do_not_break_the_fit() -> None:
    rows = sparse.csr_matrix(np.ones((N, 4), np.float32) / 2)
    assert np.isfinite(_fit(rows, np.arange(N) % 3, np.arange(N)).left_out).all()


def test_likeness_is_one_for_a_text_with_itself_and_less_for_others() -> None:
    rows = _rows(2)
    meaning = rows.toarray()
    kernel = kernel_ridge.likeness(rows, kernel_ridge.turned(rows), meaning, meaning)
    assert np.allclose(np.diag(kernel), 1, atol=1e-5)
    assert (kernel[~np.eye(N, dtype=bool)] < 1).all() and (kernel > 0).all()


def test_a_class_without_examples_is_all_but_impossible() -> None:
    rows = _rows(3).toarray()
    chances = logistic.chances(rows, logistic.fit(rows, np.arange(N) % 2 * 2, 3))
    assert (chances[:, 1] < 1e-6).all()
    assert np.allclose(chances.sum(axis=1), 1, atol=1e-5)


def test_a_group_lies_in_one_fold() -> None:
    groups = np.arange(N) // 4
    fold = logistic.folds(groups)
    assert all(len(set(fold[groups == group])) == 1 for group in set(groups))
    assert set(fold) == set(range(logistic.N_FOLDS))


def test_words_weigh_rare_terms_more_and_a_text_is_most_like_itself() -> None:
    texts = ["the lost card", "the card fee", "the phone code", "the phone app"]
    vectors = Words.fit(texts).vectors(texts)
    likeness = (vectors @ vectors.T).toarray()
    assert np.allclose(np.diag(likeness), 1, atol=1e-5)
    assert likeness[2, 3] > likeness[0, 3]


def test_words_come_back_from_their_arrays() -> None:
    texts = ["lost card", "card fee", "phone code"]
    words = Words.fit(texts)
    again = Words(words.arrays)
    assert (words.vectors(texts) != again.vectors(texts)).nnz == 0


def test_a_text_without_a_known_term_has_an_empty_row() -> None:
    vectors = Words.fit(["lost card", "lost card"]).vectors(["", "zzz qqq"])
    assert vectors.shape[0] == 2 and vectors[0].nnz == 0


def test_reliability_is_learned_from_other_groups_alone() -> None:
    answers, groups = np.zeros(N, np.int64), np.arange(N)
    agreed = np.ones(N, bool)
    agreed[groups % 5 == 0] = False
    found = held_out_reliability(answers, agreed, 1, groups)
    assert found[0] == pytest.approx(1.0)
    assert found[1] < 1.0
    assert reliability(answers, agreed, 1)[0] == pytest.approx(0.8)


def test_signals_speak_for_the_answer_where_members_and_neighbours_agree() -> None:
    sure, torn = [0.9, 0.1], [0.55, 0.45]
    members = {"a": np.array([sure, torn], np.float32), "b": np.array([sure, torn[::-1]])}
    kernel = np.array([[0.9, 0.1, 0.8], [0.5, 0.5, 0.5]], np.float32)
    known = Known(np.array([0, 1, 0]), np.array([2, 1]))
    found = read(Views(members, kernel, None, np.array([5.0, 5.0], np.float32)), known)
    assert found.classes.tolist() == [0, 0]
    assert found.signals["b_agrees"].tolist() == [1.0, 0.0]
    assert found.signals["margin"][0] > found.signals["margin"][1]
    assert found.signals["nearest_same"][0] == pytest.approx(0.9)
    assert found.signals["nearest_other"][0] == pytest.approx(0.1)
