"""alkit.acquisition.scores: against BoTorch's closed forms, numerical integrals and the definitions."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from botorch.acquisition import analytic
from botorch.models.model import Model
from botorch.posteriors import GPyTorchPosterior
from gpytorch.distributions import MultivariateNormal
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from alkit.acquisition import Pool, RoundContext, scores, select
from alkit.acquisition.base import TopScore, adapt, needs
from alkit.errors import AcquisitionError, ConfigError

seeds = st.integers(0, 2**31 - 1)
EXTREMES = {
    "ucb": scores.ConfidenceBound,
    "ei": scores.ExpectedImprovement,
    "log_ei": scores.LogExpectedImprovement,
    "pi": scores.ProbabilityOfImprovement,
    "thompson": scores.Thompson,
}
SCORES = {name: given for name, given in EXTREMES.items() if name != "thompson"}


def parts(n: int = 50, *, m: int = 5, seed: int = 3) -> tuple[Pool, RoundContext]:
    rng = np.random.default_rng(seed)
    mean, spread = -70 + rng.normal(size=n), rng.uniform(0.01, 1.0, size=n)
    samples = mean + spread * np.array([[-1.0], [0.0], [1.0]])
    smiles = tuple("C" * int(k) + "O" for k in rng.integers(1, 9, size=n + m))
    pool = Pool(smiles[:n], samples, spread, np.zeros((n, 1), np.float32), rng.uniform(0.1, 9, size=n))
    targets = -70 + rng.normal(size=m)
    generator = np.random.default_rng(5)
    return pool, RoundContext(1, smiles[n:], targets, np.zeros((m, 1), np.float32), generator)


def at(mean: Any, std: Any, best: float) -> tuple[Pool, RoundContext]:
    """Molecules of these expectations, and a best label."""
    mean, std = np.broadcast_arrays(np.asarray(mean, float), np.asarray(std, float))
    n = len(mean)
    pool = Pool(("C",) * n, np.stack([mean, mean]), std, np.zeros((n, 1), np.float32), np.ones(n))
    rng = np.random.default_rng(0)
    return pool, RoundContext(1, ("C",), np.array([best]), np.zeros((1, 1), np.float32), rng)


class Normal(Model):
    """A model whose posterior at input i is the i-th mean and standard deviation."""

    num_outputs = 1

    def __init__(self, mean: np.ndarray, std: np.ndarray):
        super().__init__()
        self._mean, self._std = torch.tensor(mean), torch.tensor(std)

    def posterior(self, X: torch.Tensor, *args: Any, **kwargs: Any) -> GPyTorchPosterior:
        i = X.squeeze(-1).long()
        return GPyTorchPosterior(MultivariateNormal(self._mean[i], torch.diag_embed(self._std[i] ** 2)))


def botorch(name: str, mean: np.ndarray, std: np.ndarray, **given: Any) -> np.ndarray:
    function = getattr(analytic, name)(Normal(mean, std), **given)
    with torch.no_grad():
        return function(torch.arange(len(mean)).double().reshape(-1, 1, 1)).numpy()


# --- two that were there first -----------------------------------------------------------------------------
def test_std_is_the_calibrated_one_not_that_of_the_samples() -> None:
    pool, context = parts()
    np.testing.assert_array_equal(scores.std(pool, context), pool.std)


def test_random_is_uniform_over_molecules_and_only_from_the_context() -> None:
    pool, context = parts()
    drawn = np.array([scores.random(pool, context).argmax() for _ in range(5000)])
    counts = np.bincount(drawn, minlength=len(pool))
    assert counts.min() > 50  # 100 expected of each
    assert counts.max() < 160
    again = scores.random(*parts())
    np.testing.assert_array_equal(again, np.random.default_rng(5).random(len(pool)))


# --- extremes ----------------------------------------------------------------------------------------------
BOTORCH = {
    "ucb": ("UpperConfidenceBound", {"beta": 2.0}),
    "ei": ("ExpectedImprovement", {}),
    "log_ei": ("LogExpectedImprovement", {}),
    "pi": ("ProbabilityOfImprovement", {}),
}


@pytest.mark.filterwarnings("ignore:.*ExpectedImprovement has known numerical issues")
@pytest.mark.parametrize("name", BOTORCH)
@given(seed=seeds, minimise=st.booleans())
@settings(max_examples=15, deadline=None)
def test_closed_forms_are_botorchs(name: str, seed: int, minimise: bool) -> None:
    pool, context = parts(seed=seed)
    function, given_to_it = BOTORCH[name]
    targets = context.targets
    if name != "ucb":
        given_to_it = {"best_f": torch.tensor(targets.min() if minimise else targets.max())}
    theirs = botorch(function, pool.mean, pool.std, maximize=not minimise, **given_to_it)
    assert SCORES[name](minimise=minimise)(pool, context) == pytest.approx(theirs, rel=1e-7, abs=1e-12)


Z = np.array(
    [-1e9, -1e8, -1e6, -1e4, -300.0, -51.0, -50.0, -49.0, -38.0, -10.0, -1.1, -1.0, -0.9, 0.0, 5.0, 1e4]
)


@pytest.mark.parametrize("width", [1e-3, 1.0, 40.0])
def test_log_improvement_is_botorchs_at_extremes(width: float) -> None:
    theirs = botorch("LogExpectedImprovement", Z * width, np.full(len(Z), width), best_f=0.0)
    ours = scores.LogExpectedImprovement(minimise=False)(*at(Z * width, width, 0.0))
    assert np.isfinite(ours).all()
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-9)


def integral(z: float) -> float:
    """log of ∫ t φ(z - t) dt from 0, with φ(z) taken out before so that nothing underflows."""
    value, _ = quad(lambda t: t * np.exp(z * t - t * t / 2), 0, 60 / max(1.0, -z), epsabs=0, epsrel=1e-12)
    return np.log(value) - z * z / 2 - np.log(2 * np.pi) / 2


@given(st.floats(-1e4, 5.0))
@settings(max_examples=60, deadline=None)
def test_log_improvement_is_its_integral(z: float) -> None:
    ours = scores.log_improvement(np.array([z]))[0]
    # The leading -z²/2 is exact in both; what is left is compared.
    assert ours + z * z / 2 == pytest.approx(integral(z) + z * z / 2, abs=1e-9 + 1e-15 * z * z)


def test_log_improvement_rises_without_a_step_where_formulas_change() -> None:
    for border in (-50.0, -1.0):
        z = border + np.linspace(-1e-6, 1e-6, 9)
        slopes = np.diff(scores.log_improvement(z)) / np.diff(z)
        assert slopes == pytest.approx(slopes[0], rel=1e-2)
        assert (slopes > 0).all()


def test_far_from_the_best_only_the_logarithm_still_tells_molecules_apart() -> None:
    given_parts = at([-1.0, -2.0, 3.0], 0.01, -90.0)
    assert scores.ExpectedImprovement()(*given_parts).tolist() == [0.0, 0.0, 0.0]
    assert np.argsort(-scores.LogExpectedImprovement()(*given_parts)).tolist() == [1, 0, 2]


@pytest.mark.parametrize("name", SCORES)
@given(seed=seeds)
@settings(max_examples=15, deadline=None)
def test_high_energies_are_low_ones_turned_round(name: str, seed: int) -> None:
    pool, context = parts(seed=seed)
    turned = dataclasses.replace(pool, samples=-pool.samples)
    other = dataclasses.replace(context, targets=-context.targets)
    high, low = SCORES[name](minimise=False)(turned, other), SCORES[name]()(pool, context)
    np.testing.assert_allclose(high, low, rtol=1e-9)


@pytest.mark.parametrize("name", SCORES)
def test_scores_are_finite_without_any_uncertainty(name: str) -> None:
    found = SCORES[name]()(*at([-71.0, -70.0, -69.0], 0.0, -70.0))
    assert np.isfinite(found).all()
    assert found.argmax() == 0


def test_a_larger_beta_prefers_the_uncertain() -> None:
    pool, context = at([-71.0, -70.5], [0.0, 1.0], -70.0)
    assert scores.ConfidenceBound(0)(pool, context).argmax() == 0
    assert scores.ConfidenceBound(4)(pool, context).argmax() == 1
    assert scores.ConfidenceBound(4)(pool, context)[1] == pytest.approx(70.5 + 2.0)


# --- per heavy atom ----------------------------------------------------------------------------------------
def test_heavy_atoms_are_those_that_are_not_hydrogen() -> None:
    smiles = ("C", "CC(=O)O", "c1ccccc1O", "[H]C([H])([H])[H]", "[H][H]", "C[N+](C)(C)CC([O-])=O", "[2H]OC")
    assert scores.heavy_atoms(smiles).tolist() == [1, 4, 7, 1, 1, 8, 2]
    with pytest.raises(AcquisitionError, match="per_heavy_atom: RDKit cannot read 'C1CC'"):
        scores.heavy_atoms(("C1CC",))


@pytest.mark.parametrize("name", SCORES)
@given(seed=seeds)
@settings(max_examples=15, deadline=None)
def test_per_heavy_atom_is_the_score_of_energies_per_heavy_atom(name: str, seed: int) -> None:
    pool, context = parts(seed=seed)
    pool_sizes = np.array([len(smiles) for smiles in pool.smiles], float)
    known_sizes = np.array([len(smiles) for smiles in context.smiles], float)
    each = dataclasses.replace(pool, samples=pool.samples / pool_sizes, std=pool.std / pool_sizes)
    other = dataclasses.replace(context, targets=context.targets / known_sizes)
    np.testing.assert_allclose(
        SCORES[name](per_heavy_atom=True)(pool, context), SCORES[name]()(each, other), rtol=1e-9
    )


def test_the_best_label_per_heavy_atom_is_not_that_of_the_lowest_energy() -> None:
    pool, context = at([-30.0], 0.1, 0.0)
    pool = dataclasses.replace(pool, smiles=("CC",))
    context = dataclasses.replace(context, smiles=("CCCCC", "CC"), targets=np.array([-50.0, -28.0]))
    assert scores.ProbabilityOfImprovement()(pool, context)[0] == pytest.approx(0.0, abs=1e-12)
    assert scores.ProbabilityOfImprovement(per_heavy_atom=True)(pool, context)[0] == pytest.approx(1.0)


# --- Thompson ----------------------------------------------------------------------------------------------
@given(seeds, st.sampled_from(["members", "normal"]), st.booleans())
@settings(max_examples=30, deadline=None)
def test_thompson_repeats_itself_and_never_a_molecule(seed: int, draw: Any, minimise: bool) -> None:
    pool, _ = parts(8, seed=seed)
    chosen = [scores.Thompson(draw, minimise=minimise).select(pool, parts()[1], 8) for _ in range(2)]
    assert chosen[0] == chosen[1]
    assert sorted(chosen[0]) == list(range(8))


def test_thompson_takes_the_best_of_each_member() -> None:
    samples = np.array([[0.0, -5.0, -1.0, -3.0], [-2.0, 0.0, -4.0, 0.0]])
    pool, context = at([0.0] * 4, 1.0, 0.0)
    pool = dataclasses.replace(pool, samples=samples)
    batches = {
        tuple(scores.Thompson().select(pool, dataclasses.replace(context, rng=np.random.default_rng(s)), 2))
        for s in range(40)
    }
    # One member twice: its two lowest; both: the lowest of each, in either order.
    assert batches == {(1, 3), (2, 0), (1, 2), (2, 1)}


def test_normal_draws_choose_a_molecule_as_often_as_it_is_the_best() -> None:
    pool, context = at([0.0, -1.0], [1.0, 1.0], 0.0)
    first = [scores.Thompson("normal").select(pool, context, 1)[0] for _ in range(4000)]
    assert np.mean(first) == pytest.approx(norm.cdf(1 / np.sqrt(2)), abs=0.03)


# --- learning everywhere, and cost -------------------------------------------------------------------------
def test_information_gain_and_what_is_outside_accuracy() -> None:
    pool, context = at([0.0, 0.0, 0.0], [0.0, 0.1, 0.5], 0.0)
    context = dataclasses.replace(context, accuracy=0.1)
    gains = [0.0, 0.5 * np.log(2), 0.5 * np.log(26)]
    assert scores.InformationGain()(pool, context) == pytest.approx(gains)
    assert scores.InformationGain(noise=0.5)(pool, context)[2] == pytest.approx(0.5 * np.log(2))
    outside = scores.OutsideAccuracy()(pool, context)
    assert outside == pytest.approx([0.0, 2 * norm.sf(1), 2 * norm.sf(0.2)])
    assert scores.OutsideAccuracy(0.5)(pool, context)[2] == pytest.approx(2 * norm.sf(1))
    errors = 0.5 * np.random.default_rng(0).normal(size=200_000)
    assert np.mean(np.abs(errors) > 0.1) == pytest.approx(outside[2], abs=0.005)


def test_per_second_divides_by_the_expected_time() -> None:
    pool, context = parts()
    np.testing.assert_array_equal(scores.PerSecond()(pool, context), pool.std / pool.cost)
    free = dataclasses.replace(pool, cost=np.zeros(len(pool)))
    assert np.isfinite(scores.PerSecond()(free, context)).all()
    assert scores.PerSecond().needs == ()


def test_per_second_of_a_users_score(tmp_path: Any) -> None:
    (tmp_path / "mine.py").write_text(
        "def f(pool, context):\n    return pool.xtb_energy\nf.needs = ('xtb_energy',)\n"
    )
    pool, context = parts()
    pool = dataclasses.replace(pool, xtb_energy=np.ones(len(pool)))
    mine = scores.PerSecond(f"{tmp_path / 'mine.py'}:f")
    assert needs(adapt(mine, "per_second")) == {"xtb_energy"}
    np.testing.assert_array_equal(mine(pool, context), 1 / pool.cost)
    pool.xtb_energy[3] = -1.0
    with pytest.raises(AcquisitionError, match=r"per_second: .*mine.py:f gave molecule 3 a value below 0"):
        mine(pool, context)


# --- settings ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", EXTREMES)
def test_switches_are_true_or_false(name: str) -> None:
    for setting in ("minimise", "per_heavy_atom"):
        with pytest.raises(ConfigError, match=f"{name}: {setting} is 'no'; it must be true or false"):
            EXTREMES[name](**{setting: "no"})


@pytest.mark.parametrize(
    ("given_class", "given_settings", "sentence"),
    [
        (scores.ConfidenceBound, {"beta": -1}, "acquisition ucb: beta is -1; it must be a number at least 0"),
        (scores.ConfidenceBound, {"beta": "x"}, "ucb: beta is 'x'; it must be a number at least 0"),
        (scores.ConfidenceBound, {"beta": np.nan}, "ucb: beta is nan; it must be a number at least 0"),
        (scores.Thompson, {"draw": "both"}, "thompson: draw is 'both'; it must be members or normal"),
        (scores.InformationGain, {"noise": 0}, "bald: noise is 0; it must be a number above 0"),
        (
            scores.OutsideAccuracy,
            {"accuracy": True},
            "outside_accuracy: accuracy is True; it must be a number",
        ),
        (scores.PerSecond, {"score": "lcmd"}, "per_second: lcmd gives no value of each molecule"),
        (scores.PerSecond, {"score": "per_second"}, "per_second: per_second gives no value"),
        (scores.PerSecond, {"score": "ucb"}, "per_second: ucb may be negative"),
        (scores.PerSecond, {"score": "stdd"}, "There is no acquisition function 'stdd'; the nearest"),
    ],
)
def test_settings_that_cannot_be(given_class: type, given_settings: dict, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        given_class(**given_settings)


@pytest.mark.parametrize("name", SCORES)
def test_a_score_with_settings_becomes_a_batch(name: str) -> None:
    adapted = adapt(SCORES[name], name, {"minimise": False})
    assert isinstance(adapted, TopScore)
    pool, context = parts()
    found = SCORES[name](minimise=False)(pool, context)
    assert select(adapted, name, pool, context, 4) == np.argsort(-found, kind="stable")[:4].tolist()


def test_only_draws_of_members_need_members() -> None:
    assert needs(adapt(scores.Thompson, "thompson")) == {"members"}
    assert needs(adapt(scores.Thompson, "thompson", {"draw": "normal"})) == set()
    assert needs(adapt(scores.ExpectedImprovement, "ei")) == set()
