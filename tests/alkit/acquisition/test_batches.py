"""alkit.acquisition.batches: LCMD against a slow implementation of the paper's own words."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alkit.acquisition import Pool, RoundContext
from alkit.acquisition.batches import LargestClusterMaximumDistance, _nearest

seeds = st.integers(0, 2**31 - 1)


def lcmd(labelled: np.ndarray, pool: np.ndarray, size: int) -> list[int]:
    n, m = len(pool), len(labelled)
    given = Pool(("C",) * n, np.zeros((2, n)), np.ones(n), pool.astype(np.float32), np.ones(n))
    context = RoundContext(1, ("C",) * m, np.zeros(m), labelled.astype(np.float32), np.random.default_rng(0))
    return list(LargestClusterMaximumDistance().select(given, context, size))


def slow_lcmd(labelled: np.ndarray, pool: np.ndarray, size: int) -> list[int]:
    """Holzmüller et al. (2023), LCMD-TP: the selected set begins with the training points; every remaining
    point is assigned to its nearest selected one; of the clusters, the one with the largest sum of squared
    distances gives its farthest point. Features are standardised over all points first."""
    both = np.concatenate([labelled, pool]).astype(np.float32).astype(np.float64)
    both = (both - both.mean(axis=0)) / both.std(axis=0)
    selected, points = list(both[: len(labelled)]), both[len(labelled) :]
    remaining, chosen = set(range(len(points))), []
    for _ in range(size):
        clusters: dict[int, list[tuple[float, int]]] = {}
        for i in remaining:
            distances = [
                sum((a - b) ** 2 for a, b in zip(points[i], centre, strict=True)) for centre in selected
            ]
            nearest = min(range(len(selected)), key=distances.__getitem__)
            clusters.setdefault(nearest, []).append((distances[nearest], i))
        largest = max(clusters.values(), key=lambda cluster: sum(distance for distance, _ in cluster))
        _, new = max(largest)
        chosen.append(new)
        remaining.remove(new)
        selected.append(points[new])
    return chosen


@given(seeds, st.integers(2, 5), st.integers(2, 25), st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_lcmd_is_what_the_paper_defines(seed: int, m: int, n: int, d: int) -> None:
    rng = np.random.default_rng(seed)
    labelled, pool = rng.normal(size=(m, d)), rng.normal(size=(n, d)) + rng.choice([0, 5], size=(n, 1))
    size = min(n, 8)
    assert lcmd(labelled, pool, size) == slow_lcmd(labelled, pool, size)


@given(seeds)
@settings(max_examples=40, deadline=None)
def test_an_exact_repeat_is_never_chosen_while_others_remain(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labelled, distinct = rng.normal(size=(3, 4)), rng.normal(size=(6, 4))
    pool = np.concatenate([distinct, distinct[rng.integers(6, size=5)], labelled[rng.integers(3, size=4)]])
    pool = pool[rng.permutation(len(pool))]
    chosen = lcmd(labelled, pool, len(pool))
    assert sorted(chosen) == list(range(len(pool)))
    first = {tuple(pool[i]) for i in chosen[:6]}
    assert first == {tuple(row) for row in distinct}


@given(seeds, st.integers(1, 12))
@settings(max_examples=20, deadline=None)
def test_a_pool_of_one_molecule_repeated_still_gives_different_indices(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    pool = np.repeat(rng.normal(size=(1, 3)), n, axis=0)
    for labelled in (rng.normal(size=(2, 3)), np.concatenate([pool[:1], pool[:1]])):
        assert sorted(lcmd(labelled, pool, n)) == list(range(n))


@given(seeds, st.floats(-1e4, 1e4))
@settings(max_examples=30, deadline=None)
def test_a_feature_that_never_changes_has_no_say(seed: int, constant: float) -> None:
    rng = np.random.default_rng(seed)
    labelled, pool = rng.normal(size=(4, 3)), rng.normal(size=(30, 3))
    dead = [np.column_stack([points, np.full(len(points), constant)]) for points in (labelled, pool)]
    assert lcmd(*dead, 10) == lcmd(labelled, pool, 10)


@given(seeds, st.floats(0.01, 100.0), st.floats(-50.0, 50.0))
@settings(max_examples=30, deadline=None)
def test_scale_and_origin_of_a_feature_do_not_matter(seed: int, scale: float, origin: float) -> None:
    rng = np.random.default_rng(seed)
    labelled, pool = rng.normal(size=(4, 3)), rng.normal(size=(25, 3))
    changed = [points * [scale, 1, 1] + [0, origin, 0] for points in (labelled, pool)]
    assert lcmd(*changed, 5) == lcmd(labelled, pool, 5)


def test_a_batch_spreads_over_groups_where_single_scores_would_not() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(rng.normal(size=(5, 2)) * 20, 30, axis=0)
    pool = groups + 0.01 * rng.normal(size=groups.shape)
    chosen = lcmd(rng.normal(size=(2, 2)) * 0.01, pool, 5)
    assert sorted(i // 30 for i in chosen) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("chunk", [1, 3, 100])
def test_nearest_is_the_same_in_chunks(chunk: int) -> None:
    rng = np.random.default_rng(1)
    points, centres = rng.normal(size=(17, 3)), rng.normal(size=(5, 3))
    distances, indices = _nearest(points, centres, chunk=chunk)
    table = ((points[:, None] - centres) ** 2).sum(axis=2)
    assert distances == pytest.approx(table.min(axis=1), abs=1e-12)
    assert indices.tolist() == table.argmin(axis=1).tolist()
