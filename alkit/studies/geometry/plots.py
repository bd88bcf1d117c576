"""The plots of a study, as PNG files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from alkit.reporting import plots
from alkit.studies.geometry.running import Results, curves
from alkit.studies.geometry.settings import ARMS
from alkit.studies.statistics import mean_interval, residuals_by
from alkit.units import CHEMICAL_ACCURACY

_COLOURS = ("#2563a8", "#d9722e", "#3a8f5c", "#8a4fa3", "#b03a48")


def draw(results: Results, folder: Path, *, floor: float | None) -> list[Path]:
    """All plots of a study; ``floor``: eV, noise floor of stereo-less SMILES."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = [
        learning_curves(results, folder / "learning_curves.png", floor=floor),
        losses(results, folder / "loss_epoch.png", against="epoch"),
        losses(results, folder / "loss_time.png", against="seconds"),
        parity(results, folder / "parity.png"),
        by_size(results, folder / "residual_size.png"),
        by_element(results, folder / "residual_element.png"),
    ]
    return drawn


def learning_curves(results: Results, path: Path, *, floor: float | None) -> Path:
    """Test MAE of every arm against labels, with one standard deviation over seeds."""
    figure, axes = plots.figure()
    sizes = results.settings.sizes
    for arm, colour in _arms(results):
        points = [mean_interval([fit.metrics["mae"] for fit in results.of(arm, size)]) for size in sizes]
        mean, spread = np.array(points).T
        axes.errorbar(
            sizes,
            mean,
            yerr=np.nan_to_num(spread),
            fmt="o-",
            ms=4,
            capsize=3,
            color=colour,
            label=ARMS[arm].title,
        )
    for key, style in (("elements", "-"), ("bonds", "--")):
        lines = [
            np.mean([f.metrics[f"baseline_{key}"] for f in results.fits if f.size == size]) for size in sizes
        ]
        marker = "_" if len(sizes) == 1 else None
        axes.plot(sizes, lines, style, marker=marker, color=plots.GREY, label=f"{key[:-1]} counts")
    axes.axhline(CHEMICAL_ACCURACY, color="#222222", lw=1, ls=":", label="1 kcal/mol")
    if floor:
        axes.axhline(floor, color="#222222", lw=1, ls="-.", label="SMILES without stereo: noise floor")
    axes.set(xscale="log", yscale="log", xlabel="labels (validation included)", ylabel="test MAE, eV")
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.minorticks_off()
    plots.plain_ticks(axes.yaxis)
    axes.set_title("Learning curves", loc="left")
    return plots.finish(figure, path, columns=2)


def losses(results: Results, path: Path, *, against: str) -> Path:
    """Validation MAE of the first seed's networks at the largest size, against epochs or seconds."""
    figure, axes = plots.figure()
    size = max(results.settings.sizes)
    for arm, colour in _arms(results):
        for fit in results.of(arm, size)[:1]:
            for k, rows in enumerate(curves(fit)):
                x = [row[against] for row in rows]
                label = ARMS[arm].title if k == 0 else None
                axes.plot(x, [row["val_MAE"] for row in rows], color=colour, lw=1.2, alpha=0.8, label=label)
    unit = "epoch" if against == "epoch" else "training time of one network, s"
    axes.set(yscale="log", xlabel=unit, ylabel="validation MAE, eV")
    plots.plain_ticks(axes.yaxis)
    axes.set_title(f"Training with {size:,} labels, seed 0", loc="left")
    return plots.finish(figure, path, columns=1)


def parity(results: Results, path: Path) -> Path:
    """Prediction against label at the largest size, a panel for each arm; first seed."""
    size, truth = max(results.settings.sizes), results.truth
    figure, panels = plots.figure(columns=len(results.settings.arms))
    ends = [truth.min(), truth.max()]
    for axes, (arm, colour) in zip(panels, _arms(results), strict=True):
        fit = results.of(arm, size)[0]
        axes.plot(ends, ends, color=plots.GREY, lw=1)
        axes.plot(truth, fit.predicted, "o", ms=2.5, alpha=0.4, color=colour, rasterized=True)
        m = fit.metrics
        lines = [f"MAE {m['mae']:.3f} eV", f"R² {m['r2']:.5f}"]
        lines += [f"slope {m['slope']:.4f}", f"intercept {m['intercept']:.2f} eV"]
        axes.text(0.04, 0.96, "\n".join(lines), transform=axes.transAxes, va="top", fontsize=8)
        axes.set_title(ARMS[arm].title, loc="left", fontsize=9)
        axes.set(xlabel="label, eV", aspect="equal")
        axes.locator_params(axis="x", nbins=4)  # total energies have long numbers
    panels[0].set_ylabel("prediction, eV")
    return plots.finish(figure, path, columns=0)


def by_size(results: Results, path: Path) -> Path:
    """MAE by the number of heavy atoms at the largest size, all seeds."""
    from rdkit import Chem

    heavy = [Chem.MolFromSmiles(one).GetNumHeavyAtoms() for one in results.smiles]
    return _bars(results, path, [heavy], "heavy atoms", "Error by size of the molecule")


def by_element(results: Results, path: Path) -> Path:
    """MAE of the molecules that contain an element at the largest size, all seeds."""
    from alkit.models.metrics import element_counts

    elements_of = [set(element_counts(one)) - {"H"} for one in results.smiles]
    elements = sorted(set().union(*elements_of))
    groups = [[element if element in one else "" for one in elements_of] for element in elements]
    return _bars(results, path, groups, "molecules with the element", "Error by element")


def _bars(results: Results, path: Path, groupings: list, xlabel: str, title: str) -> Path:
    figure, axes = plots.figure()
    size, width = max(results.settings.sizes), 0.8 / len(results.settings.arms)
    names: list[str] = []
    for k, (arm, colour) in enumerate(_arms(results)):
        errors = results.errors(arm, size)
        residuals = {
            group: values
            for groups in groupings
            for group, values in residuals_by(list(groups) * len(errors), errors.ravel()).items()
            if group != ""
        }
        names = [f"{group}\nn = {count // len(errors):,}" for group, (count, _, _) in residuals.items()]
        places = np.arange(len(residuals)) + (k - (len(results.settings.arms) - 1) / 2) * width
        axes.bar(
            places,
            [mae for _, _, mae in residuals.values()],
            0.92 * width,
            color=colour,
            label=ARMS[arm].title,
        )
    axes.set_xticks(range(len(names)), names, fontsize=8)
    axes.set(xlabel=xlabel, ylabel="test MAE, eV")
    axes.set_title(f"{title}, {size:,} labels", loc="left")
    return plots.finish(figure, path, columns=1)


def _arms(results: Results) -> list[tuple[str, str]]:
    return list(zip(results.settings.arms, _COLOURS, strict=False))
