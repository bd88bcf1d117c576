"""surrogate.calibration: synthetic ensembles whose true spread is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from surrogate import Calibration
from surrogate.calibration import coverage_90


def synthetic(n: int, members: int, *, factor: float, seed: int = 0, spread: float = 0.5):
    """Errors ``(n,)``, predictions ``(s, n)`` and the errors' true deviations, ``factor`` times theirs."""
    rng = np.random.default_rng(seed)
    sigma = 0.1 * np.exp(spread * rng.normal(size=n))
    samples = -70.0 + sigma * rng.normal(size=(members, n))
    return factor * sigma * rng.normal(size=n), samples, factor * sigma


@pytest.mark.parametrize("factor", [0.2, 1.0, 5.0, 40.0])
def test_the_scale_is_recovered_when_the_spread_is_well_known(factor: float) -> None:
    errors, samples, truth = synthetic(3000, 60, factor=factor)
    found = Calibration.fit(errors, samples)
    assert found.scale == pytest.approx(factor, rel=0.06)
    assert np.median(found(samples) / truth) == pytest.approx(1.0, abs=0.06)


@pytest.mark.parametrize("members", [2, 3, 5, 20])
@pytest.mark.parametrize("factor", [0.5, 3.0])
def test_coverage_of_new_molecules_is_near_ninety_percent(members: int, factor: float) -> None:
    errors, samples, _ = synthetic(400, members, factor=factor, seed=1)
    calibration = Calibration.fit(errors, samples)
    unseen, new, _ = synthetic(4000, members, factor=factor, seed=2)
    assert coverage_90(unseen, calibration(new)) == pytest.approx(0.9, abs=0.035)
    if members == 2:  # without calibration it is far off, so the test can fail
        assert abs(coverage_90(unseen, new.std(axis=0, ddof=1)) - 0.9) > 0.08


def test_two_members_that_agree_by_chance_are_not_believed() -> None:
    errors, samples, _ = synthetic(200, 2, factor=1.0, spread=0.0)
    calibration = Calibration.fit(errors, samples)
    agreeing = calibration(np.array([[-70.0], [-70.0]]))
    assert agreeing[0] > 0.03  # the true value is 0.1 eV
    assert (calibration(samples) < 10 * 0.1).all()


def test_molecules_that_are_uncertain_stay_more_uncertain() -> None:
    errors, samples, _ = synthetic(300, 3, factor=2.0)
    calibration = Calibration.fit(errors, samples)
    raw = samples.std(axis=0, ddof=1)
    np.testing.assert_array_equal(np.argsort(calibration(samples)), np.argsort(raw))


@given(st.floats(0.01, 100.0), st.integers(2, 5))
@settings(max_examples=25, deadline=None)
def test_the_unit_of_energy_does_not_matter(unit: float, members: int) -> None:
    errors, samples, _ = synthetic(60, members, factor=1.5)
    usual = Calibration.fit(errors, samples)(samples)
    other = Calibration.fit(unit * errors, unit * samples)(unit * samples)
    assert other == pytest.approx(unit * usual, rel=1e-2)


@given(
    arrays(np.float64, (12,), elements=st.floats(-50, 50)),
    arrays(np.float64, (2, 12), elements=st.floats(-200, 0)),
)
@settings(max_examples=80, deadline=None)
def test_no_standard_deviation_is_ever_zero_or_infinite(errors, samples) -> None:
    found = Calibration.fit(errors, samples)(samples)
    assert found.shape == (12,)
    assert np.isfinite(found).all()
    assert (found > 0).all()


def test_uncalibrated_is_the_sample_standard_deviation() -> None:
    samples = np.random.default_rng(0).normal(size=(4, 7))
    assert Calibration()(samples) == pytest.approx(samples.std(axis=0, ddof=1))


def test_coverage_counts_errors_inside_the_interval() -> None:
    std = np.full(4, 2.0)
    assert coverage_90(np.array([0.0, 3.2, -3.2, 3.4]), std) == 0.75  # 1.645 * 2 = 3.29
    errors = np.random.default_rng(0).normal(size=20_000)
    assert coverage_90(errors, np.ones(20_000)) == pytest.approx(0.9, abs=0.01)
