"""Plots of studies: learning curves with bands over seeds, and labels saved with intervals."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from alkit.reporting import plots
from alkit.reporting.savings import Run, Saving

_COLOURS = ("#8c8c8c", "#2563a8", "#d9722e", "#3a8f5c", "#8a4fa3", "#b03a48", "#1a9aa0", "#b8860b", "#5b5b8c")
TITLES = {"mae": "MAE", "rmse": "RMSE", "q95": "q95", "max": "largest error"}
_FEWEST_TICKS = 3
_SHOWN = (0.2, 8.0)  # times, of the labels: an interval of two seeds may be far wider
_TICKS = (50, 100, 200, 300, 500, 1000, 2000, 5000)


def learning_curves(
    runs: Mapping[str, Sequence[Run]], metrics: Sequence[str], path: Path, unit: str = "eV"
) -> Path:
    """Each error against labels: the mean over seeds, and a band of one standard deviation.

    Args:
        runs: of every arm, by its name. The first is grey.
        unit: of the errors.
    """
    figure, grid = plots.figure(len(metrics))
    for axes, metric in zip(np.atleast_1d(grid), metrics, strict=True):
        for k, (name, arm) in enumerate(runs.items()):
            rounds = min(len(run.of("labels")) for run in arm)  # of all seeds
            labels = np.mean([run.of("labels")[:rounds] for run in arm], axis=0)
            curves = np.array([run.of(metric)[:rounds] for run in arm])
            mean, colour = curves.mean(axis=0), _COLOURS[k % len(_COLOURS)]
            axes.plot(labels, mean, color=colour, lw=1.8, label=name if metric == metrics[0] else None)
            if len(arm) > 1:
                spread = curves.std(axis=0, ddof=1)
                axes.fill_between(labels, mean - spread, mean + spread, color=colour, alpha=0.13, lw=0)
        axes.set(xscale="log", yscale="log", xlabel="labels", ylabel=f"{TITLES[metric]}, {unit}")
        ticks = [n for n in _TICKS if labels[0] <= n <= labels[-1]]
        if len(ticks) < _FEWEST_TICKS:
            ticks = [round(n) for n in labels]
        axes.set_xticks(ticks, [f"{n:,}" for n in ticks])
        axes.minorticks_off()
        plots.plain_ticks(axes.yaxis)
    return plots.finish(figure, path, columns=5 if max(map(len, runs)) < 30 else 2)


def savings(ratios: Mapping[str, Mapping[str, Saving]], reference: str, path: Path) -> Path:
    """Labels of the reference over those of each arm for the same error, with 95 % intervals.

    Args:
        ratios: by arm and metric.
    """
    figure, axes = plots.figure()
    places = np.arange(len(ratios))[::-1].astype(float)
    metrics = list(next(iter(ratios.values())))
    for k, metric in enumerate(metrics):
        found = [arm[metric] for arm in ratios.values()]
        means = np.array([one.mean for one in found])
        reach = np.nan_to_num(np.array([[one.mean - one.low, one.high - one.mean] for one in found]))
        y = places + 0.27 - 0.18 * k
        axes.errorbar(
            means, y, xerr=reach.T, fmt="o", ms=5, capsize=2, color=_COLOURS[k + 1], label=TITLES[metric]
        )
    axes.axvline(1.0, color=plots.GREY, lw=1)
    axes.set_yticks(places, [name.replace(", ", ",\n") for name in ratios], fontsize="small")
    said = f"labels of {reference}, over the other's, for the same error"
    axes.set(xscale="log", xlabel=textwrap.fill(said, 45))
    low, high = axes.get_xlim()
    axes.set_xlim(max(low, _SHOWN[0]), min(high, _SHOWN[1]))
    plots.plain_ticks(axes.xaxis)
    axes.set_title("Labels saved", loc="left")
    return plots.finish(figure, path, columns=4)
