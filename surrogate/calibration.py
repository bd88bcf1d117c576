"""Making an ensemble's spread mean something, with molecules it was not trained on."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_NORMAL_90 = 1.6448536269514722  # half-width of the central 90 % of a standard normal
_SMALLEST = 1e-12  # eV²; keeps logarithms and divisions finite
_PRIOR_WEIGHTS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)


@dataclass(frozen=True)
class Calibration:
    """``variance = scale² · (w · typical + (s − 1) · raw) / (w + s − 1)`` for an ensemble of ``s`` members.

    The variance of two or three predictions is itself so noisy that it is often near zero by chance. It is
    therefore moderated towards the typical one (Smyth, Stat. Appl. Genet. Mol. Biol. 3, 3 (2004),
    https://doi.org/10.2202/1544-6115.1027), which keeps the order of the molecules, and then scaled by the
    maximum-likelihood factor for Gaussian errors (Laves et al., MIDL 2020,
    https://doi.org/10.48550/arXiv.2006.09386). The weight ``w`` of the typical variance is the likeliest of a
    few.

    Attributes:
        scale: factor on the standard deviation.
        typical: eV², mean raw variance of the molecules that were fitted on.
        weight: ``w``, in members.
    """

    scale: float = 1.0
    typical: float = 0.0
    weight: float = 0.0

    @classmethod
    def fit(cls, errors: NDArray, samples: NDArray) -> "Calibration":
        """Fit on ``(n,)`` errors of the mean and ``(s, n)`` predictions, eV."""
        squares = np.asarray(errors, dtype=np.float64) ** 2
        typical = float(np.asarray(samples).var(axis=0, ddof=1).mean())
        fits = []
        for weight in _PRIOR_WEIGHTS:
            variance = cls(1.0, typical, weight)(samples) ** 2
            factor = max(float(np.mean(squares / variance)), _SMALLEST)
            likelihood = -float(np.mean(np.log(factor * variance)))  # the rest does not depend on the weight
            fits.append((likelihood, cls(float(np.sqrt(factor)), typical, weight)))
        return max(fits, key=lambda fit: fit[0])[1]

    def __call__(self, samples: NDArray) -> NDArray[np.float64]:
        """``(n,)`` calibrated standard deviations, eV, of ``(s, n)`` predictions; NaN where s is 1."""
        samples = np.asarray(samples, dtype=np.float64)
        if len(samples) < 2:
            return np.full(samples.shape[1], np.nan)
        freedom = len(samples) - 1
        moderated = self.weight * self.typical + freedom * samples.var(axis=0, ddof=1)
        return self.scale * np.sqrt(moderated / (self.weight + freedom) + _SMALLEST)


def coverage_90(errors: NDArray, std: NDArray) -> float:
    """Share of errors inside the central 90 % interval of a normal with these standard deviations."""
    return float(np.mean(np.abs(errors) <= _NORMAL_90 * np.asarray(std)))
