"""alkit.acquisition.botorch: BoTorch over the pool, against numpy."""

import numpy as np
import pytest
import torch
from botorch.posteriors.ensemble import EnsemblePosterior
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from alkit.acquisition import Pool, RoundContext
from alkit.acquisition.botorch import _FUNCTIONS, BoTorch, _preselect
from alkit.acquisition.gaussian_process import Conditioned, fit_gaussian_process, project
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


# --- a Gaussian process on the embeddings ------------------------------------------------------------------
GP_FUNCTIONS = [*_FUNCTIONS, "botorch.acquisition.monte_carlo:qSimpleRegret"]


def molecules(seed: int, *, n: int = 40, m: int = 30) -> tuple[Pool, RoundContext]:
    """A pool and labels that are a smooth function of the embeddings, eV."""
    rng = np.random.default_rng(seed)
    embeddings = rng.normal(size=(n + m, 3)).astype(np.float32)
    energies = (-70 + 2 * embeddings[:, 0] + np.sin(embeddings[:, 1])).astype(np.float64)
    samples = energies[:n] + 0.1 * rng.normal(size=(3, n))
    pool = Pool(("C",) * n, samples, samples.std(axis=0), embeddings[:n], np.ones(n))
    return pool, RoundContext(1, ("C",) * m, energies[n:], embeddings[n:], np.random.default_rng(seed))


