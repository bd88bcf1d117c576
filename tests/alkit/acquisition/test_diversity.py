"""alkit.acquisition.diversity: the contract, what holds of every batch, and the reference."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alkit.acquisition import Pool, RoundContext, scores, select
from alkit.acquisition.base import adapt
from alkit.acquisition.diversity import (
    ClusterTop,
    FarthestPoint,
    KMeansPlusPlus,
    LargestClusterMaximumDistance,
    _occurrences,
)
from alkit.acquisition.linear_model import Bait, MaximumDeterminant
from alkit.errors import ConfigError

seeds = st.integers(0, 2**31 - 1)
DETERMINISTIC = {
    "lcmd": LargestClusterMaximumDistance,
    "farthest": FarthestPoint,
    "maxdet": MaximumDeterminant,
    "bait": Bait,
}
BATCHES = {**DETERMINISTIC, "kmeans++": KMeansPlusPlus, "cluster_top": ClusterTop}
SCORES = {
    "random": scores.random,
    "std": scores.std,
    "ucb": scores.ConfidenceBound,
    "ei": scores.ExpectedImprovement,
    "log_ei": scores.LogExpectedImprovement,
    "pi": scores.ProbabilityOfImprovement,
    "thompson": scores.Thompson,
    "bald": scores.InformationGain,
    "outside_accuracy": scores.OutsideAccuracy,
    "per_second": scores.PerSecond,
}
EVERY: dict[str, Any] = {**BATCHES, **SCORES}


def chosen(
    given: Any, labelled: np.ndarray, pool: np.ndarray, size: int, *, std: Any = None, seed: int = 0
) -> list[int]:
    """What the checked ``select`` gives; ``std`` is 1 of every molecule if it is not given."""
    n, m = len(pool), len(labelled)
    std = np.ones(n) if std is None else np.asarray(std, dtype=float)
    samples = np.random.default_rng([seed, 7]).normal(size=(3, n))
    given_pool = Pool(("CO",) * n, samples, std, pool.astype(np.float32), np.ones(n))
    rng = np.random.default_rng(seed)
    context = RoundContext(1, ("C",) * m, np.zeros(m), labelled.astype(np.float32), rng)
    return select(adapt(given, "given"), "given", given_pool, context, size)


def lcmd(labelled: np.ndarray, pool: np.ndarray, size: int) -> list[int]:
    return chosen(LargestClusterMaximumDistance, labelled, pool, size)


# --- the contract ------------------------------------------------------------------------------------------
def crowded(rng: np.random.Generator, n: int, d: int) -> np.ndarray:
    return rng.integers(0, 2, size=(n, d)) * 1.0


EMBEDDINGS: dict[str, Callable[[np.random.Generator, int, int], np.ndarray]] = {
    "normal": lambda rng, n, d: rng.normal(size=(n, d)),
    "crowded": crowded,
    "constant": lambda rng, n, d: np.full((n, d), 0.1),
    "one constant": lambda rng, n, d: rng.normal(size=(n, d)) * (np.arange(d) > 0) + 1e4,
    "huge and small": lambda rng, n, d: rng.normal(size=(n, d)) * 10.0 ** rng.uniform(-12, 12, size=d),
}


@pytest.mark.parametrize("name", EVERY)
@given(
    seed=seeds,
    kind=st.sampled_from(sorted(EMBEDDINGS)),
    m=st.integers(2, 6),
    n=st.integers(1, 30),
    d=st.sampled_from([1, 2, 5, 140]),
    size=st.integers(1, 40),
    std=st.sampled_from(["random", "equal", "none"]),
)
@settings(max_examples=40, deadline=None)
def test_every_one_keeps_the_contract(
    name: str, seed: int, kind: str, m: int, n: int, d: int, size: int, std: str
) -> None:
    rng = np.random.default_rng(seed)
    both = EMBEDDINGS[kind](rng, m + n, d)
    spread = {"random": rng.random(n), "equal": np.ones(n), "none": np.zeros(n)}[std]
    batches = [chosen(EVERY[name], both[:m], both[m:], size, std=spread, seed=seed) for _ in range(2)]
    assert batches[0] == batches[1]
    assert len(set(batches[0])) == len(batches[0]) == min(n, size)  # `select` checks the rest


@pytest.mark.parametrize("name", BATCHES)
def test_nothing_labelled_yet_is_no_obstacle(name: str) -> None:
    pool = np.random.default_rng(0).normal(size=(20, 3))
    assert len(set(chosen(BATCHES[name], np.empty((0, 3)), pool, 5))) == 5


# --- what holds of every batch -----------------------------------------------------------------------------
@pytest.mark.parametrize("name", DETERMINISTIC)
@given(seed=seeds)
@settings(max_examples=20, deadline=None)
def test_the_order_of_the_pool_and_of_the_labelled_does_not_matter(name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    labelled, pool = rng.normal(size=(5, 4)), rng.normal(size=(40, 4))
    order = rng.permutation(40)
    shuffled = chosen(BATCHES[name], labelled[rng.permutation(5)], pool[order], 10)
    assert order[shuffled].tolist() == chosen(BATCHES[name], labelled, pool, 10)


@pytest.mark.parametrize("name", BATCHES)
@given(seed=seeds)
@settings(max_examples=25, deadline=None)
def test_an_exact_repeat_is_never_chosen_while_others_remain(name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    labelled, distinct = rng.normal(size=(3, 4)), rng.normal(size=(6, 4))
    pool = np.concatenate([distinct, distinct[rng.integers(6, size=5)], labelled[rng.integers(3, size=4)]])
    pool = pool[rng.permutation(len(pool))]
    found = chosen(BATCHES[name], labelled, pool, len(pool), std=rng.random(len(pool)))
    assert sorted(found) == list(range(len(pool)))
    assert {tuple(pool[i]) for i in found[:6]} == {tuple(row) for row in distinct}


@pytest.mark.parametrize("name", DETERMINISTIC)
@given(seed=seeds, constant=st.floats(-1e4, 1e4))
@settings(max_examples=20, deadline=None)
def test_a_feature_that_never_changes_has_no_say(name: str, seed: int, constant: float) -> None:
    rng = np.random.default_rng(seed)
    labelled, pool = rng.normal(size=(4, 3)), rng.normal(size=(30, 3))
    dead = [np.column_stack([points, np.full(len(points), constant)]) for points in (labelled, pool)]
    assert chosen(BATCHES[name], *dead, 10) == chosen(BATCHES[name], labelled, pool, 10)


@pytest.mark.parametrize("name", DETERMINISTIC)
@given(seed=seeds, scale=st.floats(0.01, 100.0), origin=st.floats(-50.0, 50.0))
@settings(max_examples=20, deadline=None)
def test_scale_and_origin_of_a_feature_do_not_matter(
    name: str, seed: int, scale: float, origin: float
) -> None:
    rng = np.random.default_rng(seed)
    labelled, pool = rng.normal(size=(4, 3)), rng.normal(size=(25, 3))
    changed = [points * [scale, 1, 1] + [0, origin, 0] for points in (labelled, pool)]
    assert chosen(BATCHES[name], *changed, 5) == chosen(BATCHES[name], labelled, pool, 5)


@pytest.mark.parametrize("name", ["lcmd", "farthest", "kmeans++", "cluster_top"])
def test_a_batch_spreads_over_groups_where_single_scores_would_not(name: str) -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(rng.normal(size=(5, 2)) * 20, 30, axis=0)
    pool = groups + 0.01 * rng.normal(size=groups.shape)
    std = np.where(np.arange(150) < 30, 2.0, 1.0)  # the five most uncertain are of one group
    found = chosen(BATCHES[name], rng.normal(size=(2, 2)) * 0.01, pool, 5, std=std)
    assert sorted(i // 30 for i in found) == [0, 1, 2, 3, 4]


# --- the reference -----------------------------------------------------------------------------------------
# What bmdal_reg 3.0.2 (https://github.com/dholzmueller/bmdal_reg, by the authors of LCMD) chooses of
# `quasi_random`, standardised over both sets, with IdentityFeatureMap in double precision:
# LargestClusterMaxDistSelectionMethod and MaxDistSelectionMethod in their default mode; for the others, both
# sets scaled to a mean square of 1 and posterior_tfm(sigma=0.1) of the labelled set, then
# MaxDetSelectionMethod and BaitFeatureSpaceSelectionMethod with noise_sigma=0.1. Keys: how many labelled, how
# many in the pool, and features.
REFERENCE: dict[tuple[int, int, int], dict[str, list[int]]] = {
    (5, 60, 2): {
        "lcmd": [47, 42, 6, 53, 39, 25, 55, 2, 44, 9, 59, 22],
        "farthest": [47, 42, 39, 36, 53, 44, 25, 32, 2, 43, 59, 9],
        "maxdet": [50, 35, 54, 9, 47, 24, 39, 30, 59, 42, 28, 32],
        "bait": [54, 9, 47, 35, 50, 24, 59, 39, 30, 42, 28, 32],
    },
    (12, 200, 4): {
        "lcmd": [196, 170, 139, 127, 131, 199, 42, 43, 100, 143, 193, 16],
        "farthest": [196, 170, 131, 139, 151, 127, 42, 43, 21, 182, 58, 122],
        "maxdet": [196, 131, 21, 114, 170, 43, 80, 127, 148, 139, 99, 4],
        "bait": [196, 131, 139, 170, 97, 43, 21, 114, 127, 148, 151, 80],
    },
    (40, 400, 6): {
        "lcmd": [251, 246, 367, 391, 15, 224, 319, 205, 247, 253, 236, 202],
        "farthest": [205, 379, 391, 319, 239, 251, 101, 210, 247, 268, 224, 222],
        "maxdet": [101, 374, 319, 30, 60, 103, 86, 239, 281, 391, 379, 210],
        "bait": [101, 374, 379, 319, 210, 60, 30, 239, 391, 281, 86, 120],
    },
    (2, 30, 1): {
        "lcmd": [21, 20, 23, 9, 1, 17, 8, 28, 4, 14, 18, 6],
        "farthest": [21, 25, 9, 23, 1, 16, 4, 27, 18, 6, 8, 26],
        "maxdet": [21, 16, 28, 23, 14, 2, 7, 12, 0, 5, 10, 18],
        "bait": [21, 16, 28, 23, 14, 2, 7, 12, 0, 5, 10, 18],
    },
}


def quasi_random(m: int, n: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    """Denser toward the origin, in two groups; no random numbers, which numpy may change."""
    roots = np.sqrt([2, 3, 5, 7, 11, 13][:d])
    both = (np.arange(1, m + n + 1)[:, None] * roots % 1.0) ** 3
    both[m + n // 2 :] += [1.0] + [0.0] * (d - 1)
    return both[:m], both[m:]


@pytest.mark.parametrize("name", DETERMINISTIC)
@pytest.mark.parametrize("sizes", REFERENCE)
def test_batches_are_those_of_the_reference_implementation(name: str, sizes: tuple[int, int, int]) -> None:
    assert chosen(BATCHES[name], *quasi_random(*sizes), 12) == REFERENCE[sizes][name]


# --- LCMD and farthest point by their own words ------------------------------------------------------------
def slow_lcmd(labelled: np.ndarray, pool: np.ndarray, size: int) -> list[int]:
    """Holzmüller et al. (2023), LCMD-TP: the selected set begins with the training points; every remaining
    point is assigned to its nearest selected one; of the clusters, the one with the largest sum of squared
    distances gives its farthest point. Features are standardised over all points first."""
    both = np.concatenate([labelled, pool]).astype(np.float32).astype(np.float64)
    both = (both - both.mean(axis=0)) / both.std(axis=0)
    selected, points = list(both[: len(labelled)]), both[len(labelled) :]
    remaining, found = set(range(len(points))), []
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
        found.append(new)
        remaining.remove(new)
        selected.append(points[new])
    return found


@given(seeds, st.integers(2, 5), st.integers(2, 25), st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_lcmd_is_what_the_paper_defines(seed: int, m: int, n: int, d: int) -> None:
    rng = np.random.default_rng(seed)
    labelled, pool = rng.normal(size=(m, d)), rng.normal(size=(n, d)) + rng.choice([0, 5], size=(n, 1))
    size = min(n, 8)
    assert lcmd(labelled, pool, size) == slow_lcmd(labelled, pool, size)


@given(seeds, st.integers(1, 12))
@settings(max_examples=20, deadline=None)
def test_a_pool_of_one_molecule_repeated_still_gives_different_indices(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    pool = np.repeat(rng.normal(size=(1, 3)), n, axis=0)
    for labelled in (rng.normal(size=(2, 3)), np.concatenate([pool[:1], pool[:1]])):
        assert sorted(lcmd(labelled, pool, n)) == list(range(n))


def test_the_farthest_point_is_an_outlier() -> None:
    pool = np.array([[1.0], [1.1], [1.2], [9.0], [-2.0], [4.0]])
    assert chosen(FarthestPoint, np.array([[0.0], [1.0]]), pool, 3) == [3, 5, 4]


# --- k-means++ ---------------------------------------------------------------------------------------------
def first_drawn(power: float, std: list[float]) -> np.ndarray:
    """How often each is drawn first, 1, 2 and 3 away from what is labelled."""
    labelled, pool = np.zeros((2, 1)), np.array([[1.0], [2.0], [3.0]])
    kind = KMeansPlusPlus(power)
    drawn = [chosen(kind, labelled, pool, 1, std=std, seed=seed)[0] for seed in range(3000)]
    return np.bincount(drawn, minlength=3) / 3000


@pytest.mark.parametrize(("power", "weights"), [(0.0, [1, 4, 9]), (1.0, [3, 8, 9]), (2.0, [9, 16, 9])])
def test_molecules_are_drawn_by_squared_distance_and_uncertainty(power: float, weights: list[int]) -> None:
    expected = np.array(weights) / sum(weights)
    assert first_drawn(power, [3.0, 2.0, 1.0]) == pytest.approx(expected, abs=0.03)


def test_without_any_uncertainty_distances_alone_count() -> None:
    assert first_drawn(1.0, [0.0, 0.0, 0.0]) == pytest.approx(np.array([1, 4, 9]) / 14, abs=0.03)


# --- clusters ----------------------------------------------------------------------------------------------
def test_the_most_uncertain_of_every_cluster_comes_before_the_second_of_any() -> None:
    rng = np.random.default_rng(0)
    pool = np.repeat([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]], 10, axis=0) + 0.01 * rng.normal(size=(30, 2))
    std = rng.permutation(np.linspace(0.1, 1.0, 30))
    tops = [10 * k + np.argsort(-std[10 * k : 10 * k + 10]) for k in range(3)]
    found = chosen(ClusterTop(clusters=3), np.zeros((2, 2)), pool, 6, std=std)
    for place in (0, 1):
        expected = sorted((int(top[place]) for top in tops), key=lambda i: -std[i])
        assert found[3 * place : 3 * place + 3] == expected


def test_one_cluster_is_the_top_of_all() -> None:
    rng = np.random.default_rng(0)
    pool, std = rng.normal(size=(20, 2)), rng.random(20)
    assert chosen(ClusterTop(1), pool[:2] + 1, pool, 5, std=std) == np.argsort(-std)[:5].tolist()


@given(st.lists(st.integers(0, 4), max_size=20))
def test_occurrences_counts_what_came_before(values: list[int]) -> None:
    expected = [values[:i].count(value) for i, value in enumerate(values)]
    assert _occurrences(np.array(values, dtype=np.int64)).tolist() == expected


# --- settings ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("kind", "given_settings", "sentence"),
    [
        (
            KMeansPlusPlus,
            {"power": -1},
            r"acquisition kmeans\+\+: power is -1; it must be a number at least 0",
        ),
        (ClusterTop, {"clusters": 0}, "acquisition cluster_top: clusters is 0; it must be a whole number"),
        (
            ClusterTop,
            {"clusters": 2.5},
            "acquisition cluster_top: clusters is 2.5; it must be a whole number",
        ),
    ],
)
def test_settings_that_cannot_be(kind: type, given_settings: dict, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        kind(**given_settings)
