"""How many labels one way of choosing saves against another, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from alkit.storage.round_metrics import RoundMetrics

_LEVEL = 0.95


class Run(Protocol):
    """The learning curve of one seed."""

    def of(self, column: str) -> NDArray[np.float64]:
        """``(rounds,)``: "labels", or an error."""
        ...


@dataclass(frozen=True)
class Curve:
    """The learning curve of a campaign's rounds."""

    metrics: Sequence[RoundMetrics]

    def of(self, column: str) -> NDArray[np.float64]:
        """See `Run`."""
        return np.array([row[column] for row in self.metrics], dtype=np.float64)


@dataclass(frozen=True)
class Saving:
    """The reference's labels for an error, over those of the other.

    Geometric mean over seeds, 95 % interval, and p-value.

    The interval and the two-sided p-value are those of a paired t-test of the logarithms; NaN for one seed.
    """

    mean: float
    low: float
    high: float
    p: float

    @property
    def clear(self) -> bool:
        """Whether the interval leaves out 1."""
        return self.low > 1 or self.high < 1

    def __str__(self) -> str:
        if np.isnan(self.low):
            return f"{self.mean:.2f}×"
        return f"{self.mean:.2f}× ({self.low:.2f}–{self.high:.2f})"


def saving(runs: Sequence[Run], reference: Sequence[Run], metric: str) -> Saving:
    """The saving at the lowest error that both reach with a seed, the higher one of their last.

    Seeds are in one order.
    """
    return paired(
        np.array([labels_ratio(one, other, metric) for one, other in zip(runs, reference, strict=True)])
    )


def saving_at(runs: Sequence[Run], reference: Sequence[Run], metric: str, level: float) -> Saving | None:
    """The saving at this error; None where a run never has it with a seed.

    A reference that never has it counts with all the labels that it had: the saving is larger than that.
    """
    needed = np.array([labels_for(one, metric, level) for one in runs])
    if not np.isfinite(needed).all():
        return None
    others = [min(labels_for(one, metric, level), float(one.of("labels")[-1])) for one in reference]
    return paired(np.array(others) / needed)


def paired(ratios: NDArray) -> Saving:
    """The mean of ``(seeds,)`` ratios, and its interval."""
    logs = np.log(ratios)
    mean = float(logs.mean())
    if len(logs) < 2 or np.ptp(logs) == 0:
        return Saving(float(np.exp(mean)), *(float("nan"),) * 3)
    error = float(logs.std(ddof=1) / np.sqrt(len(logs)))
    reach = float(stats.t.ppf((1 + _LEVEL) / 2, len(logs) - 1)) * error
    p = float(2 * stats.t.sf(abs(mean) / error, len(logs) - 1))
    return Saving(float(np.exp(mean)), float(np.exp(mean - reach)), float(np.exp(mean + reach)), p)


def labels_ratio(one: Run, reference: Run, metric: str) -> float:
    """Labels of ``reference`` over those of ``one`` at the error that both reach."""
    level = max(one.of(metric)[-1], reference.of(metric)[-1])
    return labels_for(reference, metric, level) / labels_for(one, metric, level)


def labels_for(run: Run, metric: str, level: float) -> float:
    """Labels at which the error is first no more than ``level``; infinite where it never is.

    Between rounds it is on a straight line of the logarithms, as learning curves are power laws.
    """
    labels, errors = run.of("labels"), run.of(metric)
    reached = np.flatnonzero(errors <= level)
    if not len(reached):
        return float("inf")
    k = int(reached[0])
    if k == 0:
        return float(labels[0])
    (a, b), (high, low) = np.log(labels[k - 1 : k + 1]), np.log(errors[k - 1 : k + 1])
    return float(np.exp(a + (b - a) * (high - np.log(level)) / (high - low)))


def compared(one: Saving, metric: str) -> str:
    """A saving in words."""
    name = metric.upper() if metric in ("mae", "rmse") else metric
    if not (one.clear or np.isnan(one.low)):
        return f"not distinguishable in {name} ({one.mean:.2f} times, {one.low:.2f} to {one.high:.2f})"
    fewer = one.mean >= 1
    low, mean, high = (one.low, one.mean, one.high) if fewer else (1 / one.high, 1 / one.mean, 1 / one.low)
    interval = f" ({low:.2f} to {high:.2f})" if one.clear else ", too few seeds for an interval"
    return f"{mean:.2f} times {'fewer' if fewer else 'more'} labels for the same {name}{interval}"
