from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from slimdown.certify.binomial import fewest_labels, most_allowed, upper_bound

trials = st.integers(1, 3000)
rates = st.floats(0.005, 0.5)


@pytest.mark.parametrize(("k", "n"), [(0, 149), (1, 236), (2, 313), (5, 523)])
def test_the_known_sample_sizes_for_two_percent_come_out(k: int, n: int) -> None:
    assert upper_bound(k, n, 0.05) <= 0.02 < upper_bound(k, n - 1, 0.05)
    assert most_allowed(np.array([n - 1, n]), 0.02, 0.05).tolist() == [k - 1, k]


@given(trials, st.floats(0, 1), st.floats(0.01, 0.3))
def test_the_upper_bound_is_where_k_or_fewer_have_the_chance_delta(
    n: int, share: float, delta: float
) -> None:
    k = int(share * (n - 1))
    bound = upper_bound(k, n, delta)
    assert k / n <= bound <= 1
    assert binom.cdf(k, n, bound) == pytest.approx(delta, rel=1e-6)


@given(trials, rates, st.floats(0.01, 0.3))
def test_most_allowed_is_the_last_k_that_passes(n: int, risk: float, delta: float) -> None:
    k = int(most_allowed(np.array([n]), risk, delta)[0])
    assert k == -1 or binom.cdf(k, n, risk) <= delta * (1 + 1e-9)
    assert binom.cdf(k + 1, n, risk) > delta * (1 - 1e-9)


@given(rates, st.floats(0.01, 0.3))
def test_the_fewest_labels_pass_without_a_disagreement_and_one_less_does_not(
    risk: float, delta: float
) -> None:
    n = fewest_labels(risk, delta)
    assert (1 - risk) ** n <= delta * (1 + 1e-9)
    assert (1 - risk) ** (n - 1) > delta * (1 - 1e-9)


def test_nothing_seen_bounds_nothing() -> None:
    assert upper_bound(0, 0, 0.05) == 1.0
    assert most_allowed(np.array([0]), 0.5, 0.05).tolist() == [-1]
