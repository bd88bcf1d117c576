"""Plots of studies: learning curves with bands over seeds, and labels saved with intervals."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from alkit.reporting import plot_style as look
from alkit.reporting.page_parts import Plot
from alkit.reporting.savings import Run, Saving

TITLES = {"mae": "MAE", "rmse": "RMSE", "q95": "q95", "max": "largest error"}
_MOST_SAID = 6  # arms in the words below a plot; the table has them all
_WRAPPED = 26  # characters of a name beside an axis


def learning_curves(
    runs: Mapping[str, Sequence[Run]], metrics: Sequence[str], unit: str = "eV"
) -> list[Plot]:
    """A plot for each error.

    Args:
        runs: of every arm, by its name.
        metrics: errors to plot, by name.
        unit: of the errors.
    """
    return [_learning_curve(runs, metric, unit) for metric in metrics]


def savings(ratios: Mapping[str, Mapping[str, Saving]], reference: str) -> Plot:
    """Labels of the reference over those of each arm for the same error, with 95 % intervals.

    Args:
        ratios: by arm and metric.
        reference: name of the arm that others are compared with.
    """
    said = "; ".join(
        f"{name}: " + ", ".join(f"{TITLES[metric]} {one}" for metric, one in arm.items())
        for name, arm in list(ratios.items())[:_MOST_SAID]
    )
    words = f"Labels of {reference} over the other's for the same error, with 95 % intervals. {said}."
    return Plot("savings", "Labels saved", words, partial(_draw_savings, ratios, reference))


def _learning_curve(runs: Mapping[str, Sequence[Run]], metric: str, unit: str) -> Plot:
    last = {name: float(np.mean([run.of(metric)[-1] for run in arm])) for name, arm in runs.items()}
    said = "; ".join(f"{name} {error:.3f} {unit}" for name, error in list(last.items())[:_MOST_SAID])
    seeds = max(map(len, runs.values()))
    band = f"; mean and band of one standard deviation over {seeds} seeds" if seeds > 1 else ""
    words = f"{TITLES[metric]} on the test set against labels{band}. With all labels: {said}."
    draw = partial(_draw_learning_curve, runs, metric, unit)
    return Plot(f"learning_curve_{metric}", f"Learning curves, {TITLES[metric]}", words, draw)


def _draw_learning_curve(runs: Mapping[str, Sequence[Run]], metric: str, unit: str, path: Path) -> None:
    rows = (len(runs) + 1) // 2
    drawn, axes = look.figure(height=look.HEIGHT + 0.18 * rows)
    for k, (name, arm) in enumerate(runs.items()):
        rounds = min(len(run.of("labels")) for run in arm)  # of all seeds
        labels = np.mean([run.of("labels")[:rounds] for run in arm], axis=0)
        curves = np.array([run.of(metric)[:rounds] for run in arm])
        mean, style = curves.mean(axis=0), look.series(k)
        marks = {"marker": style.marker, "markevery": max(1, rounds // 8), "ms": 5}
        axes.plot(labels, mean, color=style.colour, ls=style.dash, lw=1.8, label=name, **marks)
        if len(arm) > 1:
            spread = curves.std(axis=0, ddof=1)
            low = np.maximum(mean - spread, 0.05 * mean)  # the axis is logarithmic
            axes.fill_between(labels, low, mean + spread, color=style.colour, alpha=0.13, lw=0)
    axes.set(xscale="log", yscale="log", xlabel="labels", ylabel=f"{TITLES[metric]} on the test set, {unit}")
    look.plain_ticks(axes.xaxis)
    look.plain_ticks(axes.yaxis)
    look.save_both(drawn, path, legend=2 if max(map(len, runs)) < _WRAPPED else 1)


def _draw_savings(ratios: Mapping[str, Mapping[str, Saving]], reference: str, path: Path) -> None:
    metrics = list(next(iter(ratios.values())))
    names = [textwrap.fill(name, _WRAPPED) for name in ratios]
    lines = sum(max(2, name.count("\n") + 1) for name in names)
    drawn, axes = look.figure(height=max(look.HEIGHT, 0.25 * lines + 1.4))
    places = np.arange(len(ratios))[::-1].astype(float)
    for k, metric in enumerate(metrics):
        savings_ = [arm[metric] for arm in ratios.values()]
        means = np.array([one.mean for one in savings_])
        # One seed has no interval: its bar has no length.
        reach = np.nan_to_num(np.array([[one.mean - one.low, one.high - one.mean] for one in savings_]))
        style, y = look.series(k), places + 0.27 - 0.18 * k
        axes.errorbar(
            means,
            y,
            xerr=reach.T,
            fmt=style.marker,
            ms=5,
            capsize=2,
            color=style.colour,
            label=TITLES[metric],
        )
    axes.axvline(1.0, color=look.INK, lw=1, ls="--")
    axes.set_yticks(places, names)
    axes.set_ylim(-0.6, len(ratios) - 0.4)
    axes.set(xscale="log", xlabel=textwrap.fill(f"labels of {reference}, over the other's", 45))
    look.plain_ticks(axes.xaxis)
    axes.grid(visible=False, axis="y")
    look.save_both(drawn, path, legend=4)
