"""How honest and how useful uncertainties are. Errors and standard deviations are ``(n,)``, in one unit."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, spearmanr

_BINS = 10


def ence(errors: NDArray, std: NDArray, bins: int = _BINS) -> float:
    """Expected normalized calibration error, in bins of equal size by ``std``.

    It is how far the root mean squared error is from the root mean variance, over the latter. Levi et al.,
    Sensors 22, 5540 (2022), https://doi.org/10.3390/s22155540.
    """
    order = np.argsort(std, kind="stable")
    deviations = []
    for part in np.array_split(order, min(bins, len(order))):
        expected, seen = np.sqrt(np.mean(std[part] ** 2)), np.sqrt(np.mean(errors[part] ** 2))
        deviations.append(abs(expected - seen) / expected)
    return float(np.mean(deviations))


def miscalibration_area(
    errors: NDArray, std: NDArray, probability: Callable[[NDArray], NDArray] | None = None
) -> float:
    """Area between perfect calibration and the shares of errors inside central intervals, over all levels.

    0 is perfect, 0.5 the worst (Tran et al., Mach. Learn.: Sci. Technol. 1, 025006 (2020),
    https://doi.org/10.1088/2632-2153/ab7e1a).

    Args:
        errors: ``(n,)`` eV.
        std: ``(n,)`` eV.
        probability: of absolute errors over ``std`` below its argument; by default of a normal distribution.
    """
    levels, shares = calibration_curve(errors, std, probability)
    return float(np.trapezoid(np.abs(shares - levels), levels))


def calibration_curve(
    errors: NDArray, std: NDArray, probability: Callable[[NDArray], NDArray] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Levels from 0 to 1, and the share of errors inside the central interval of each level."""
    scores = np.abs(errors) / std
    inside = np.sort(2 * norm.cdf(scores) - 1 if probability is None else probability(scores))
    levels = np.linspace(0, 1, 201)
    return levels, np.searchsorted(inside, levels, side="right") / len(inside)


def negative_log_likelihood(errors: NDArray, std: NDArray) -> float:
    """Mean over molecules, of a normal distribution, in nats."""
    return -float(norm.logpdf(errors, scale=std).mean())


def rank_correlation(errors: NDArray, std: NDArray) -> float:
    """Spearman's, between ``std`` and the absolute error; 0 where either is the same everywhere."""
    sizes = np.abs(errors)
    ranked = len(sizes) > 2 and np.ptp(std) > 0 and np.ptp(sizes) > 0  # else the correlation is NaN
    return float(spearmanr(std, sizes).statistic) if ranked else 0.0


def sharpness(std: NDArray) -> float:
    """Root mean variance: how certain the model claims to be."""
    return float(np.sqrt(np.mean(np.square(std))))


def rejection_curve(errors: NDArray, std: NDArray) -> NDArray[np.float64]:
    """``(n,)`` mean absolute error of the ``k`` molecules with the smallest ``std``, ``k`` from 1 to n."""
    sizes = np.abs(errors)[np.argsort(std, kind="stable")]
    return np.cumsum(sizes) / np.arange(1, len(sizes) + 1)


def rejection_gain(errors: NDArray, std: NDArray) -> float:
    """Area between the rejection curve and the mean error, over that of an oracle that knows the errors.

    1 is perfect, 0 no better than random order.
    """
    sizes = np.abs(errors)
    gain = sizes.mean() - rejection_curve(errors, std).mean()
    best = sizes.mean() - rejection_curve(errors, sizes).mean()
    return float(gain / best) if best > 0 else 0.0
