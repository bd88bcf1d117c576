"""alkit.acquisition.bias against regressions that are fitted again."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.linear_model import Ridge

from alkit.acquisition import Pool, RoundContext, resolve, select
from alkit.acquisition.base import needs, on_soap
from alkit.acquisition.bias import RIDGE, ErrorReduction, best_ridge
from alkit.acquisition.linear_model import regression
from alkit.errors import ConfigError

RNG = np.random.default_rng(0)
KNOWN, POINTS = RNG.normal(size=(12, 5)), RNG.normal(size=(40, 5))
WEIGHTS, OTHER = RNG.normal(size=(2, 5))


def xtb_energy(points: np.ndarray) -> np.ndarray:
    return points @ WEIGHTS + 0.3 * np.sin(3 * points[:, 0]) - 70.0


def labels(points: np.ndarray) -> np.ndarray:
    """The xTB energies and what is linear, so that a regression learns the difference."""
    return xtb_energy(points) + points @ OTHER + 3.0


def pool_and_context(points: np.ndarray = POINTS) -> tuple[Pool, RoundContext]:
    n = len(points)
    predicted = labels(points) + 0.5 * np.cos(5 * points[:, 1])
    pool = Pool(
        tuple("C" * (k + 1) for k in range(n)),
        predicted + np.array([[0.1], [-0.1]]),
        np.ones(n),
        points.astype(np.float32),
        np.ones(n),
        xtb_energy(points),
    )
    context = RoundContext(
        1,
        tuple("N" * (k + 1) for k in range(len(KNOWN))),
        labels(KNOWN),
        KNOWN.astype(np.float32),
        np.random.default_rng(0),
        xtb_energy(KNOWN),
    )
    return pool, context


def scaled(points: np.ndarray) -> np.ndarray:
    """As `regression` does."""
    centre = KNOWN.mean(axis=0)
    found: np.ndarray = (points - centre) / np.sqrt(((KNOWN - centre) ** 2).sum(axis=1).mean())
    return found


def covariance(taken: list[int]) -> np.ndarray:
    """``(n, n)`` of the points' values, given the known points and those ``taken``."""
    inputs, points = scaled(np.concatenate([KNOWN, POINTS[taken]])), scaled(POINTS)
    found: np.ndarray = points @ np.linalg.inv(np.eye(5) + inputs.T @ inputs / RIDGE) @ points.T
    return found


def test_the_regression_is_that_of_scikit_learn() -> None:
    mean, posterior = regression(KNOWN, xtb_energy(KNOWN), POINTS, RIDGE)
    offset = xtb_energy(KNOWN).mean()
    model = Ridge(alpha=RIDGE, fit_intercept=False).fit(scaled(KNOWN), xtb_energy(KNOWN) - offset)
    np.testing.assert_allclose(mean, offset + model.predict(scaled(POINTS)), atol=1e-8)
    np.testing.assert_allclose(posterior.variances, np.diagonal(covariance([])), rtol=1e-5)


