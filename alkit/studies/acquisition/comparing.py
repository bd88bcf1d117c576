"""How many labels a function saves against random selection, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from alkit.studies.acquisition.running import COLUMNS, METRICS, Results, Run
from alkit.studies.acquisition.settings import REFERENCE

_LEVEL = 0.95


@dataclass(frozen=True)
class Saving:
    """Random's labels for an error, over the function's: geometric mean over seeds, 95 % interval, p-value.

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


def saving(results: Results, function: str, metric: str) -> Saving:
    """At the lowest error that both reach with a seed: the higher one of their last."""
    pairs = zip(results.of(function), results.of(REFERENCE), strict=True)
    return paired(np.array([labels_ratio(one, other, metric) for one, other in pairs]))


def paired(ratios: NDArray) -> Saving:
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
    """Labels at which the error is first no more than ``level``: on a straight line between rounds, of the
    logarithms, as learning curves are power laws. Infinite where it never is."""
    labels, errors = run.of("labels"), run.of(metric)
    reached = np.flatnonzero(errors <= level)
    if not len(reached):
        return float("inf")
    k = int(reached[0])
    if k == 0:
        return float(labels[0])
    (a, b), (high, low) = np.log(labels[k - 1 : k + 1]), np.log(errors[k - 1 : k + 1])
    return float(np.exp(a + (b - a) * (high - np.log(level)) / (high - low)))


def worst_round(results: Results, function: str, metric: str) -> float:
    """The largest excess of the mean error over random's in any round, as a share; negative: never worse."""
    one, other = (
        np.mean([run.of(metric) for run in results.of(name)], axis=0) for name in (function, REFERENCE)
    )
    return float((one[1:] / other[1:]).max() - 1)


def found(results: Results, function: str, labels: int) -> float:
    """Mean share of the pool's best that was labelled with so many labels; NaN where no round has them."""
    shares = [run.of("found")[run.of("labels") == labels] for run in results.of(function)]
    return float(np.mean(shares)) if all(len(share) for share in shares) else float("nan")


def rows(results: Results) -> list[dict[str, object]]:
    """Every round of every run, as a table's rows."""
    return [
        {"function": run.function, "seed": run.seed, **dict(zip(COLUMNS, row.tolist(), strict=True))}
        for run in results.runs
        for row in run.rows
    ]


def study_verdict(results: Results) -> list[str]:
    """A plain sentence for each function, losers as plainly as winners."""
    sentences = []
    for function in results.settings.functions:
        said = [_compared(saving(results, function.title, metric), metric) for metric in METRICS]
        sentences.append(f"{function.title} against random: {'; '.join(said)}.")
    if results.settings.seeds < 5:
        sentences.append("Fewer than 5 seeds: the intervals are wide, and a seed more may change a verdict.")
    return sentences


def _compared(one: Saving, metric: str) -> str:
    name = metric.upper() if metric in ("mae", "rmse") else metric
    if not (one.clear or np.isnan(one.low)):
        return f"not told apart in {name} ({one.mean:.2f} times, {one.low:.2f} to {one.high:.2f})"
    fewer = one.mean >= 1
    low, mean, high = (one.low, one.mean, one.high) if fewer else (1 / one.high, 1 / one.mean, 1 / one.low)
    interval = f" ({low:.2f} to {high:.2f})" if one.clear else ", too few seeds for an interval"
    return f"{mean:.2f} times {'fewer' if fewer else 'more'} labels for the same {name}{interval}"
