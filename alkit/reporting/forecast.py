"""How many labels an error will take: a power law through the validation errors so far, with its interval.

Errors of kernel methods and networks fall as powers of the number of labels (Cortes et al., NeurIPS 1993; for
energies of molecules von Lilienfeld, Mueller, Tkatchenko, doi:10.1038/s41570-020-0189-9). The test set has no
part in it: whoever acts on a forecast would else choose by the test set.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student

FEWEST_ROUNDS = 3
# What learning curves usually have, as the slope of their logarithms, and how far they are from it. The usual
# slope counts as much as rounds whose logarithms of labels have this variance. Chosen on curves of QM9
# (benchmarks/forecast.py, other draws): without it, rounds that lie close together say too much.
_USUAL_SLOPE, _USUAL_SPREAD = -0.5, 0.1
_USUAL_COUNTS = 0.03
_LEVEL = 0.9


@dataclass(frozen=True)
class Forecast:
    """Labels until an error is reached: best guess and 90 % interval; infinite where it may never be."""

    labels: float
    low: float
    high: float


def forecast(metrics: Sequence[Mapping[str, float]], error: float) -> Forecast | None:
    """Forecast of the validation MAE.

    Args:
        metrics: of every round.
        error: to be reached, in the unit of the metrics.

    Returns:
        None for fewer than three rounds, or where errors do not fall.
    """
    curve = _Curve.fit(metrics)
    if curve is None:
        return None
    wanted = np.log(error)
    guess = curve.centre + (wanted - curve.height) / curve.slope
    # Fieller: all sizes at which an error so low would not surprise.
    grid = np.linspace(np.log(metrics[0]["labels"]), curve.centre + np.log(1e4), 4000)
    unsurprising = grid[np.abs(curve.at(grid) - wanted) <= curve.reach(grid)]
    if not len(unsurprising):
        return Forecast(float(np.exp(guess)), float(np.exp(guess)), float(np.exp(guess)))
    high = np.inf if unsurprising[-1] == grid[-1] else float(np.exp(unsurprising[-1]))
    return Forecast(float(np.exp(guess)), float(np.exp(unsurprising[0])), high)


def gain(metrics: Sequence[Mapping[str, float]], batch: int) -> float | None:
    """The fall of the validation MAE by the next ``batch`` of labels; None where `forecast` has none."""
    curve = _Curve.fit(metrics)
    if curve is None:
        return None
    labels = metrics[-1]["labels"]
    now, then = np.exp(curve.at(np.log([labels, labels + batch])))
    return float(now - then)


@dataclass(frozen=True)
class _Curve:
    """A straight line through the logarithms: ``height`` at ``centre``, ``slope``; and how sure it is.

    Rounds count in proportion to their labels, as the early ones lie off the power law.
    """

    centre: float
    height: float
    slope: float
    variance: float
    spread: float  # of the logarithms of labels: variance about their mean, with what the usual slope counts
    rounds: int
    last: float  # logarithm of the labels so far

    @classmethod
    def fit(cls, metrics: Sequence[Mapping[str, float]]) -> _Curve | None:
        """None for fewer than three rounds, or where errors do not fall."""
        if len(metrics) < FEWEST_ROUNDS:
            return None
        x = np.log([row["labels"] for row in metrics])
        y = np.log([max(row["validation_mae"], 1e-9) for row in metrics])
        weights = np.exp(x - x.max())
        weights /= weights.sum()
        centre, height = float(weights @ x), float(weights @ y)
        spread, falls = float(weights @ (x - centre) ** 2), float(weights @ ((x - centre) * (y - height)))
        if falls >= 0:
            return None
        slope = (falls + _USUAL_COUNTS * _USUAL_SLOPE) / (spread + _USUAL_COUNTS)
        residuals = y - height - slope * (x - centre)
        variance = float(weights @ residuals**2) * len(x) / (len(x) - 2)
        return cls(centre, height, slope, variance, spread + _USUAL_COUNTS, len(x), float(x[-1]))

    def at(self, x: np.ndarray) -> np.ndarray:
        return self.height + self.slope * (x - self.centre)

    def reach(self, x: np.ndarray) -> np.ndarray:
        """Half the width of the 90 % interval of the line; beyond the last round slopes may change too."""
        quantile = student.ppf((1 + _LEVEL) / 2, self.rounds - 2)
        known = (1 + (x - self.centre) ** 2 / self.spread) / self.rounds
        beyond = norm.ppf((1 + _LEVEL) / 2) * _USUAL_SPREAD * np.maximum(x - self.last, 0)
        return np.asarray(np.hypot(quantile * np.sqrt(self.variance * known), beyond))


def sentence(metrics: Sequence[Mapping[str, float]], error: float, batch: int, unit: str = "eV") -> str:
    """The forecast in words; empty where there is none, or the error is reached."""
    found, next_gain = forecast(metrics, error), gain(metrics, batch)
    if found is None or next_gain is None or metrics[-1]["validation_mae"] <= error:
        return ""
    high = f"{found.high:,.0f}" if np.isfinite(found.high) else "more than can be said"
    return (
        f"At this pace {error:.3g} {unit} takes about {found.labels:,.0f} labels (90 % interval "
        f"{found.low:,.0f} to {high}; validation MAE of {len(metrics)} rounds); the next batch of {batch} is "
        f"worth {next_gain:.3f} {unit}."
    )
