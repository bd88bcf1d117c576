"""alkit.acquisition.gaussian_process and PoolGP: against GPyTorch, BoTorch and explicit matrices."""

import numpy as np
import pytest
import torch
from botorch.acquisition import LogExpectedImprovement
from botorch.acquisition.active_learning import qNegIntegratedPosteriorVariance
from botorch.optim import optimize_acqf_discrete
from botorch.sampling import SobolQMCNormalSampler
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from alkit.acquisition.gaussian_process import Conditioned, exactly, extended, fit_gaussian_process, project
from alkit.acquisition.posterior import IntegratedVariance, PoolGP

seeds = st.integers(0, 2**31 - 1)


def problem(seed: int, *, m: int = 25, n: int = 15, d: int = 4) -> tuple[Tensor, Tensor, Tensor]:
    """Projected embeddings of labelled and pool molecules, and labels in eV."""
    rng = np.random.default_rng(seed)
    embeddings = rng.normal(size=(m + n, d)).astype(np.float32)
    targets = -70 + 3 * embeddings[:m, 0] + np.sin(2 * embeddings[:m, 1]) + 0.05 * rng.normal(size=m)
    known, X = project(embeddings[:m], embeddings[m:], rng)
    return known, X, torch.from_numpy(targets.astype(np.float64)).unsqueeze(-1)


def pool_gp(seed: int, **sizes: int) -> tuple[PoolGP, Tensor]:
    """The process of the pool, and the inputs of its molecules."""
    known, X, y = problem(seed, **sizes)
    process = Conditioned(fit_gaussian_process(known, y, np.random.default_rng(seed)), drop_last=True)
    mean, covariance = process.joint(torch.cat([X, process.last]))
    model = PoolGP(mean, covariance, noise=process.observation_noise, last=len(X), label=process.last_label)
    return model, torch.arange(len(X), dtype=torch.float64).unsqueeze(-1)


# --- features ----------------------------------------------------------------------------------------------
@given(seeds, st.integers(1, 6), st.floats(0.01, 100), st.floats(-50, 50))
@settings(max_examples=20, deadline=None)
def test_projecting_to_all_components_keeps_distances(seed: int, d: int, scale: float, origin: float) -> None:
    rng = np.random.default_rng(seed)
    both = rng.normal(size=(40, d))
    standard = (both - both.mean(axis=0)) / both.std(axis=0)
    dead = np.column_stack([both * scale + origin, np.full(40, origin)]).astype(np.float32)
    known, pool = project(dead[:15], dead[15:], rng)
    found = torch.cdist(*(torch.cat([known, pool]),) * 2, compute_mode="donot_use_mm_for_euclid_dist").numpy()
    expected = np.linalg.norm(standard[:, None] - standard[None], axis=-1) / np.sqrt(d)
    assert found == pytest.approx(expected, abs=1e-2)


def test_no_more_than_64_components_and_a_pool_of_any_size() -> None:
    rng = np.random.default_rng(0)
    known, pool = project(
        rng.normal(size=(9, 100)).astype("f4"), rng.normal(size=(300, 100)).astype("f4"), rng
    )
    assert known.shape == (9, 64)
    assert pool.shape == (300, 64)


# --- the process -------------------------------------------------------------------------------------------
@given(seeds)
@settings(max_examples=8, deadline=None)
def test_the_joint_posterior_is_gpytorchs(seed: int) -> None:
    known, X, y = problem(seed)
    model = fit_gaussian_process(known, y, np.random.default_rng(seed), limit=20)
    with exactly(), torch.no_grad():
        expected = model.posterior(X).distribution
    mean, covariance = Conditioned(model).joint(X)
    assert mean.numpy() == pytest.approx(expected.mean.numpy(), abs=1e-6)
    assert covariance.numpy() == pytest.approx(expected.covariance_matrix.numpy(), abs=1e-6)
    deviations = Conditioned(model).deviations(X, landmarks=len(y))
    assert deviations.numpy() == pytest.approx(expected.stddev.numpy(), abs=1e-5)
    fewer = Conditioned(model).deviations(X, landmarks=10)
    assert (fewer > deviations - 1e-9).all()


