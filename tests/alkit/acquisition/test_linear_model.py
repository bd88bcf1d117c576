"""alkit.acquisition.linear_model: against determinants and traces of explicit inverses, and the reference."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alkit.acquisition import Pool, RoundContext
from alkit.acquisition.linear_model import Bait, MaximumDeterminant, products, quadratic
from alkit.errors import ConfigError

seeds = st.integers(0, 2**31 - 1)


def choose(kind: type, labelled: np.ndarray, pool: np.ndarray, size: int, *, noise: float = 0.1) -> list[int]:
    n, m = len(pool), len(labelled)
    given_pool = Pool(("C",) * n, np.zeros((2, n)), np.ones(n), pool.astype(np.float32), np.ones(n))
    rng = np.random.default_rng(0)
    context = RoundContext(1, ("C",) * m, np.zeros(m), labelled.astype(np.float32), rng)
    return list(kind(noise).select(given_pool, context, size))


def prepared(labelled: np.ndarray, pool: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Standardised, then scaled to a mean square of 1."""
    both = np.concatenate([labelled, pool]).astype(np.float32).astype(np.float64)
    both = (both - both.mean(axis=0)) / both.std(axis=0)
    both /= np.sqrt((both**2).sum(axis=1).mean())
    return both[: len(labelled)], both[len(labelled) :]


def slow_maxdet(labelled: np.ndarray, pool: np.ndarray, size: int, noise: float) -> list[int]:
    """Greedily the largest determinant of the batch's covariance, by the kernel form of the posterior."""
    known, points = prepared(labelled, pool)
    gram = known @ known.T + noise**2 * np.eye(len(known))
    covariance = points @ points.T - points @ known.T @ np.linalg.inv(gram) @ known @ points.T
    covariance += noise**2 * np.eye(len(points))
    chosen: list[int] = []
    for _ in range(size):
        values = np.full(len(points), -np.inf)
        for i in set(range(len(points))) - set(chosen):
            batch = [*chosen, i]
            values[i] = np.linalg.slogdet(covariance[np.ix_(batch, batch)])[1]
        chosen.append(int(values.argmax()))
    return chosen


def slow_bait(labelled: np.ndarray, pool: np.ndarray, size: int, noise: float) -> list[int]:
    """Greedily the smallest sum of posterior variances of all molecules, by an inverse for each candidate."""
    known, points = prepared(labelled, pool)
    everything = np.concatenate([known, points])
    precision = np.eye(points.shape[1]) + known.T @ known / noise**2
    chosen: list[int] = []
    for _ in range(size):
        traces = np.full(len(points), np.inf)
        for i in set(range(len(points))) - set(chosen):
            covariance = np.linalg.inv(precision + np.outer(points[i], points[i]) / noise**2)
            traces[i] = np.trace(everything @ covariance @ everything.T)
        chosen.append(int(traces.argmin()))
        precision += np.outer(points[chosen[-1]], points[chosen[-1]]) / noise**2
    return chosen


SLOW = {MaximumDeterminant: slow_maxdet, Bait: slow_bait}


@pytest.mark.parametrize("kind", SLOW)
@given(seed=seeds, m=st.integers(1, 8), n=st.integers(2, 25), d=st.integers(1, 6), noise=st.floats(0.03, 1.0))
@settings(max_examples=25, deadline=None)
def test_the_batch_is_the_greedy_one(kind: type, seed: int, m: int, n: int, d: int, noise: float) -> None:
    rng = np.random.default_rng(seed)
    labelled, pool = rng.normal(size=(m, d)), rng.normal(size=(n, d))
    size = min(n, 7)
    assert choose(kind, labelled, pool, size, noise=noise) == SLOW[kind](labelled, pool, size, noise)


def test_products_and_quadratic_forms_are_the_same_in_chunks() -> None:
    rng = np.random.default_rng(0)
    points, matrix, (first, second) = (
        rng.normal(size=(17, 3)),
        rng.normal(size=(3, 3)),
        rng.normal(size=(2, 3)),
    )
    for chunk in (1, 5, 100):
        found = products(points, first, second, chunk=chunk)
        assert found == pytest.approx(np.stack([points @ first, points @ second]))
        assert quadratic(points, matrix, chunk=chunk) == pytest.approx(np.diag(points @ matrix @ points.T))


@pytest.mark.parametrize("kind", SLOW)
def test_rounding_does_not_grow_over_a_long_batch(kind: type) -> None:
    rng = np.random.default_rng(0)
    labelled, pool = rng.normal(size=(5, 8)), rng.normal(size=(150, 8))
    assert choose(kind, labelled, pool, 120, noise=0.03) == SLOW[kind](labelled, pool, 120, 0.03)


def test_an_outlier_has_the_largest_variance_but_little_to_say_of_the_others() -> None:
    rng = np.random.default_rng(0)
    pool = np.concatenate([np.outer(rng.normal(size=80), [1.0, 1.0]), [[5.0, -5.0]]])
    labelled = np.array([[0.01, 0.01], [-0.01, -0.01]])
    assert choose(MaximumDeterminant, labelled, pool, 1) == [80]
    assert choose(Bait, labelled, pool, 1) != [80]


@pytest.mark.parametrize("kind", SLOW)
def test_noise_is_above_0(kind: type) -> None:
    with pytest.raises(ConfigError, match=r"noise is 0; it must be a number above 0"):
        kind(noise=0)
