"""How good a surrogate is, and how good nothing at all would be: errors beside the trivial baselines."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from surrogate import Calibration

_NORMAL_90 = 1.6448536269514722  # half-width of the central 90 % of a standard normal


def error_sizes(errors: NDArray) -> dict[str, float]:
    """``mae``, ``rmse``, ``q95``, ``max`` of errors ``(n,)``, in their unit."""
    sizes = np.abs(errors)
    return {
        "mae": float(sizes.mean()),
        "rmse": float(np.sqrt((errors**2).mean())),
        "q95": float(np.quantile(sizes, 0.95)),
        "max": float(sizes.max()),
    }


def mae_half_width(n: int, mae: float, rmse: float) -> float:
    """Half the width of the 95 % interval (Student's t) of the MAE of ``n`` molecules, in its unit.

    The MAE is the mean of the absolute errors, the squared RMSE the mean of their squares. Infinite for one
    molecule.
    """
    from scipy.stats import t as student

    if n < 2:
        return float("inf")
    return float(student.ppf(0.975, n - 1) * np.sqrt(max(0.0, rmse**2 - mae**2) / (n - 1)))


def r_squared(truth: NDArray, predicted: NDArray) -> float:
    """Coefficient of determination; 0 where all labels agree, since nothing is there to explain."""
    spread = float(((truth - truth.mean()) ** 2).sum())
    return 1.0 - float(((predicted - truth) ** 2).sum()) / spread if spread > 0 else 0.0


def error_metrics(
    truth: NDArray, mean: NDArray, std: NDArray, calibration: "Calibration | None" = None
) -> dict[str, float]:
    """Metrics of errors and of uncertainty.

    Those of the absolute error (eV) are ``mae``, ``rmse``, ``q95``, ``max``, and ``r2``. Those of the
    uncertainty are ``coverage_90``, ``spearman`` (with the absolute error), ``ence``,
    ``miscalibration_area``, ``nll`` (nats, energies in eV), ``sharpness`` (eV) and ``rejection_gain``.
    `surrogate.metrics` defines them.

    Args:
        truth: ``(n,)`` eV.
        mean: ``(n,)`` predictions, eV.
        std: ``(n,)`` eV.
        calibration: what made ``std``. Coverage is then that of its conformal interval, or of its t
            distribution's where fewer than 9 validation molecules give none. The area is that of its
            distribution. Without it both are of a normal one.
    """
    from surrogate import metrics

    truth, mean, std = (np.asarray(values, dtype=np.float64) for values in (truth, mean, std))
    errors = mean - truth
    sizes = np.abs(errors)
    probability = None if calibration is None else calibration.probability
    quantile = _NORMAL_90 if calibration is None else finite_quantile(calibration, 0.9)
    return error_sizes(errors) | {
        "r2": r_squared(truth, mean),
        "coverage_90": float(np.mean(sizes <= quantile * std)),
        "spearman": metrics.rank_correlation(errors, std),
        "ence": metrics.ence(errors, std),
        "miscalibration_area": metrics.miscalibration_area(errors, std, probability),
        "nll": metrics.negative_log_likelihood(errors, std),
        "sharpness": metrics.sharpness(std),
        "rejection_gain": metrics.rejection_gain(errors, std),
    }


def force_metrics(truth: Sequence[NDArray], predicted: Sequence[NDArray]) -> dict[str, float]:
    """Errors of the components of forces (eV/Å).

    They are ``forces_mae``, ``forces_rmse``, ``forces_q95``, ``forces_max`` and ``forces_r2``.
    ``baseline_forces`` is the MAE of forces of zero.

    Args:
        truth: ``(atoms, 3)`` eV/Å of each molecule.
        predicted: likewise.
    """
    true, said = (np.concatenate(forces).ravel() for forces in (truth, predicted))
    errors = error_sizes(said - true) | {"r2": r_squared(true, said)}
    return {f"forces_{name}": value for name, value in errors.items()} | {
        "baseline_forces": float(np.abs(true).mean())
    }


def finite_quantile(calibration: "Calibration", level: float) -> float:
    """Half-width of an interval over the deviation, always finite.

    It is conformal. Where the validation molecules are too few for that, it is that of the errors' t
    distribution.
    """
    quantile = calibration.quantile(level)
    return quantile if np.isfinite(quantile) else replace(calibration, scores=()).quantile(level)


def baseline_metrics(
    labelled: Sequence[str],
    values: NDArray,
    test: Sequence[str],
    truth: NDArray,
    *,
    xtb_energy: tuple[NDArray, NDArray] | None = None,
) -> dict[str, float]:
    """MAE (eV) on the test set of trivial baselines fitted to the same labels.

    ``baseline_mean``: the mean label; ``baseline_elements``: linear in element counts; ``baseline_bonds``:
    linear in counts of elements and of bonds by elements and order; ``baseline_xtb``: the xTB energy and
    linear in element counts.

    Args:
        labelled: SMILES of the labelled molecules.
        values: ``(n,)`` their labels, eV.
        test: SMILES of the test set.
        truth: ``(m,)`` its labels, eV.
        xtb_energy: eV, energies of the labelled and the test molecules that delta learning starts from.
    """
    values, truth = np.asarray(values), np.asarray(truth)
    metrics = {"baseline_mean": float(np.abs(truth - values.mean()).mean())}
    for name, features in (("elements", element_counts), ("bonds", bond_counts)):
        predicted = _linear(labelled, values, test, features)
        metrics[f"baseline_{name}"] = float(np.abs(truth - predicted).mean())
    if xtb_energy is not None:
        predicted = xtb_energy[1] + _linear(labelled, values - xtb_energy[0], test, element_counts)
        metrics["baseline_xtb"] = float(np.abs(truth - predicted).mean())
    return metrics


def _linear(
    labelled: Sequence[str], values: NDArray, test: Sequence[str], features: Callable[[str], Counter[str]]
) -> NDArray[np.float64]:
    from sklearn.feature_extraction import DictVectorizer
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline

    # The small ridge only settles counts that always come together; it is far from shrinking anything else.
    model = make_pipeline(DictVectorizer(sparse=False), Ridge(alpha=1e-2))
    model.fit([features(s) for s in labelled], values)
    return model.predict([features(s) for s in test])


def element_counts(smiles: str) -> Counter[str]:
    """Atoms of each element, hydrogens included."""
    return Counter(atom.GetSymbol() for atom in _with_hydrogens(smiles).GetAtoms())


def bond_counts(smiles: str) -> Counter[str]:
    """Atoms of each element, and bonds of each pair of elements and order."""
    counts = element_counts(smiles)
    for bond in _with_hydrogens(smiles).GetBonds():
        ends = sorted((bond.GetBeginAtom().GetSymbol(), bond.GetEndAtom().GetSymbol()))
        counts[f"{ends[0]}-{ends[1]} {bond.GetBondTypeAsDouble()}"] += 1
    return counts


def _with_hydrogens(smiles: str):
    from rdkit import Chem

    return Chem.AddHs(Chem.MolFromSmiles(smiles))
