"""alkit.acquisition.bayesian: BoTorch over the pool, against numpy."""

import numpy as np
import pytest
import torch
from botorch.posteriors.ensemble import EnsemblePosterior
from hypothesis import given, settings
from hypothesis import strategies as st

from alkit.acquisition import Pool, RoundContext
from alkit.acquisition.bayesian import BoTorch
from alkit.acquisition.posterior import pool_model
from alkit.errors import ConfigError

seeds = st.integers(0, 2**31 - 1)


def make_pool(samples: np.ndarray) -> Pool:
    n = samples.shape[1]
    return Pool(("C",) * n, samples, samples.std(axis=0), np.zeros((n, 1), np.float32), np.ones(n))


def make_context(targets: list[float]) -> RoundContext:
    m = len(targets)
    return RoundContext(
        1, ("C",) * m, np.array(targets), np.zeros((m, 1), np.float32), np.random.default_rng(0)
    )


def random_samples(seed: int, *, members: int = 3, n: int = 12) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return -70 + rng.normal(size=n) + rng.random(n) * rng.normal(size=(members, n))


@given(seeds, st.integers(2, 6), st.integers(1, 10))
@settings(max_examples=30, deadline=None)
def test_the_posterior_has_the_mean_and_variance_of_numpy(seed: int, members: int, n: int) -> None:
    samples = random_samples(seed, members=members, n=n)
    posterior = make_pool(samples).posterior()
    assert isinstance(posterior, EnsemblePosterior)
    assert posterior.mean.squeeze(-1).numpy() == pytest.approx(samples.mean(axis=0))
    assert posterior.variance.squeeze(-1).numpy() == pytest.approx(samples.var(axis=0, ddof=1))


@given(seeds)
@settings(max_examples=20, deadline=None)
def test_inputs_are_indices_and_batches_have_botorchs_shapes(seed: int) -> None:
    samples = random_samples(seed)
    model, choices = pool_model(-samples)
    assert choices.squeeze(-1).tolist() == list(range(12))
    picks = torch.randint(12, (4, 2, 1)).double()
    values = model(picks)
    assert values.shape == (4, 3, 2, 1)
    for b in range(4):
        for q in range(2):
            expected = -samples[:, int(picks[b, q, 0])]
            assert values[b, :, q, 0].numpy() == pytest.approx(expected)


@given(seeds)
@settings(max_examples=25, deadline=None)
def test_the_first_choice_is_the_most_uncertain_molecule(seed: int) -> None:
    # The pattern of the members is the same for all, so BoTorch's mean absolute deviation and the standard
    # deviation put the molecules in the same order.
    rng = np.random.default_rng(seed)
    spread = rng.permutation(np.linspace(0.1, 1.0, 12))
    samples = rng.normal(size=12) + spread * np.array([[1.0], [-0.2], [-0.8]])
    chosen = BoTorch().select(make_pool(samples), make_context([0.0]), 4)
    assert chosen[0] == int(samples.std(axis=0).argmax())


def test_a_batch_does_not_ask_the_same_question_twice() -> None:
    # 0 and 1 err together; 2 errs a little less, in another direction.
    samples = np.array([[1.0, 1.0, -0.9, 0.0], [-1.0, -1.0, -0.9, 0.0], [0.0, 0.0, 1.8, 0.1]])
    chosen = BoTorch().select(make_pool(samples), make_context([0.0]), 2)
    assert set(chosen) in ({0, 2}, {1, 2})


@pytest.mark.parametrize("function", ["qLogExpectedImprovement", "qUpperConfidenceBound"])
@given(seed=seeds)
@settings(max_examples=15, deadline=None)
def test_minimise_looks_for_low_energies_and_its_opposite_for_high_ones(function: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    means = rng.permutation(np.linspace(-5.0, 5.0, 10))
    samples = means + np.array([[0.1], [-0.1]])
    pool, context = make_pool(samples), make_context([0.0, 0.2])
    low = BoTorch(function).select(pool, context, 1)
    high = BoTorch(function, minimise=False).select(pool, context, 1)
    assert low == [int(means.argmin())]
    assert high == [int(means.argmax())]


def test_beta_weighs_uncertainty_against_the_mean() -> None:
    samples = np.array([[0.0, 1.5], [0.0, -0.5]])  # certain and low; uncertain and higher
    pool, context = make_pool(samples), make_context([0.0])
    assert BoTorch("qUpperConfidenceBound", beta=0.01).select(pool, context, 1) == [0]
    assert BoTorch("qUpperConfidenceBound", beta=10.0).select(pool, context, 1) == [1]


@given(seeds, st.sampled_from(["qPosteriorStandardDeviation", "qLogExpectedImprovement"]))
@settings(max_examples=10, deadline=None)
def test_choices_are_repeatable_and_leave_the_global_state(seed: int, function: str) -> None:
    pool, context = make_pool(random_samples(seed)), make_context([-71.0, -70.0])
    before = torch.get_rng_state()
    first = BoTorch(function).select(pool, context, 4)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(seed)
    assert BoTorch(function).select(pool, context, 4) == first
    assert len(set(first)) == 4


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"function": "qEI"}, "there is no function 'qEI'; one of qPosteriorStandardDeviation, qUpper"),
        ({"beta": 0}, "beta is 0; it must be above 0"),
        ({"beta": -1.0}, "beta is -1.0; it must be above 0"),
    ],
)
def test_settings_that_cannot_be(given: dict, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        BoTorch(**given)
