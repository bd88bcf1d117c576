"""alkit.models.metrics: error metrics against scikit-learn and scipy, and the trivial baselines."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.metrics import max_error, mean_absolute_error, r2_score, root_mean_squared_error

from alkit.models.metrics import baseline_metrics, bond_counts, element_counts, error_metrics
from alkit.molecules.enumeration import seed_molecules
from alkit.units import CHEMICAL_ACCURACY

ENERGIES = {"H": -2.5, "C": -7.4, "N": -6.0, "O": -5.1, "F": -3.3}


@given(st.integers(0, 2**31 - 1), st.integers(2, 60))
@settings(max_examples=50, deadline=None)
def test_metrics_are_those_of_scikit_learn(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    truth = -70 + 10 * rng.normal(size=n)
    mean, std = truth + rng.normal(size=n), rng.random(n) + 0.1
    found = error_metrics(truth, mean, std)
    assert found["mae"] == pytest.approx(mean_absolute_error(truth, mean))
    assert found["rmse"] == pytest.approx(root_mean_squared_error(truth, mean))
    assert found["r2"] == pytest.approx(r2_score(truth, mean))
    assert found["max"] == pytest.approx(max_error(truth, mean))
    assert found["q95"] == pytest.approx(np.quantile(np.abs(mean - truth), 0.95))
    assert found["mae"] <= found["rmse"] <= found["max"] + 1e-12
    assert found["q95"] <= found["max"]
    inside = np.abs(mean - truth) <= 1.6448536269514722 * std
    assert found["coverage_90"] == pytest.approx(inside.mean())
    if n > 2:
        assert found["spearman"] == pytest.approx(spearmanr(std, np.abs(mean - truth)).statistic)


@pytest.mark.parametrize(
    ("truth", "mean", "std"),
    [
        ([-1.0, -2.0, -3.0], [-1.0, -2.0, -3.0], [0.1, 0.2, 0.3]),  # no error at all
        ([-1.0, -2.0, -3.0], [-2.0, -3.0, -4.0], [0.1, 0.2, 0.3]),  # the same error everywhere
        ([-1.0, -2.0, -3.0], [-1.0, -2.5, -3.0], [0.1, 0.1, 0.1]),  # the same uncertainty everywhere
        ([-1.0, -1.0, -1.0], [-1.0, -2.0, -3.0], [0.1, 0.2, 0.3]),  # the same truth everywhere
        ([-1.0], [-2.0], [0.1]),
    ],
)
def test_metrics_are_always_numbers(truth, mean, std) -> None:
    found = error_metrics(np.array(truth), np.array(mean), np.array(std))
    assert all(np.isfinite(value) for value in found.values()), found
    assert all(type(value) is float for value in found.values())


def test_uncertainty_that_ranks_errors_is_told_from_one_that_does_not() -> None:
    truth, mean = np.zeros(5), np.array([0.1, -0.2, 0.3, -0.4, 0.5])
    assert error_metrics(truth, mean, np.abs(mean))["spearman"] == pytest.approx(1.0)
    assert error_metrics(truth, mean, 1 - np.abs(mean))["spearman"] == pytest.approx(-1.0)


def test_chemical_accuracy_is_one_kilocalorie_per_mole() -> None:
    from ase.units import kcal, mol

    assert pytest.approx(kcal / mol, rel=1e-5) == CHEMICAL_ACCURACY


def test_counts() -> None:
    assert element_counts("CCO") == {"C": 2, "H": 6, "O": 1}
    assert bond_counts("C=O") == {"C": 1, "H": 2, "O": 1, "C-O 2.0": 1, "C-H 1.0": 2}
    assert bond_counts("OC=C")["C-O 1.0"] == 1  # the same name whichever end comes first
    assert bond_counts("c1ccccc1")["C-C 1.5"] == 6


def additive(smiles: list[str], energies: dict[str, float] = ENERGIES) -> np.ndarray:
    return np.array([sum(energies[e] * n for e, n in element_counts(one).items()) for one in smiles])


def split() -> tuple[list[str], list[str]]:
    smiles = seed_molecules()[::40]
    return smiles[::2], smiles[1::2]


def test_baselines_are_exact_where_their_model_is_the_truth() -> None:
    labelled, test = split()
    found = baseline_metrics(labelled, additive(labelled), test, additive(test))
    assert found["baseline_elements"] < 0.01  # the ridge leaves a few meV
    assert found["baseline_bonds"] < 0.05
    values = additive(labelled)
    assert found["baseline_mean"] == pytest.approx(np.abs(additive(test) - values.mean()).mean())
    assert found["baseline_mean"] > 1.0


def test_bonds_explain_what_elements_cannot() -> None:
    labelled, test = split()

    def energy(smiles: list[str]) -> np.ndarray:
        double = np.array(
            [sum(n for bond, n in bond_counts(s).items() if bond.endswith("2.0")) for s in smiles]
        )
        return additive(smiles) + 1.5 * double

    found = baseline_metrics(labelled, energy(labelled), test, energy(test))
    assert found["baseline_bonds"] < 0.1
    assert found["baseline_elements"] > 5 * found["baseline_bonds"]


def test_a_delta_models_baseline_is_the_cheap_energy_with_elements() -> None:
    labelled, test = split()
    rng = np.random.default_rng(0)
    xtb_energy = rng.normal(-50, 5, len(labelled)), rng.normal(-50, 5, len(test))
    values, truth = additive(labelled) + xtb_energy[0], additive(test) + xtb_energy[1]
    found = baseline_metrics(labelled, values, test, truth, xtb_energy=xtb_energy)
    assert found["baseline_xtb"] < 0.01 < 1.0 < found["baseline_elements"]
    assert "baseline_xtb" not in baseline_metrics(labelled, values, test, truth)


def test_an_element_or_bond_that_was_never_labelled_does_no_harm() -> None:
    found = baseline_metrics(["C", "CC", "CCC"], additive(["C", "CC", "CCC"]), ["CF"], additive(["CF"]))
    assert all(np.isfinite(value) for value in found.values())


@given(st.floats(-100, 100))
@settings(max_examples=10, deadline=None)
def test_moving_all_labels_moves_no_error(shift: float) -> None:
    labelled, test = (part[:15] for part in split())
    usual = baseline_metrics(labelled, additive(labelled), test, additive(test))
    moved = baseline_metrics(labelled, additive(labelled) + shift, test, additive(test) + shift)
    assert moved == pytest.approx(usual, abs=1e-6)


def test_an_interval_without_end_does_not_pass_for_perfect_coverage() -> None:
    from surrogate import Calibration

    rng = np.random.default_rng(0)
    few = Calibration.fit(rng.normal(size=5), rng.normal(size=(3, 5)))
    std = np.ones(1000)
    assert few.quantile(0.9) == np.inf
    assert error_metrics(np.zeros(1000), 50 * rng.normal(size=1000), std, few)["coverage_90"] < 0.2