@given(seeds)
@settings(max_examples=8, deadline=None)
def test_conditioning_is_refitting_with_the_same_hyperparameters(seed: int) -> None:
    known, X, y = problem(seed)
    model = fit_gaussian_process(known[:20], y[:20], np.random.default_rng(seed))
    with exactly(), torch.no_grad():
        model.posterior(X)  # GPyTorch's caches, which conditioning extends
        more = model.condition_on_observations(known[20:], y[20:]).posterior(X).distribution
        order = torch.cat([model.train_inputs[0], known[20:]])
        labels = torch.cat([model.outcome_transform.untransform(model.train_targets[:, None])[0], y[20:]])
        whole = extended(model, order, labels).posterior(X).distribution
    assert more.mean.numpy() == pytest.approx(whole.mean.numpy(), abs=1e-5)
    assert more.covariance_matrix.numpy() == pytest.approx(whole.covariance_matrix.numpy(), abs=1e-5)


def test_few_labels_and_equal_labels_have_a_posterior() -> None:
    for m in (1, 2, 3):
        known, X, y = problem(0, m=m)
        mean, covariance = Conditioned(
            fit_gaussian_process(known, y, np.random.default_rng(0)), drop_last=True
        ).joint(X)
        assert torch.isfinite(mean).all()
        assert (covariance.diagonal() > 0).all()
    known, X, y = problem(0)
    mean, _ = Conditioned(
        fit_gaussian_process(known, torch.full_like(y, -70.0), np.random.default_rng(0))
    ).joint(X)
    assert mean.numpy() == pytest.approx(-70.0, abs=1e-3)


# --- the process on the pool -------------------------------------------------------------------------------
@given(seeds)
@settings(max_examples=8, deadline=None)
def test_the_pools_process_is_the_whole_one(seed: int) -> None:
    model, choices = pool_gp(seed)
    known, X, y = problem(seed)
    mean, covariance = Conditioned(fit_gaussian_process(known, y, np.random.default_rng(seed))).joint(X)
    with exactly(), torch.no_grad():
        found = model.posterior(choices).distribution
    assert found.mean.numpy() == pytest.approx(mean.numpy(), abs=1e-5)
    assert found.covariance_matrix.numpy() == pytest.approx(covariance.numpy(), abs=1e-5)
    tables = model.tables()
    assert tables[0][:-1].numpy() == pytest.approx(mean.numpy(), abs=1e-5)
    assert tables[1][:-1, :-1].numpy() == pytest.approx(covariance.numpy(), abs=1e-5)


@given(seeds)
@settings(max_examples=8, deadline=None)
def test_the_pools_process_learns_from_labels_as_the_whole_one_does(seed: int) -> None:
    model, choices = pool_gp(seed)
    known, X, y = problem(seed)
    whole = fit_gaussian_process(known, y, np.random.default_rng(seed))
    labels = torch.tensor([[-71.0], [-68.0]], dtype=torch.float64)
    with exactly(), torch.no_grad():
        model.posterior(choices)
        found = model.condition_on_observations(choices[:2], labels).posterior(choices).distribution
        whole.posterior(X)
        expected = whole.condition_on_observations(X[:2], labels).posterior(X).distribution
        assert found.mean.numpy() == pytest.approx(expected.mean.numpy(), abs=1e-4)
        assert found.covariance_matrix.numpy() == pytest.approx(expected.covariance_matrix.numpy(), abs=1e-4)
        sampler = SobolQMCNormalSampler(torch.Size([4]), seed=0)
        fantasies = model.fantasize(choices[:2], sampler).posterior(choices)
    # Four fantasies of other values, and each leaves the same variance.
    assert fantasies.mean.shape == (4, len(X), 1)
    for variance in fantasies.variance.squeeze(-1):
        assert variance.numpy() == pytest.approx(expected.variance.numpy(), abs=1e-4)


