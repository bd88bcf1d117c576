"""The plots of a study of 2D against 3D, a function each."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alkit.reporting import plot_style as look
from alkit.reporting.page_parts import Plot
from alkit.reporting.residuals import by_element, by_size, residuals_by
from alkit.studies.geometry.running import Results, curves
from alkit.studies.geometry.settings import ARMS
from alkit.studies.statistics import mean_interval
from alkit.units import CHEMICAL_ACCURACY


def study_plots(results: Results, *, floor: float | None) -> list[Plot]:
    """All plots of a study; ``floor``: eV, noise floor of stereo-less SMILES."""
    size, smiles = max(results.settings.sizes), results.smiles
    said = "; ".join(f"{ARMS[arm].title} {_mae(results, arm):.3f} eV" for arm in results.settings.arms)
    curve = f"Test MAE against labels, with one standard deviation over seeds. With {size:,} labels: {said}."
    loss = f"Validation MAE of the first seed's networks with {size:,} labels, against"
    by = f"Test MAE with {size:,} labels, all seeds, with 95 % intervals over molecules."
    return [
        Plot("learning_curves", "Learning curves", curve, partial(_learning_curves, results, floor)),
        Plot("loss_epoch", "Loss by epoch", f"{loss} epochs.", partial(_losses, results, "epoch")),
        Plot("loss_time", "Loss by time", f"{loss} training time.", partial(_losses, results, "seconds")),
        *(_parity_plot(results, arm) for arm in results.settings.arms),
        Plot("residual_size", "Error by heavy atoms", by, partial(_residuals, results, by_size(smiles))),
        Plot("residual_element", "Error by element", by, partial(_residuals, results, by_element(smiles))),
    ]


def _learning_curves(results: Results, floor: float | None, path: Path) -> None:
    drawn, axes = look.figure(height=look.HEIGHT + 0.8)
    sizes = results.settings.sizes
    for arm, style in _arms(results):
        points = [mean_interval([fit.metrics["mae"] for fit in results.of(arm, size)]) for size in sizes]
        mean, spread = np.array(points).T
        spread = np.nan_to_num(spread)
        axes.errorbar(
            sizes,
            mean,
            yerr=(np.minimum(spread, 0.95 * mean), spread),  # the axis is logarithmic
            fmt=style.marker,
            ls=style.dash,
            ms=5,
            capsize=3,
            color=style.colour,
            label=ARMS[arm].title,
        )
    for key, dash in (("elements", "-"), ("bonds", "--")):
        lines = [
            np.mean([f.metrics[f"baseline_{key}"] for f in results.fits if f.size == size]) for size in sizes
        ]
        axes.plot(sizes, lines, dash, marker="_", color=look.GREY, label=f"{key[:-1]} counts")
    axes.axhline(CHEMICAL_ACCURACY, color=look.INK, lw=1, ls=":", label="1 kcal/mol")
    if floor:
        axes.axhline(floor, color=look.INK, lw=1, ls="-.", label="SMILES without stereo: noise floor")
    axes.set(xscale="log", yscale="log", xlabel="labels (validation included)", ylabel="test MAE, eV")
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.minorticks_off()
    look.plain_ticks(axes.yaxis)
    look.save_both(drawn, path, legend=1 if floor else 2)


def _losses(results: Results, against: str, path: Path) -> None:
    drawn, axes = look.figure()
    for arm, style in _arms(results):
        for fit in results.of(arm, max(results.settings.sizes))[:1]:
            for k, rows in enumerate(curves(fit)):
                x, label = [row[against] for row in rows], ARMS[arm].title if k == 0 else None
                y = [row["val_MAE"] for row in rows]
                axes.plot(x, y, color=style.colour, ls=style.dash, lw=1.2, alpha=0.8, label=label)
    unit = "epoch" if against == "epoch" else "training time of one network, s"
    axes.set(yscale="log", xlabel=unit, ylabel="validation MAE, eV")
    look.plain_ticks(axes.yaxis)
    look.save_both(drawn, path, legend=1)


def _parity_plot(results: Results, arm: str) -> Plot:
    fit = results.of(arm, max(results.settings.sizes))[0]
    m = fit.metrics
    words = (
        f"Prediction against label, first seed: MAE {m['mae']:.3f} eV, R² {m['r2']:.5f}, slope "
        f"{m['slope']:.4f}, intercept {m['intercept']:.2f} eV."
    )
    draw = partial(_parity, results.truth, fit.predicted, dict(_arms(results))[arm])
    return Plot(f"parity_{arm.replace('-', '_')}", f"Parity, {ARMS[arm].title}", words, draw)


def _parity(truth: NDArray, predicted: NDArray, style: look.Style, path: Path) -> None:
    drawn, axes = look.figure()
    ends = [min(truth.min(), predicted.min()), max(truth.max(), predicted.max())]
    axes.plot(ends, ends, color=look.GREY, lw=1, ls="--")
    many = len(truth) > look.MOST_VECTORS
    axes.plot(truth, predicted, style.marker, ms=3, alpha=0.5, color=style.colour, rasterized=many)
    axes.set(xlabel="label, eV", ylabel="prediction, eV")
    axes.locator_params(nbins=4)  # total energies have long numbers
    look.save_both(drawn, path)


def _residuals(results: Results, groups: Mapping[str, NDArray[np.bool_]], path: Path) -> None:
    size, arms = max(results.settings.sizes), _arms(results)
    found = [residuals_by(groups, results.errors(arm, size)) for arm, _ in arms]
    drawn, axes = look.figure(height=max(look.HEIGHT, 0.2 * len(found[0]) * len(arms) + 1.4))
    for k, (rows, (arm, style)) in enumerate(zip(found, arms, strict=True)):
        mae = np.array([row.mae for row in rows])
        reach = np.array([row.half_width if np.isfinite(row.half_width) else 0.0 for row in rows])
        places = np.arange(len(rows))[::-1] + 0.6 * ((len(arms) - 1) / 2 - k) / len(arms)
        bars = {"xerr": (np.minimum(reach, mae), reach), "fmt": style.marker, "capsize": 2, "ms": 5}
        axes.errorbar(mae, places, color=style.colour, label=ARMS[arm].title, **bars)
    axes.set_yticks(np.arange(len(found[0]))[::-1], [f"{row.group} ({row.n:,})" for row in found[0]])
    axes.set(xlim=(0, None), ylim=(-0.6, len(found[0]) - 0.4), xlabel="test MAE, eV")
    axes.locator_params(axis="x", nbins=5)
    axes.grid(visible=False, axis="y")
    look.save_both(drawn, path, legend=1)


def _mae(results: Results, arm: str) -> float:
    fits = results.of(arm, max(results.settings.sizes))
    return float(np.mean([fit.metrics["mae"] for fit in fits]))


def _arms(results: Results) -> list[tuple[str, look.Style]]:
    return [(arm, look.series(k)) for k, arm in enumerate(results.settings.arms)]
