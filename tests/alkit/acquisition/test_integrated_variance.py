"""Integrated variance, for a batch and for a start, against the sum that every choice leaves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alkit.acquisition import Pool, RoundContext, resolve, select
from alkit.acquisition.starts import far_apart, least_variance
from surrogate.low_rank import Covariance


def best_by_hand(covariance: Covariance, over: np.ndarray, count: int) -> list[int]:
    """Greedily, the whole posterior computed for every choice. What is a molecule's own says nothing of
    others."""
    shared, chosen = covariance.factors @ covariance.factors.T, list[int]()
    for _ in range(count):
        left = {}
        for row in set(range(len(covariance))) - set(chosen):
            known = [*chosen, row]
            inner = shared[np.ix_(known, known)] + np.diag(covariance.own[known] + covariance.noise**2)
            across = shared[np.ix_(over, known)]
            left[row] = np.trace(shared[np.ix_(over, over)] - across @ np.linalg.solve(inner, across.T))
        chosen.append(min(left, key=lambda row: left[row]))
    return chosen


def given_pool(covariance: Covariance, target: np.ndarray | None, seed: int) -> tuple[Pool, RoundContext]:
    n, rng = len(covariance), np.random.default_rng(seed)
    embeddings = rng.normal(size=(n, 3)).astype(np.float32)
    smiles = tuple("C" * (k + 1) for k in range(n))
    pool = Pool(smiles, rng.normal(size=(2, n)), np.ones(n), embeddings, np.ones(n), covariance=covariance)
    aim = None if target is None else pool[target]
    context = RoundContext(1, ("O",), np.zeros(1), np.full((1, 3), 9, np.float32), rng, target=aim)
    return pool, context


@settings(deadline=None, max_examples=30)
@given(st.integers(6, 14), st.integers(1, 6), st.booleans(), st.integers(0, 2**31))
def test_each_choice_leaves_the_least(n: int, rank: int, aimed: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    covariance = Covariance(rng.normal(size=(n, rank)), 0.3 * rng.random(n), 0.2)
    target = np.sort(rng.permutation(n)[: n // 2]) if aimed else None
    pool, context = given_pool(covariance, target, seed)
    found = select(resolve("integrated_variance"), "integrated_variance", pool, context, 4)
    over = np.arange(n) if target is None else target
    assert found == best_by_hand(covariance, over, 4)
    if target is None:
        assert least_variance(covariance, 4) == found


def test_a_start_has_no_molecule_twice_and_no_more_than_there_are() -> None:
    rng = np.random.default_rng(0)
    covariance = Covariance(rng.normal(size=(5, 2)), np.zeros(5), 0.1)
    assert sorted(least_variance(covariance, 9)) == [0, 1, 2, 3, 4]
    features = np.repeat(rng.normal(size=(3, 2)), 2, axis=0)
    assert len(far_apart(features, 4, seed=1)) <= 4


def test_outliers_are_passed_over() -> None:
    """A molecule that varies most, but with no other, says least of all others."""
    factors = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.2]])
    assert least_variance(Covariance(factors, np.zeros(4), 0.1), 1)[0] != 3


def test_it_says_what_it_needs() -> None:
    assert resolve("integrated_variance").needs == ("covariance",)  # type: ignore[attr-defined]
    with pytest.raises(AttributeError):
        resolve("farthest").needs  # type: ignore[attr-defined] # noqa: B018
