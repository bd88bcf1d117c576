"""alkit.acquisition.bias against regressions that are fitted anew."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from alkit.acquisition import Pool, RoundContext, resolve, select
from alkit.acquisition.bias import _RIDGE, Bias, Regression
from alkit.errors import ConfigError

RNG = np.random.default_rng(0)
KNOWN, POINTS = RNG.normal(size=(12, 5)), RNG.normal(size=(40, 5))
WEIGHTS = RNG.normal(size=5)


def cheap(points: np.ndarray) -> np.ndarray:
    return points @ WEIGHTS + 0.3 * np.sin(3 * points[:, 0]) - 70.0


def pool_and_context() -> tuple[Pool, RoundContext]:
    n = len(POINTS)
    pool = Pool(
        tuple("C" * (k + 1) for k in range(n)),
        np.zeros((2, n)),
        np.ones(n),
        POINTS.astype(np.float32),
        np.ones(n),
        cheap(POINTS),
    )
    context = RoundContext(
        1,
        tuple("N" * (k + 1) for k in range(len(KNOWN))),
        np.zeros(len(KNOWN)),
        KNOWN.astype(np.float32),
        np.random.default_rng(0),
        cheap(KNOWN),
    )
    return pool, context


def sklearn_errors(taken: list[int]) -> np.ndarray:
    """Of a ridge regression of everything that is known, in the features as `Regression` scales them."""
    centre = KNOWN.mean(axis=0)
    scale = np.sqrt(((KNOWN - centre) ** 2).sum(axis=1).mean())
    known = np.concatenate([KNOWN, POINTS[taken]])
    offset = cheap(KNOWN).mean()
    model = Ridge(alpha=_RIDGE, fit_intercept=False).fit((known - centre) / scale, cheap(known) - offset)
    errors: np.ndarray = cheap(POINTS) - offset - model.predict((POINTS - centre) / scale)
    return errors


def test_each_choice_has_the_largest_error_of_a_regression_that_knows_those_before() -> None:
    pool, context = pool_and_context()
    chosen = select(resolve("bias"), "bias", pool, context, 6)
    for k, index in enumerate(chosen):
        errors = np.abs(sklearn_errors(chosen[:k]))
        errors[chosen[:k]] = -1
        assert index == int(errors.argmax())


def test_variance_is_the_one_of_a_bayesian_regression() -> None:
    regression = Regression(KNOWN, cheap(KNOWN), POINTS)
    centre = KNOWN.mean(axis=0)
    scale = np.sqrt(((KNOWN - centre) ** 2).sum(axis=1).mean())
    known, points = (KNOWN - centre) / scale, (POINTS - centre) / scale

    def exact(inputs: np.ndarray) -> np.ndarray:
        covariance = np.linalg.inv(np.eye(5) + inputs.T @ inputs / _RIDGE)
        return np.einsum("ij,jk,ik->i", points, covariance, points)

    np.testing.assert_allclose(regression.variance, exact(known), rtol=1e-5)
    regression.learn(7)
    np.testing.assert_allclose(regression.variance, exact(np.vstack([known, points[7]])), rtol=1e-4)


def test_without_errors_the_variance_alone_decides() -> None:
    pool, context = pool_and_context()
    chosen = select(resolve("bias", {"beta": 0.0}), "bias", pool, context, 1)
    assert chosen == [int(Regression(KNOWN, cheap(KNOWN), POINTS).variance.argmax())]


@pytest.mark.parametrize("beta", [-0.1, 1.1, "much", True, float("nan")])
def test_a_beta_that_cannot_be(beta: object) -> None:
    with pytest.raises(ConfigError, match="beta"):
        resolve("bias", {"beta": beta})


def test_it_needs_cheap_energies() -> None:
    assert Bias.needs == ("cheap",)
