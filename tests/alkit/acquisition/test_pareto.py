"""alkit.acquisition.pareto, against BoTorch's own expected hypervolume improvement and a plain average."""

import numpy as np
import pytest
import torch
from botorch.acquisition.multi_objective import ExpectedHypervolumeImprovement
from botorch.models.deterministic import GenericDeterministicModel
from botorch.posteriors import GPyTorchPosterior
from botorch.utils.multi_objective.box_decompositions import FastNondominatedPartitioning
from botorch.utils.multi_objective.hypervolume import Hypervolume
from gpytorch.distributions import MultitaskMultivariateNormal
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from alkit.acquisition.base import Pool, RoundContext, resolve, select
from alkit.acquisition.pareto import Pareto
from alkit.config.loading import check_config
from alkit.descriptors import descriptor_value
from alkit.errors import AcquisitionError, ConfigError
from alkit.molecules.enumeration import seed_molecules
from alkit.testing import check_acquisition

SEEDS = [one for one in seed_molecules() if sum(c.isalpha() for c in one) <= 5]
TWO = {"label": "minimise", "QED": "maximise"}
THREE = {"QED": "maximise", "label": "maximise", "SA_score": "minimise"}


def problem(seed: int, n: int = 12, known: int = 9) -> tuple[Pool, RoundContext]:
    rng = np.random.default_rng(seed)
    names = rng.choice(SEEDS, n + known, replace=False)
    energies, spread = rng.normal(-4, 1, n), rng.uniform(0.05, 0.8, n)
    pool = Pool(
        tuple(names[:n]),
        energies + np.array([[-1.0], [0.0], [1.0]]) * 0.1,
        spread,
        rng.normal(size=(n, 4)).astype("f4"),
        np.ones(n),
    )
    embeddings = rng.normal(size=(known, 4)).astype("f4")
    return pool, RoundContext(1, tuple(names[n:]), rng.normal(-4, 1, known), embeddings, rng)


class Independent(GenericDeterministicModel):
    """Independent normal objectives of a molecule, whose input is its index."""

    def __init__(self, mean: torch.Tensor, std: torch.Tensor):
        super().__init__(lambda X: X, num_outputs=mean.shape[1])
        self.mean, self.std = mean, std

    def posterior(self, X: torch.Tensor, **kwargs: object) -> GPyTorchPosterior:
        rows = X.squeeze(-1).long()
        covariance = torch.diag_embed(self.std[rows].flatten(-2) ** 2)
        return GPyTorchPosterior(MultitaskMultivariateNormal(self.mean[rows], covariance))


@pytest.mark.parametrize("objectives", [TWO, THREE])
@pytest.mark.parametrize("seed", range(4))
def test_the_worth_of_a_molecule_is_botorchs(objectives, seed) -> None:
    pool, context = problem(seed)
    pareto = Pareto(objectives)
    known = pareto.values(context.targets, context.smiles)
    reference = pareto.least(known)
    mean = torch.from_numpy(pareto.values(pool.mean, pool.smiles))
    std = torch.full_like(mean, 1e-9)  # what is exact
    std[:, 0] = torch.from_numpy(pool.std)
    partition = FastNondominatedPartitioning(torch.from_numpy(reference), torch.from_numpy(known))
    theirs = ExpectedHypervolumeImprovement(Independent(mean, std), reference.tolist(), partition)
    expected = theirs(torch.arange(len(pool), dtype=torch.float64)[:, None, None]).detach().numpy()
    assert np.exp(pareto.score(pool, context)) == pytest.approx(expected, rel=1e-5, abs=1e-9)


@given(st.integers(0, 10**6))
@settings(max_examples=15, deadline=None)
def test_the_worth_is_the_mean_volume_gained(seed) -> None:
    """Over quantiles of the label, volumes by BoTorch's `Hypervolume`."""
    pool, context = problem(seed, n=2)
    pareto = Pareto(TWO, reference={"label": 0.0, "QED": 0.2})
    known = pareto.values(context.targets, context.smiles)
    measure = Hypervolume(torch.tensor([0.0, 0.2], dtype=torch.float64))

    def volume(rows: np.ndarray) -> float:
        front = torch.from_numpy(rows[pareto.best(rows)])
        return measure.compute(front)

    draws = norm.ppf((np.arange(1000) + 0.5) / 1000)
    for row, (smiles, worth) in enumerate(zip(pool.smiles, pareto.score(pool, context), strict=True)):
        labels = pool.mean[row] + pool.std[row] * draws
        gains = [volume(np.vstack([known, [-label, descriptor_value(smiles, "QED")]])) for label in labels]
        gains = np.array(gains) - volume(known)
        assert np.exp(worth) == pytest.approx(gains.mean(), rel=0.02, abs=2e-4)
    assert pareto.volume(known, pareto.least(known)) == pytest.approx(volume(known))


