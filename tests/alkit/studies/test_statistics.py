"""alkit.studies.statistics against scipy, scikit-learn and what must hold of any numbers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ttest_1samp
from sklearn import metrics

from alkit.studies.statistics import mean_interval, paired_bootstrap, regression_metrics


@given(st.integers(3, 60), st.integers(0, 2**31 - 1))
@settings(max_examples=40, deadline=None)
def test_errors_are_those_of_scikit_learn(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.normal(-76, 10, n)
    predicted = truth + rng.normal(0.1, 0.3, n)
    found = regression_metrics(truth, predicted)
    assert found["mae"] == pytest.approx(metrics.mean_absolute_error(truth, predicted))
    assert found["mse"] == pytest.approx(metrics.mean_squared_error(truth, predicted))
    assert found["rmse"] == pytest.approx(metrics.root_mean_squared_error(truth, predicted))
    assert found["r2"] == pytest.approx(metrics.r2_score(truth, predicted))
    slope, intercept = np.polyfit(truth, predicted, 1)
    assert found["slope"] == pytest.approx(slope)
    assert found["intercept"] == pytest.approx(intercept, abs=1e-6)


@given(st.floats(-2, 2), st.floats(0.1, 3))
@settings(max_examples=20, deadline=None)
def test_a_line_is_found(intercept: float, slope: float) -> None:
    truth = np.linspace(-90, -50, 20)
    found = regression_metrics(truth, intercept + slope * truth)
    assert found["slope"] == pytest.approx(slope)
    assert found["intercept"] == pytest.approx(intercept, abs=1e-6)


@given(st.integers(1, 4), st.integers(5, 40), st.integers(0, 2**31 - 1))
@settings(max_examples=15, deadline=None)
def test_swapping_the_arms_swaps_the_sign(seeds: int, n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = rng.exponential(0.2, (2, seeds, n))
    one = paired_bootstrap(first, second, rng=np.random.default_rng(1), resamples=100)
    other = paired_bootstrap(second, first, rng=np.random.default_rng(1), resamples=100)
    assert one.mean == pytest.approx(-other.mean)
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))
    assert one.low <= one.high
    same = paired_bootstrap(first, first, rng=rng, resamples=20)
    assert (same.mean, same.low, same.high, same.clear) == (0, 0, 0, False)


def test_with_one_seed_it_is_the_interval_of_a_mean() -> None:
    rng = np.random.default_rng(0)
    first = rng.exponential(0.2, (1, 2000))
    second = first - rng.normal(0.01, 0.1, first.shape)
    found = paired_bootstrap(first, second, rng=rng)
    expected = ttest_1samp((first - second)[0], 0).confidence_interval()
    assert (found.low, found.high) == pytest.approx(tuple(expected), abs=1e-3)
    assert found.clear


def test_seeds_that_disagree_widen_the_interval() -> None:
    agreed = np.full((3, 500), 0.1)
    split = agreed + np.array([[-0.3], [0.0], [0.3]])
    zero = np.zeros_like(agreed)
    assert paired_bootstrap(agreed, zero, rng=np.random.default_rng(0)).clear
    assert not paired_bootstrap(split, zero, rng=np.random.default_rng(0)).clear


@pytest.mark.parametrize(("seeds", "of_seeds"), [(3, 1.0), (3, 0.1), (5, 1.0)])
def test_arms_that_are_alike_are_seldom_called_apart(seeds: int, of_seeds: float) -> None:
    """95 % intervals leave out the truth in about 5 % of studies, however few the seeds."""
    rng, studies, n = np.random.default_rng(1), 300, 60
    wrong = 0
    for _ in range(studies):
        difference = rng.normal(0, of_seeds, (seeds, 1)) + rng.normal(0, 1.0, (1, n))
        wrong += paired_bootstrap(difference, np.zeros((seeds, n)), rng=rng, resamples=300).clear
    assert wrong / studies < 0.085  # 5 % and nearly three standard errors


def test_spread() -> None:
    assert mean_interval([1.0, 3.0]) == (2.0, pytest.approx(np.sqrt(2)))
    assert np.isnan(mean_interval([1.0])[1])
