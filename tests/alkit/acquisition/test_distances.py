"""alkit.acquisition.distances: standardising, distances to the nearest centre, and what is kept for last."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alkit.acquisition import Pool, RoundContext
from alkit.acquisition.distances import DIMENSIONS, NearestCentre, Unchosen, nearest, standardised

seeds = st.integers(0, 2**31 - 1)


def parts(labelled: np.ndarray, pool: np.ndarray) -> tuple[Pool, RoundContext]:
    n, m = len(pool), len(labelled)
    given_pool = Pool(("C",) * n, np.zeros((2, n)), np.ones(n), pool.astype(np.float32), np.ones(n))
    rng = np.random.default_rng(0)
    return given_pool, RoundContext(1, ("C",) * m, np.zeros(m), labelled.astype(np.float32), rng)


def table(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    return ((points[:, None] - centres) ** 2).sum(axis=2)


def test_features_have_mean_0_and_variance_1_over_both_sets() -> None:
    rng = np.random.default_rng(0)
    pool, known = standardised(*parts(rng.normal(3, 2, size=(10, 4)), rng.normal(-1, 5, size=(40, 4))))
    both = np.concatenate([known, pool])
    assert both.shape == (50, 4)
    assert both.mean(axis=0) == pytest.approx(0, abs=1e-12)
    assert both.std(axis=0) == pytest.approx(1)


@given(st.floats(-1e6, 1e6))
def test_a_feature_that_varies_by_rounding_alone_becomes_0(constant: float) -> None:
    rng = np.random.default_rng(0)
    changing = rng.normal(size=(12, 1))
    dead = np.full((12, 1), constant) * (1 + 3e-8 * rng.normal(size=(12, 1)))
    pool, known = standardised(*parts(np.hstack([changing, dead])[:2], np.hstack([changing, dead])[2:]))
    assert not pool[:, 1].any()
    assert not known[:, 1].any()
    assert pool[:, 0].any()


def test_many_features_of_low_rank_keep_their_distances_on_fewer() -> None:
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(60, 20))
    both = (hidden @ rng.normal(size=(20, DIMENSIONS + 50))).astype(np.float32)
    pool, known = standardised(*parts(both[:5], both[5:]))
    assert pool.shape == (55, DIMENSIONS)
    exact = both.astype(float)
    exact = (exact - exact.mean(axis=0)) / exact.std(axis=0)
    assert table(pool, known) == pytest.approx(table(exact[5:], exact[:5]), rel=1e-6)


@pytest.mark.parametrize("chunk", [1, 3, 100])
def test_nearest_is_the_same_in_chunks(chunk: int) -> None:
    rng = np.random.default_rng(1)
    points, centres = rng.normal(size=(17, 3)), rng.normal(size=(5, 3))
    distances, indices = nearest(points, centres, chunk=chunk)
    expected = table(points, centres)
    assert distances == pytest.approx(expected.min(axis=1), abs=1e-12)
    assert indices.tolist() == expected.argmin(axis=1).tolist()


@given(seeds, st.integers(0, 4), st.integers(1, 6))
@settings(max_examples=30, deadline=None)
def test_centres_added_one_by_one_are_as_good_as_all_at_once(seed: int, m: int, d: int) -> None:
    rng = np.random.default_rng(seed)
    points, centres = rng.normal(size=(20, d)), rng.normal(size=(m, d))
    near = NearestCentre(points, centres)
    for index in (3, 11, 7):
        near.add(index)
    first = centres if m else np.zeros((1, d))
    expected = table(points, np.concatenate([first, points[[3, 11, 7]]]))
    assert near.distances == pytest.approx(expected.min(axis=1), abs=1e-10)
    assert near.centres.tolist() == expected.argmin(axis=1).tolist()


@given(seeds, st.floats(1e-3, 1e3))
@settings(max_examples=30, deadline=None)
def test_a_repeat_is_exactly_0_away(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    points = np.repeat(scale * rng.normal(size=(6, 37)), 5, axis=0)
    near = NearestCentre(points, points[:1])
    near.add(12)
    assert np.flatnonzero(near.distances == 0).tolist() == [0, 1, 2, 3, 4, 10, 11, 12, 13, 14]


def test_repeats_of_labelled_and_chosen_ones_come_last() -> None:
    a, b, c = np.eye(3)
    left = Unchosen(*parts(np.array([a]), np.array([a, b, b, c, -0.0 * a, 0.0 * a])))
    assert left.allowed().tolist() == [False, True, True, True, True, True]
    assert left.first_of_each().tolist() == [False, True, False, True, True, False]
    taken = []
    for _ in range(6):
        taken.append(left.best(np.array([9.0, 8.0, 8.0, 7.0, 6.0, 6.0])))
        left.take(taken[-1])
    assert taken == [1, 3, 4, 0, 2, 5]


def test_embeddings_without_features_are_all_the_same() -> None:
    left = Unchosen(*parts(np.zeros((1, 0)), np.zeros((3, 0))))
    assert not left.new.any()
    assert left.allowed().all()
