"""Hyper-parameters of a Gaussian process by the marginal likelihood of the labels it is fitted to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.optimize import minimize

ATOM_PRIOR = 1.0  # eV: what an atom of an element may add beyond its reference
_BOUNDS = (-8.0, 4.0)  # of logarithms of deviations in eV
_LEAST_NOISE = 2e-3  # eV
# eV, at most, where labels on a baseline were chosen: chosen molecules are harder than most, and the
# likelihood takes for noise what could be learned from them (docs/decisions/025).
CHOSEN_NOISE = 0.01
# Weak pulls on logarithms, in nats per square: for what a few labels do not say.
# Numbers of the molecule have to earn their size: with 50 labels they fit what is not there, and a few wild
# molecules among 300 do the same.
_PULLS = ((0.0, 0.02), (float(np.log(0.02)), 5.0), (float(np.log(0.05)), 0.05), (float(np.log(0.02)), 0.05))
_FIFTHS, _USUAL_SLOPE = 5, 0.5  # of the logarithm of an error with that of the labels
_FEWEST = 3  # labels, to leave a part of them out
_REFITTED = 1000  # labels at most, for which sizes are fitted to each part: that takes their third power
_LEAST_ERROR = 1e-6  # eV


class Sizes(NamedTuple):
    """Deviations, eV: of the sum over atoms, of numbers of the molecule, of baselines' weights, of noise."""

    atoms: float
    whole: float
    levels: float
    noise: float


def covariance(atoms: NDArray, lines: NDArray, counts: NDArray, *, size: float) -> NDArray[np.float64]:
    """Covariance of the energies beyond the references, without noise. The three kernels have one shape.

    Args:
        atoms: of the sum over atoms, for a deviation of 1 eV.
        lines: of the linear part, eV².
        counts: of element counts.
        size: eV, deviation of the sum over atoms.
    """
    found: NDArray[np.float64] = size**2 * atoms + lines + ATOM_PRIOR**2 * counts
    return found


def fit_sizes(
    rests: NDArray,
    atoms: NDArray,
    whole: NDArray,
    levels: NDArray,
    counts: NDArray,
    *,
    most_noise: float = np.inf,
) -> tuple[float, Sizes]:
    """Find sizes at the least penalised negative log marginal likelihood (nats), and that likelihood.

    Args:
        rests: ``(n,)`` eV, labels less references and baseline.
        atoms: ``(n, n)`` kernel of atoms.
        whole: ``(n, n)`` kernel of numbers of the molecule.
        levels: ``(n, n)`` kernel of how far baselines are from their mean.
        counts: ``(n, n)`` kernel of element counts.
        most_noise: eV, upper bound of the noise.
    """
    spread = float(np.std(rests)) + 0.01
    eye = np.eye(len(rests))

    def loss(logs: NDArray) -> tuple[float, NDArray]:
        parts = [np.exp(2 * log) * one for log, one in zip(logs, (atoms, whole, levels, eye), strict=True)]
        matrix = sum(parts) + ATOM_PRIOR**2 * counts
        try:
            factor = cho_factor(matrix, lower=True, check_finite=False)
        except LinAlgError:
            return 1e12, np.zeros(4)
        inverse = cho_solve(factor, eye, check_finite=False)
        weights = inverse @ rests
        value = 0.5 * rests @ weights + np.log(np.diag(factor[0])).sum()
        slopes = np.array([(inverse * part).sum() - weights @ part @ weights for part in parts])
        for i, (middle, pull) in enumerate(_PULLS):
            value += pull * (logs[i] - middle) ** 2
            slopes[i] += 2 * pull * (logs[i] - middle)
        return float(value), slopes

    first = np.log([spread, 0.3 * spread, 0.3 * spread, 0.1 * spread + 0.01])
    highest = min(_BOUNDS[1], float(np.log(max(most_noise, _LEAST_NOISE))))
    bounds = [_BOUNDS, _BOUNDS, _BOUNDS, (float(np.log(_LEAST_NOISE)), highest)]
    first[3] = min(first[3], highest)
    found = minimize(loss, first, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 60})
    return float(found.fun), Sizes(*np.exp(found.x).tolist())


def leave_out(
    inverse: NDArray, weights: NDArray, folds: Sequence[NDArray[np.intp]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Errors (prediction less label) and deviations of each fold by a process that has not seen it.

    Exact for the hyper-parameters as they are (Rasmussen and Williams, Gaussian Processes for Machine
    Learning, 5.4.2).

    Args:
        inverse: of the covariance with noise.
        weights: the inverse times the rests.
        folds: rows of each fold.
    """
    errors, deviations = np.zeros(len(weights)), np.zeros(len(weights))
    for rows in folds:
        block = np.linalg.inv(inverse[np.ix_(rows, rows)])
        errors[rows] = -block @ weights[rows]
        deviations[rows] = np.sqrt(np.diag(block))
    return errors, deviations


def optimism(
    rests: NDArray, kernels: Sequence[NDArray], sizes: Sizes, error: float, *, most_noise: float = np.inf
) -> float:
    """The factor by which errors are larger than leaving out one by one says.

    Sizes have seen all labels. Leaving out a fifth, and fitting sizes to the rest, shows where that counts.

    Args:
        rests: ``(n,)`` eV.
        kernels: those of `fit_sizes`, in its order.
        sizes: fitted to all labels; of many they are held.
        error: eV, the mean of the errors of leaving out one by one.
        most_noise: eV, upper bound of the noise.
    """
    n = len(rests)
    if n < _FEWEST:
        return 1.0
    parts, errors = min(_FIFTHS, n), np.zeros(n)
    atoms, whole, levels, counts = kernels
    for k in range(parts):
        left = np.arange(n) % parts == k
        kept = np.ix_(~left, ~left)
        if n <= _REFITTED:
            _, sizes = fit_sizes(rests[~left], *(one[kept] for one in kernels), most_noise=most_noise)
        lines = sizes.whole**2 * whole + sizes.levels**2 * levels
        matrix = covariance(atoms, lines, counts, size=sizes.atoms)
        noisy = matrix[kept] + sizes.noise**2 * np.eye(int((~left).sum()))
        weights = cho_solve(cho_factor(noisy, lower=True), rests[~left])
        errors[left] = matrix[np.ix_(left, ~left)] @ weights - rests[left]
    expected = np.abs(errors).mean() * (1 - 1 / parts) ** _USUAL_SLOPE
    return max(1.0, float(expected / max(error, _LEAST_ERROR)))