@pytest.mark.parametrize("power", [2.0, 3.0, 4.0])
def test_gains_are_what_a_value_takes_from_the_sum(power: float) -> None:
    """Before any choice and after some, by the errors and variances of all points, computed in full."""
    _, posterior = regression(KNOWN, xtb_energy(KNOWN), POINTS, RIDGE)
    errors = np.sin(7 * POINTS[:, 2]) + 0.3
    known = ErrorReduction(posterior, errors, power)
    start = np.diagonal(covariance([]))
    prior = (errors**2).mean() / start.mean()
    weights = (errors**2 + prior * start) ** (power / 2 - 1)
    weights /= weights.mean()

    def total(errors: np.ndarray, taken: list[int]) -> float:
        return float((weights * (errors**2 + prior * np.diagonal(covariance(taken)))).sum())

    def answer(errors: np.ndarray, taken: list[int], index: int) -> np.ndarray:
        shared = covariance(taken)[:, index]
        return errors - shared * errors[index] / (shared[index] + RIDGE)

    taken: list[int] = []
    for chosen in (3, 17, 5):
        expected = [
            total(errors, taken) - total(answer(errors, taken, i), [*taken, i]) for i in range(len(POINTS))
        ]
        np.testing.assert_allclose(known.gains(), expected, rtol=1e-3, atol=1e-5)
        errors = answer(errors, taken, chosen)
        known.learn(chosen)
        taken.append(chosen)
        np.testing.assert_allclose(known.errors, errors, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("power", [2.0, 3.0])
def test_gains_over_a_target_are_what_a_value_takes_from_its_sum(power: float) -> None:
    _, posterior = regression(KNOWN, xtb_energy(KNOWN), POINTS, RIDGE)
    errors, over = np.sin(7 * POINTS[:, 2]) + 0.3, np.array([30, 4, 12, 39])
    known = ErrorReduction(posterior, errors, power, over)
    start = np.diagonal(covariance([]))[over]
    prior = (errors[over] ** 2).mean() / start.mean()
    weights = (errors[over] ** 2 + prior * start) ** (power / 2 - 1)
    weights /= weights.mean()

    def total(errors: np.ndarray, taken: list[int]) -> float:
        variances = np.diagonal(covariance(taken))[over]
        return float((weights * (errors[over] ** 2 + prior * variances)).sum())

    taken: list[int] = []
    for chosen in (3, 30, 5):
        expected = []
        for i in range(len(POINTS)):
            shared = covariance(taken)[:, i]
            after = errors - shared * errors[i] / (shared[i] + RIDGE)
            expected.append(total(errors, taken) - total(after, [*taken, i]))
        np.testing.assert_allclose(known.gains(), expected, rtol=1e-3, atol=1e-5)
        shared = covariance(taken)[:, chosen]
        errors = errors - shared * errors[chosen] / (shared[chosen] + RIDGE)
        known.learn(chosen)
        taken.append(chosen)


def test_a_target_outside_the_pool_counts_and_is_not_taken() -> None:
    pool, context = pool_and_context()
    target = replace(pool[:6], smiles=tuple(f"O{'C' * k}" for k in range(6)))
    aimed = replace(context, target=target)
    chosen = select(resolve("bias"), "bias", pool, aimed, 5)
    assert sorted(set(chosen)) == sorted(chosen)
    inside = select(resolve("bias"), "bias", pool, replace(context, target=pool[:6]), 5)
    assert chosen == inside  # the same molecules, whether they may be acquired or not
    assert chosen != select(resolve("bias"), "bias", pool, context, 5)
    scores = resolve("bias").score(pool, aimed)
    assert int(np.argmax(scores)) == chosen[0]


def test_the_errors_are_those_of_the_surrogate() -> None:
    """What xTB energies and a regression of the difference say, less what the surrogate says."""
    pool, context = pool_and_context()
    wrong = 0.5 * np.cos(5 * POINTS[:, 1])
    _, posterior = regression(KNOWN, xtb_energy(KNOWN), POINTS, RIDGE)
    ridge = best_ridge(posterior.points, -wrong)
    _, posterior = regression(KNOWN, xtb_energy(KNOWN), POINTS, ridge)
    expected = ErrorReduction(posterior, -wrong, 2.0).gains().argmax()
    assert select(resolve("bias", {"power": 2}), "bias", pool, context, 1) == [int(expected)]


def test_the_ridge_is_the_likeliest_one() -> None:
    """Against the density of a normal distribution, its scale found by the eye of a grid."""
    _, posterior = regression(KNOWN, xtb_energy(KNOWN), POINTS, RIDGE)
    points, draw = posterior.points, np.random.default_rng(1)
    for noise in (0.0, 0.3, 3.0):
        errors = points @ draw.normal(size=5) + draw.normal(0, noise, len(points))

        def density(ridge: float, errors: np.ndarray = errors) -> float:
            shape = points @ points.T + ridge * np.eye(len(points))
            scales = np.geomspace(1e-6, 1e6, 400)
            return max(multivariate_normal.logpdf(errors, cov=scale * shape) for scale in scales)

        ridges = [10.0 ** (k / 2) for k in range(-8, 1)]
        assert best_ridge(points, errors) == pytest.approx(max(ridges, key=density))
    assert best_ridge(points, np.zeros(len(points))) == RIDGE


def test_repeats_come_last() -> None:
    pool, context = pool_and_context(np.concatenate([POINTS[:3], POINTS[:3], KNOWN[:1]]))
    chosen = select(resolve("bias"), "bias", pool, context, 6)
    assert {k % 3 for k in chosen[:3]} == {0, 1, 2}


def test_a_wild_prediction_does_not_decide_the_batch() -> None:
    """However wild it is: it counts no more than what is far beyond all others."""
    pool, context = pool_and_context()
    batches = []
    for wild in (100.0, 1e4, 1e150):
        samples = pool.samples.copy()
        samples[:, 7] += wild
        batches.append(select(resolve("bias"), "bias", replace(pool, samples=samples), context, 10))
    assert batches[0] == batches[1] == batches[2]
    assert 7 in batches[0]


@pytest.mark.parametrize("power", [2.0, 3.0, 400.0])
def test_without_errors_the_variance_decides(power: float) -> None:
    _, posterior = regression(KNOWN, xtb_energy(KNOWN), POINTS, RIDGE)
    gains = ErrorReduction(posterior, np.zeros(len(POINTS)), power).gains()
    assert np.isfinite(gains).all()
    assert (gains > 0).all()


def test_of_a_large_pool_a_part_is_seen() -> None:
    pool, context = pool_and_context()
    chosen = select(resolve("bias", {"candidates": 10}), "bias", pool, context, 3)
    part = np.sort(np.random.default_rng(0).choice(len(POINTS), 12, replace=False))
    smaller, context = pool_and_context(POINTS[part])
    assert chosen == part[select(resolve("bias"), "bias", smaller, context, 3)].tolist()


@pytest.mark.parametrize("power", [1.9, "much", True, float("nan")])
def test_a_power_that_cannot_be(power: object) -> None:
    with pytest.raises(ConfigError, match="power"):
        resolve("bias", {"power": power})


def test_it_needs_xtb_energies_and_features_that_stay() -> None:
    assert needs(resolve("bias")) == {"xtb_energy", "soap"}
    assert on_soap(resolve("bias"), None)
    assert not on_soap(resolve("bias"), "embeddings")
    assert on_soap(resolve("lcmd"), "soap")
    assert not on_soap(resolve("lcmd"), None)