def process(pool: Pool, context: RoundContext) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of the pool, eV, by the same draws that `BoTorch.select` makes."""
    rng = np.random.default_rng(context.round - 1)
    rng.integers(2**31)
    known, X = project(context.embeddings, pool.embeddings, rng)
    mean, covariance = Conditioned(
        fit_gaussian_process(known, -torch.from_numpy(context.targets)[:, None], rng)
    ).joint(X)
    return -mean.numpy(), covariance.diagonal().sqrt().numpy()


@pytest.mark.parametrize("function", GP_FUNCTIONS)
def test_a_process_chooses_repeatably_and_leaves_the_global_states(function: str) -> None:
    before, legacy = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first = BoTorch(function, model="gp").select(*molecules(0), 6)
    assert torch.equal(torch.get_rng_state(), before)
    assert (np.random.get_state()[1] == legacy).all()  # noqa: NPY002
    torch.manual_seed(1)
    assert BoTorch(function, model="gp").select(*molecules(0), 6) == first
    assert len(set(first)) == 6


def test_the_most_uncertain_molecule_of_the_process_comes_first() -> None:
    pool, context = molecules(0)
    _, std = process(pool, context)
    assert BoTorch(model="gp").select(pool, context, 1) == [int(std.argmax())]


@pytest.mark.parametrize(
    "function", ["qLogExpectedImprovement", "botorch.acquisition.logei:qLogExpectedImprovement"]
)
def test_expected_improvement_of_the_process_is_the_analytic_one(function: str) -> None:
    pool, context = molecules(0)
    mean, std = process(pool, context)
    z = (context.best - mean) / std
    analytic = std * (norm.pdf(z) + z * norm.cdf(z))
    (chosen,) = BoTorch(function, model="gp", samples=512).select(pool, context, 1)
    assert analytic[chosen] > 0.9 * analytic.max()


@pytest.mark.parametrize("function", [name for name in _FUNCTIONS if "Improvement" in name or "Max" in name])
def test_minimise_looks_for_either_end_of_the_process(function: str) -> None:
    pool, context = molecules(2)
    low, high = (
        pool.mean[BoTorch(function, model="gp", minimise=m).select(pool, context, 3)] for m in (True, False)
    )
    assert low.mean() < pool.mean.mean() < high.mean()


# --- a part of a large pool --------------------------------------------------------------------------------
def test_the_part_holds_the_best_the_most_uncertain_and_some_others() -> None:
    rng = np.random.default_rng(0)
    mean, std = rng.normal(size=(2, 300))
    std = np.abs(std)
    part = _preselect(mean, std, 90, np.random.default_rng(1))
    assert len(set(part.tolist())) == 90
    assert set(np.argsort(-std)[:30]) <= set(part)
    assert set(np.argsort(-(mean + 2 * std))[:30]) <= set(part)
    assert _preselect(mean, std, 300, rng).tolist() == list(range(300))


@pytest.mark.parametrize("model", ["ensemble", "gp"])
def test_a_part_of_the_pool_gives_indices_of_the_pool(model: str) -> None:
    pool, context = molecules(0, n=200)
    chosen = BoTorch("qUpperConfidenceBound", model=model, candidates=20).select(pool, context, 4)
    assert len(set(chosen)) == 4
    low = np.quantile(pool.mean, 0.1)
    assert pool.mean[chosen[0]] < low
    if model == "ensemble":  # to a process of 30 labels, all that is left then looks the same
        assert pool.mean[chosen].mean() < low


# --- settings ----------------------------------------------------------------------------------------------
def test_a_class_by_its_path_is_given_its_arguments() -> None:
    path = "botorch.acquisition.monte_carlo:qProbabilityOfImprovement"
    pool, context = make_pool(random_samples(0)), make_context([-70.0])
    chosen = BoTorch(path, arguments={"tau": 1e-2, "best_f": 69.5}).select(pool, context, 3)
    assert len(set(chosen)) == 3


def test_only_the_ensemble_needs_members() -> None:
    assert BoTorch().needs == ("members",)
    assert BoTorch(model="gp").needs == ()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"function": "qEI"}, "there is no function 'qEI'; one of qPosteriorStandardDeviation, qNeg"),
        ({"function": "nowhere.at.all:qEI"}, "nowhere.at.all:qEI cannot be imported: ModuleNotFoundError"),
        ({"function": "botorch.acquisition:qEEI"}, "botorch.acquisition:qEEI is not a BoTorch acquisition"),
        ({"function": "math:sqrt"}, "math:sqrt is not a BoTorch acquisition class"),
        ({"function": "botorch.acquisition:LogExpectedImprovement"}, "takes no pending points"),
        (
            {"function": "botorch.acquisition:qKnowledgeGradient", "model": "gp"},
            "is optimised in one shot, which a choice from a pool cannot do",
        ),
        ({"function": "qMaxValueEntropy"}, "qMaxValueEntropy needs model: gp, .* 'candidate_set'"),
        ({"function": "qNegIntegratedPosteriorVariance"}, "needs model: gp, .* 'mc_points'"),
        ({"function": "qLogNoisyExpectedImprovement"}, "needs model: gp, .* 'X_baseline'"),
        (
            {"function": "botorch.acquisition.joint_entropy_search:qJointEntropySearch", "model": "gp"},
            "needs the argument 'optimal_inputs', which alkit cannot fill; give it under arguments",
        ),
        (
            {"arguments": {"etta": 1}, "function": "qLogExpectedImprovement"},
            "no argument 'etta'; the nearest",
        ),
        ({"arguments": {"model": 1}}, "the argument 'model' is alkit's to give"),
        ({"arguments": [1]}, r"arguments is \[1\]; a mapping is expected"),
        ({"model": "rf"}, "model is 'rf'; it must be 'ensemble' or 'gp'"),
        ({"minimise": "no"}, "minimise is 'no'; it must be true or false"),
        ({"beta": 0}, "beta is 0; it must be a number above 0"),
        ({"beta": -1.0}, "beta is -1.0; it must be a number above 0"),
        ({"beta": float("nan")}, "beta is nan; it must be a number above 0"),
        ({"beta": "2"}, "beta is '2'; it must be a number above 0"),
        ({"candidates": 0}, "candidates is 0; it must be a whole number, at least 1"),
        ({"points": 1.5}, "points is 1.5; it must be a whole number, at least 1"),
        ({"samples": True}, "samples is True; it must be a whole number, at least 1"),
    ],
)
def test_settings_that_cannot_be(given: dict, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        BoTorch(**given)
