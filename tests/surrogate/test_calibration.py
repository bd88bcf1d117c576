"""surrogate.calibration: synthetic ensembles whose true spread is known."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from surrogate import Calibration, SurrogateError


def covered(errors: np.ndarray, std: np.ndarray) -> float:
    """Share of errors inside the central 90 % of a normal distribution."""
    return float(np.mean(np.abs(errors) <= 1.6448536 * std))


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
    assert np.median(found(samples) / truth) == pytest.approx(1.0, abs=0.06)


@pytest.mark.parametrize("members", [2, 3, 5, 20])
@pytest.mark.parametrize("factor", [0.5, 3.0])
def test_coverage_of_new_molecules_is_near_ninety_percent(members: int, factor: float) -> None:
    errors, samples, _ = synthetic(400, members, factor=factor, seed=1)
    calibration = Calibration.fit(errors, samples)
    unseen, new, _ = synthetic(4000, members, factor=factor, seed=2)
    assert covered(unseen, calibration(new)) == pytest.approx(0.9, abs=0.035)
    if members == 2:  # without calibration it is far off, so the test can fail
        assert abs(covered(unseen, new.std(axis=0, ddof=1)) - 0.9) > 0.08


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
@settings(max_examples=10, deadline=None)
def test_the_unit_of_energy_does_not_matter(unit: float, members: int) -> None:
    errors, samples, _ = synthetic(60, members, factor=1.5)
    usual = Calibration.fit(errors, samples)(samples)
    other = Calibration.fit(unit * errors, unit * samples)(unit * samples)
    assert other == pytest.approx(unit * usual, rel=1e-2)


@given(
    arrays(np.float64, (12,), elements=st.floats(-50, 50)),
    arrays(np.float64, (2, 12), elements=st.floats(-200, 0)),
)
@settings(max_examples=30, deadline=None)
def test_no_standard_deviation_is_ever_zero_or_infinite(errors, samples) -> None:
    found = Calibration.fit(errors, samples)(samples)
    assert found.shape == (12,)
    assert np.isfinite(found).all()
    assert (found > 0).all()


def test_uncalibrated_is_the_sample_standard_deviation() -> None:
    samples = np.random.default_rng(0).normal(size=(4, 7))
    assert Calibration()(samples) == pytest.approx(samples.std(axis=0, ddof=1))


def heavy(n: int, *, seed: int, freedom: float = 4.0):
    """Errors with heavy tails, a spread that says nothing of them, and a distance that does."""
    rng = np.random.default_rng(seed)
    distances = np.exp(0.6 * rng.normal(size=n))
    samples = -70 + 0.1 * rng.normal(size=(5, n))
    return 0.2 * distances * rng.standard_t(freedom, size=n), samples, {"gp": distances}


def some(sources: dict[str, np.ndarray], part: slice) -> dict[str, np.ndarray]:
    return {name: values[part] for name, values in sources.items()}


def test_what_tells_of_errors_is_told_from_what_does_not() -> None:
    errors, samples, distances = heavy(2000, seed=0)
    found = Calibration.fit(errors, samples, distances)
    assert found.exponents["ensemble"] < 0.3
    assert found.exponents["gp"] == pytest.approx(1.0, abs=0.1)
    assert found.freedom in (3.0, 4.0, 6.0)
    with_both, spread_alone = found(samples, distances), Calibration.fit(errors, samples)(samples)
    sizes = np.abs(errors)
    assert np.corrcoef(np.log(with_both), np.log(distances["gp"]))[0, 1] > 0.95
    assert abs(np.corrcoef(spread_alone, sizes)[0, 1]) < 0.1 < np.corrcoef(with_both, sizes)[0, 1]


def test_the_mean_squared_error_is_what_the_standard_deviation_says() -> None:
    errors, samples, distances = heavy(300, seed=1)
    std = Calibration.fit(errors, samples, distances)(samples, distances)
    assert np.mean((errors / std) ** 2) == pytest.approx(1.0)


def test_one_member_has_the_distance_alone() -> None:
    errors, samples, distances = heavy(400, seed=2)
    found = Calibration.fit(errors, samples[:1], distances)
    assert np.corrcoef(np.log(found(samples[:1], distances)), np.log(distances["gp"]))[0, 1] > 0.999
    assert np.isnan(Calibration.fit(errors, samples[:1])(samples[:1])).all()


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9])
def test_conformal_intervals_cover_what_they_promise(level: float) -> None:
    """At least the level and at most 1/(n + 1) more, whatever the errors, where scores come from molecules
    that chose nothing; a little less where they have fitted the calibration too."""
    promised, usual = [], []
    for seed in range(150):
        errors, samples, sources = heavy(160, seed=seed, freedom=2.1)
        fitted, held_out, new = slice(40), slice(40, 80), slice(80, 160)
        found = Calibration.fit(errors[fitted], samples[:, fitted], some(sources, fitted))
        scores = np.abs(errors) / found(samples, sources)
        fair = dataclasses.replace(found, scores=tuple(np.sort(scores[held_out]).tolist()))
        promised.append(np.mean(scores[new] <= fair.quantile(level)))
        usual.append(np.mean(scores[new] <= found.quantile(level)))
    noise = 3 * np.std(promised) / np.sqrt(len(promised))
    assert level - noise < np.mean(promised) < level + 1 / 41 + noise
    assert level - 0.03 < np.mean(usual) < level + 0.03


def test_too_few_molecules_promise_nothing() -> None:
    errors, samples, distances = heavy(8, seed=0)
    found = Calibration.fit(errors, samples, distances)
    assert found.quantile(0.9) == np.inf
    assert found.quantile(0.8) == max(found.scores)
    for level in (0.0, 1.0, 90):
        with pytest.raises(SurrogateError, match=f"level of an interval is {level}"):
            found.quantile(level)
    assert Calibration().quantile(0.9) == pytest.approx(1.66, abs=0.01)


def test_the_distribution_is_that_of_the_errors() -> None:
    errors, samples, distances = heavy(3000, seed=3)
    found = Calibration.fit(errors, samples, distances)
    new, samples, distances = heavy(3000, seed=4)
    scores = np.abs(new) / found(samples, distances)
    for level in (0.1, 0.5, 0.9, 0.99):
        assert np.mean(found.probability(scores) <= level) == pytest.approx(level, abs=0.03)
        assert np.mean(scores <= found.quantile(level)) == pytest.approx(level, abs=0.03)


def test_the_fit_is_a_maximum_of_the_likelihood() -> None:
    """Analytic slopes against finite differences, through the optimum that they lead to."""
    from scipy.optimize import approx_fprime
    from scipy.stats import t as student

    from surrogate.calibration import _fit_tails

    errors, _, sources = heavy(200, seed=5)
    logs = np.log(sources["gp"])[None]
    value, found = _fit_tails(errors, logs, 4.0)

    def likelihood(parameters: np.ndarray) -> float:
        width = parameters[0] + parameters[1] * logs[0]
        prior = 4.0 * (parameters[1] - 1.0) ** 2 + 6.0 / 4.0
        return float((student.logpdf(errors * np.exp(-width), 4.0) - width).sum()) - prior

    assert value == pytest.approx(likelihood(found), rel=1e-6)
    assert np.abs(approx_fprime(found, likelihood, 1e-6)).max() < 0.2
