"""surrogate.metrics: against uncertainty-toolbox, and against what they must be by definition."""

import numpy as np
import pytest
import uncertainty_toolbox.metrics as oracle
from hypothesis import given, settings
from hypothesis import strategies as st
from uncertainty_toolbox.metrics_calibration import get_proportion_lists_vectorized

from surrogate import metrics


def made(seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    std = np.exp(0.5 * rng.normal(size=n))
    return rng.uniform(0.3, 3) * std * rng.standard_t(4, size=n), std


@given(st.integers(0, 10_000), st.integers(20, 400))
@settings(max_examples=25, deadline=None)
def test_metrics_are_those_of_uncertainty_toolbox(seed: int, n: int) -> None:
    errors, std = made(seed, n)
    theirs = (errors, std, np.zeros(n))  # predictions, deviations, truth
    assert metrics.sharpness(std) == pytest.approx(oracle.sharpness(std))
    assert metrics.negative_log_likelihood(errors, std) == pytest.approx(oracle.nll_gaussian(*theirs))
    area = oracle.miscalibration_area(*theirs, prop_type="interval")
    assert metrics.miscalibration_area(errors, std) == pytest.approx(area, abs=0.01)


def test_the_calibration_curve_is_that_of_uncertainty_toolbox() -> None:
    errors, std = made(1, 500)
    levels, shares = metrics.calibration_curve(errors, std)
    expected, seen = get_proportion_lists_vectorized(errors, std, np.zeros(500), prop_type="interval")
    np.testing.assert_allclose(np.interp(expected, levels, shares), seen, atol=0.01)


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0])
def test_ence_is_the_factor_that_all_are_off_by(factor: float) -> None:
    rng = np.random.default_rng(0)
    std = np.exp(rng.normal(size=50_000))
    found = metrics.ence(factor * std * rng.normal(size=len(std)), std)
    assert found == pytest.approx(abs(factor - 1), abs=0.02)


def test_ence_sees_what_averages_out_over_all() -> None:
    rng = np.random.default_rng(0)
    std = np.exp(rng.normal(size=20_000))
    errors = np.sqrt(np.mean(std**2)) * rng.normal(size=len(std))  # right on average, and the same everywhere
    assert metrics.ence(errors, std) > 0.5


def test_calibrated_uncertainties_have_no_area() -> None:
    rng = np.random.default_rng(0)
    std = np.exp(rng.normal(size=50_000))
    assert metrics.miscalibration_area(std * rng.normal(size=len(std)), std) < 0.005
    assert metrics.miscalibration_area(1e6 * std, std) == pytest.approx(0.5, abs=0.01)


def test_rejection_is_perfect_for_an_oracle_and_nothing_for_a_constant_order() -> None:
    errors, std = made(3, 3000)
    assert metrics.rejection_gain(errors, np.abs(errors)) == pytest.approx(1.0)
    assert metrics.rejection_gain(errors, np.random.default_rng(0).random(3000)) == pytest.approx(0, abs=0.06)
    assert metrics.rejection_gain(errors, -np.abs(errors)) < -0.5
    curve = metrics.rejection_curve(errors, std)
    assert curve[-1] == pytest.approx(np.abs(errors).mean())
    assert curve[0] == np.abs(errors[np.argmin(std)])
    assert metrics.rejection_gain(np.zeros(5), np.ones(5)) == 0.0


def test_equal_uncertainties_rank_nothing() -> None:
    assert metrics.rank_correlation(np.array([0.1, -0.2, 0.3]), np.ones(3)) == 0.0
    assert metrics.rank_correlation(np.array([0.1, -0.2, 0.3]), np.array([1.0, 2.0, 3.0])) == 1.0
