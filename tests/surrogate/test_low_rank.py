"""surrogate.low_rank: factors of a matrix that is known."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from surrogate.low_rank import Covariance, factorised


def full(covariance: Covariance) -> np.ndarray:
    return covariance.factors @ covariance.factors.T + np.diag(covariance.own)


@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 100), st.integers(0, 2**31))
def test_variances_are_kept_and_a_full_rank_is_exact(n: int, hidden: int, rank: int, seed: int) -> None:
    points = np.random.default_rng(seed).normal(size=(n, hidden))
    matrix = points @ points.T
    found = factorised(lambda chosen: matrix[:, chosen], np.diag(matrix), 0.1, rank=rank)
    assert found.factors.shape[1] <= rank
    assert (found.own >= 0).all()
    np.testing.assert_allclose(np.diag(full(found)), np.diag(matrix), rtol=1e-6, atol=1e-6 * matrix.max())
    # What is left out is a covariance too: nothing is invented.
    rest = matrix - found.factors @ found.factors.T
    assert np.linalg.eigvalsh(rest).min() > -1e-6 * matrix.max() * n
    if rank >= n:
        np.testing.assert_allclose(found.factors @ found.factors.T, matrix, atol=3e-3 * matrix.max())


def test_nothing_varies() -> None:
    found = factorised(lambda chosen: np.zeros((4, len(chosen))), np.zeros(4), 0.1)
    assert found.factors.shape == (4, 0)
    assert len(found[np.array([1, 2])]) == 2
