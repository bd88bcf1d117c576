"""Comparing models on the same molecules: errors, regression, residuals, and paired bootstrap intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import linregress

from alkit.models.metrics import error_sizes, r_squared

_RESAMPLES = 2000
_INTERVAL = (2.5, 97.5)  # percentiles of a 95 % interval


def regression_metrics(truth: NDArray, predicted: NDArray) -> dict[str, float]:
    """``mae``, ``rmse`` (eV), ``mse`` (eV²), ``r2``, ``slope`` and ``intercept`` (eV) of prediction on label.

    Args:
        truth: ``(n,)`` eV.
        predicted: ``(n,)`` eV.

    Raises:
        ValueError: fewer than two molecules, or all of one energy.
    """
    truth, predicted = np.asarray(truth, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    errors = predicted - truth
    line = linregress(truth, predicted)
    sizes = error_sizes(errors)
    return {
        "mae": sizes["mae"],
        "mse": float((errors**2).mean()),
        "rmse": sizes["rmse"],
        "r2": r_squared(truth, predicted),
        "slope": float(line.slope),
        "intercept": float(line.intercept),
    }


@dataclass(frozen=True)
class Difference:
    """Mean absolute error of one arm less that of another, eV, with its 95 % interval."""

    mean: float
    low: float
    high: float

    @property
    def clear(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low > 0 or self.high < 0


def paired_bootstrap(
    first: NDArray, second: NDArray, *, rng: np.random.Generator, resamples: int = _RESAMPLES
) -> Difference:
    """The difference of two arms' MAE, with what molecules and training sets leave open.

    Both arms are measured on the same molecules with the same seeds (training sets). So the difficulty of a
    molecule or a training set cancels. Molecules are resampled in pairs (percentile interval: Efron,
    Tibshirani, "An Introduction to the Bootstrap" (1993), https://doi.org/10.1201/9780429246593). Seeds are
    too few for that: resampling three of them gives intervals that are far too narrow. So their part is drawn
    from Student's t with one degree of freedom less than there are seeds. A single seed adds nothing.

    Args:
        first: ``(seeds, n)`` absolute errors in eV.
        second: likewise, seeds and molecules in the same order.
        rng: of the draws.
        resamples: number of draws.
    """
    differences = np.asarray(first) - np.asarray(second)
    seeds, n = differences.shape
    deviations = differences.mean(axis=1) - differences.mean()
    draws = np.empty(resamples)
    for k in range(resamples):
        weights = np.bincount(rng.integers(n, size=n), minlength=n)
        draws[k] = (differences.mean(axis=0) * weights).sum() / n
        if seeds > 1:
            # The deviations times normal numbers are normal with their variance; over a chi, that is a t.
            draws[k] += deviations @ rng.normal(size=seeds) / np.sqrt(seeds * rng.chisquare(seeds - 1))
    low, high = np.percentile(draws, _INTERVAL)
    return Difference(float(differences.mean()), float(low), float(high))


def mean_interval(values: Sequence[float]) -> tuple[float, float]:
    """Mean and standard deviation over seeds; the deviation of a single seed is NaN."""
    numbers = np.asarray(values, dtype=np.float64)
    return float(numbers.mean()), float(numbers.std(ddof=1)) if len(numbers) > 1 else float("nan")