@given(seeds, st.integers(1, 9))
@settings(max_examples=10, deadline=None)
def test_draws_have_the_mean_and_variance_of_the_posterior(seed: int, size: int) -> None:
    model, _ = pool_gp(seed)
    draws = model.draws(size, torch.Generator().manual_seed(0)).numpy()
    mean, covariance = (table.numpy() for table in model.tables())
    assert len(draws) == size + size % 2
    assert draws.mean(axis=0) == pytest.approx(mean)
    assert draws.var(axis=0, ddof=1) == pytest.approx(covariance.diagonal(), abs=1e-9)


def test_many_draws_vary_together_as_the_posterior_says() -> None:
    model, _ = pool_gp(3, n=6)
    covariance = model.tables()[1].numpy()
    spread = np.sqrt(covariance.diagonal())
    found = np.cov(model.draws(40_000, torch.Generator().manual_seed(0)).numpy().T)
    assert found / np.outer(spread, spread) == pytest.approx(covariance / np.outer(spread, spread), abs=0.03)


# --- integrated variance -----------------------------------------------------------------------------------
@given(seeds)
@settings(max_examples=6, deadline=None)
def test_integrated_variance_is_botorchs(seed: int) -> None:
    model, choices = pool_gp(seed, n=8)
    points = choices[::2]
    theirs = qNegIntegratedPosteriorVariance(model, points, SobolQMCNormalSampler(torch.Size([1]), seed=0))
    ours = IntegratedVariance(model, points)
    with exactly(), torch.no_grad():
        for pending in (None, choices[:1], choices[2:5]):
            ours.set_X_pending(pending)
            theirs.set_X_pending(pending)
            expected = theirs(choices.unsqueeze(1)).numpy()
            assert ours(choices.unsqueeze(1)).numpy() == pytest.approx(expected, rel=1e-3, abs=1e-6)


@given(seeds)
@settings(max_examples=10, deadline=None)
def test_integrated_variance_picks_what_explicit_matrices_pick(seed: int) -> None:
    model, choices = pool_gp(seed, n=10)
    covariance, noise = model.tables()[1].numpy()[:10, :10], float(model.likelihood.noise)

    def left(labelled: list[int]) -> float:
        inner = covariance[np.ix_(labelled, labelled)] + noise * np.eye(len(labelled))
        across = covariance[:, labelled]
        return float(np.mean((covariance - across @ np.linalg.solve(inner, across.T)).diagonal()))

    picked: list[int] = []
    for _ in range(4):
        picked.append(min(set(range(10)) - set(picked), key=lambda i: left([*picked, i])))
    found, _ = optimize_acqf_discrete(IntegratedVariance(model, choices), 4, choices, return_acq_values=False)
    assert found.squeeze(-1).long().tolist() == picked


def test_botorchs_analytic_functions_agree_with_the_tables() -> None:
    model, choices = pool_gp(1)
    mean, covariance = (table.numpy()[:-1] for table in model.tables())
    spread = np.sqrt(covariance.diagonal())
    z = (mean + 69) / spread
    normal = torch.distributions.Normal(0, 1)
    density, below = (
        np.array(f(torch.from_numpy(z))) for f in (lambda t: normal.log_prob(t).exp(), normal.cdf)
    )
    with exactly(), torch.no_grad():
        found = LogExpectedImprovement(model, best_f=-69.0)(choices.unsqueeze(1)).exp().numpy()
    assert found == pytest.approx(spread * (density + z * below), rel=1e-4, abs=1e-8)


@pytest.mark.parametrize("seed", [2552, 131362457])
def test_a_search_that_goes_too_far_is_shortened(seed: int) -> None:
    """A step of the fit at which the covariance has no eigenvalues ended it with torch's error."""
    known, X, y = problem(seed)
    mean, covariance = Conditioned(fit_gaussian_process(known, y, np.random.default_rng(seed))).joint(X)
    assert torch.isfinite(mean).all()
    assert (covariance.diagonal() > 0).all()