def test_a_batch_is_picked_one_by_one_on_the_front_that_the_picks_leave() -> None:
    """Also where only the best few are computed again: as if all were."""
    pool, context = problem(5, n=60)
    pareto = Pareto(TWO)
    chosen = list(select(pareto, "pareto", pool, context, 8))
    targets, smiles, left = context.targets, context.smiles, list(range(len(pool)))
    fixed = Pareto(TWO)
    fixed.reference = pareto.least(pareto.values(targets, smiles))
    for pick in chosen:
        now = RoundContext(1, smiles, targets, context.embeddings, context.rng)
        worth = fixed.score(pool, now)
        assert worth[pick] == pytest.approx(worth[left].max())
        left.remove(pick)
        targets, smiles = np.append(targets, pool.mean[pick]), (*smiles, pool.smiles[pick])


def test_what_is_dominated_in_an_exact_objective_is_worth_nothing_however_uncertain() -> None:
    pool, context = problem(1)
    worth = Pareto(TWO, reference={"label": 0.0, "QED": 0.99}).score(pool, context)
    assert (worth == worth.min()).all()
    assert np.isfinite(worth).all()


def test_far_behind_the_front_molecules_are_still_told_apart() -> None:
    pool, context = problem(2)
    far = Pool(pool.smiles, pool.samples + 60, pool.std, pool.embeddings, pool.cost)
    worth = Pareto({"label": "minimise", "QED": "maximise"}, reference={"label": -1, "QED": 0.1}).score(
        far, context
    )
    assert len(set(worth)) == len(worth)
    assert np.isfinite(worth).all()
    assert (worth < -1000).all()


def test_it_keeps_the_contract() -> None:
    check_acquisition("pareto", objectives=TWO, per_heavy_atom=True)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "objectives is None; it has label and at least one descriptor, such as {label: minimise, QED:"),
        ({"objectives": {"label": "minimise"}}, "it has label and at least one descriptor"),
        ({"objectives": {"QED": "maximise"}}, "it has label and at least one descriptor"),
        ({"objectives": ["label"]}, "it has label and at least one descriptor"),
        (
            {"objectives": {"label": "minimize", "QED": "maximise"}},
            "label is 'minimize'; it must be min",
        ),
        (
            {"objectives": {"label": "minimise", "qde": "maximise"}},
            "no descriptor 'qde'; the nearest",
        ),
        ({"objectives": TWO, "reference": {"label": 0}}, "give a number for each of label, QED"),
        ({"objectives": TWO, "reference": {"label": 0, "QED": "low"}}, "reference.QED is 'low'"),
    ],
)
def test_settings_that_cannot_be_are_a_sentence(given, sentence) -> None:
    with pytest.raises(ConfigError, match=sentence):
        resolve("pareto", given)


# --- one number of several wishes --------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["ucb", "ei", "log_ei", "pi", "thompson"])
def test_a_weight_adds_what_is_known_exactly(name) -> None:
    """As if the labels and predictions were of the weighted sum."""
    pool, context = problem(3, n=30)
    plain, weighted = resolve(name), resolve(name, {"weights": {"QED": 4.0, "SA_score": -0.3}})

    def shifted(smiles: tuple[str, ...]) -> np.ndarray:
        return np.array(
            [4.0 * descriptor_value(s, "QED") - 0.3 * descriptor_value(s, "SA_score") for s in smiles]
        )

    moved = Pool(pool.smiles, pool.samples - shifted(pool.smiles), pool.std, pool.embeddings, pool.cost)

    def fresh(targets: np.ndarray) -> RoundContext:
        return RoundContext(1, context.smiles, targets, context.embeddings, np.random.default_rng(4))

    by_weight = select(weighted, name, pool, fresh(context.targets), 6)
    by_hand = select(plain, name, moved, fresh(context.targets - shifted(context.smiles)), 6)
    assert by_weight == by_hand
    assert by_weight != select(plain, name, pool, fresh(context.targets), 6)


@pytest.mark.parametrize(
    ("weights", "sentence"),
    [
        ({"QDE": 1.0}, "acquisition log_ei: weights: there is no descriptor 'QDE'"),
        ({"QED": "much"}, "weights.QED is 'much'; it must be a number"),
        ([("QED", 1)], "a mapping such as {QED: 1.0} is expected"),
    ],
)
def test_weights_that_cannot_be_are_a_sentence(weights, sentence) -> None:
    with pytest.raises(ConfigError, match=sentence):
        resolve("log_ei", {"weights": weights})


def test_a_descriptor_that_cannot_be_computed_is_named() -> None:
    pool, context = problem(4)
    odd = Pool(("C[Se]C", *pool.smiles[1:]), pool.samples, pool.std, pool.embeddings, pool.cost)
    with pytest.raises(AcquisitionError, match=r"cannot compute MaxPartialCharge of C\[Se\]C"):
        select(resolve("log_ei", {"weights": {"MaxPartialCharge": 1.0}}), "log_ei", odd, context, 2)


def test_a_campaign_file_may_ask_for_it() -> None:
    given = {"name": "pareto", "settings": {"objectives": TWO, "per_heavy_atom": True}}
    config = check_config({"name": "x", "proposer": "generator", "acquisition": given})
    pareto = resolve(config.acquisition.name, config.acquisition.settings)
    assert pareto.names == ["label", "QED"]
    assert pareto.signs.tolist() == [-1.0, 1.0]
