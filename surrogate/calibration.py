"""Making an ensemble's spread mean something, with molecules it was not trained on."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

_NORMAL_90 = 1.6448536269514722  # half-width of the central 90 % of a standard normal
_SMALLEST = 1e-6  # eV; keeps logarithms and divisions finite


@dataclass(frozen=True)
class Calibration:
    """``calibrated variance = floor² + (scale · raw std)²``, floor in eV.

    Both are fitted by maximum likelihood of Gaussian errors. The floor is what makes few members usable: a
    spread of two or three models is often near zero by chance, and a factor alone would be driven to
    thousands by such molecules. Scaling alone: Laves et al., MIDL 2020,
    https://doi.org/10.48550/arXiv.2006.09386.
    """

    scale: float = 1.0
    floor: float = 0.0

    @classmethod
    def fit(cls, errors: NDArray, std: NDArray) -> "Calibration":
        """Fit on ``(n,)`` errors and raw standard deviations, eV."""
        squares, variances = np.asarray(errors, dtype=np.float64) ** 2, np.asarray(std, dtype=np.float64) ** 2
        typical = max(math.sqrt(squares.mean()), _SMALLEST)

        def loss(logs: NDArray) -> float:
            floor, scale = np.exp(np.clip(logs, -30, 30))
            variance = (typical * floor) ** 2 + scale**2 * variances + _SMALLEST**2
            return float(np.mean(np.log(variance) + squares / variance))

        found = minimize(loss, x0=np.log([0.5, 0.5]), method="Nelder-Mead")
        floor, scale = np.exp(np.clip(found.x, -30, 30))
        return cls(scale=float(scale), floor=float(typical * floor))

    def __call__(self, std: NDArray) -> NDArray[np.float64]:
        return np.sqrt(self.floor**2 + (self.scale * np.asarray(std, dtype=np.float64)) ** 2 + _SMALLEST**2)


def coverage_90(errors: NDArray, std: NDArray) -> float:
    """Share of errors inside the central 90 % interval of a normal with these standard deviations."""
    return float(np.mean(np.abs(errors) <= _NORMAL_90 * np.asarray(std)))
