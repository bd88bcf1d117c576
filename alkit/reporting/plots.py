"""The plots of a campaign, as PNG files."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter
from numpy.typing import NDArray

from alkit.files import replace_file
from alkit.properties import ENERGY, Quantity
from alkit.units import CHEMICAL_ACCURACY, KCAL_PER_MOL

_BLUE, _ORANGE, _GREEN, GREY = "#2563a8", "#d9722e", "#3a8f5c", "#8a8f98"
_SIZE, _DPI = (5.6, 4.2), 160
_TRIVIAL = {
    "baseline_elements": ("element counts", "-"),
    "baseline_bonds": ("bond counts", "--"),
    "baseline_xtb": ("baseline and element counts", ":"),
}


def learning_curve(
    metrics: Sequence[Mapping[str, float]],
    path: Path,
    quantity: Quantity = ENERGY,
    *,
    twin: Sequence[Mapping[str, float]] = (),
) -> None:
    """Test MAE and its 95 % quantile against labels, with the trivial baselines of the same labels, and the
    MAE of a random twin; of energies also in kcal/mol."""
    drawn, axes = figure()
    labels = [row["labels"] for row in metrics]
    axes.plot(labels, [row["mae"] for row in metrics], "o-", color=_BLUE, lw=2, label="MAE")
    axes.plot(
        labels, [row["q95"] for row in metrics], "s--", color=_BLUE, alpha=0.5, ms=4, label="95 % quantile"
    )
    if twin:
        rows = [row["labels"] for row in twin], [row["mae"] for row in twin]
        axes.plot(*rows, "o-", color=_GREEN, lw=1.6, ms=4, label="random twin, MAE")
    for key, (name, style) in _TRIVIAL.items():
        if key in metrics[-1]:
            axes.plot(labels, [row[key] for row in metrics], style, color=GREY, label=f"{name}, MAE")
    axes.set(yscale="log", xlabel="labels (training and validation)")
    axes.set_ylabel(f"error on the test set, {quantity.unit}")
    plain_ticks(axes.yaxis)
    if quantity.energy:
        axes.axhline(CHEMICAL_ACCURACY, color=_ORANGE, lw=1.2, label="1 kcal/mol")
        right = axes.secondary_yaxis("right", functions=(_to_kcal, _to_ev))
        right.set_ylabel("kcal/mol")
        plain_ticks(right.yaxis)
    axes.set_title("Learning curve", loc="left")
    finish(drawn, path, columns=3)


def front(values: NDArray, best: NDArray, rounds: NDArray, headings: Sequence[str], path: Path) -> None:
    """The labels of a campaign by its first two objectives, ``(n, m)``, and which of them are on the front.

    Args:
        best: ``(n,)`` of the front of all objectives.
        rounds: ``(n,)``, in which each was labelled.
        headings: names of the objectives.
    """
    drawn, axes = figure()
    start = rounds == 0
    axes.plot(*values[start, :2].T, "o", ms=3.5, color=GREY, alpha=0.6, label="start")
    if not start.all():
        shown = axes.scatter(*values[~start, :2].T, c=rounds[~start], s=18, cmap="viridis", label="acquired")
        drawn.colorbar(shown, ax=axes, label="round")
    order = np.flatnonzero(best)[np.argsort(values[best, 0])]
    axes.plot(*values[order, :2].T, "o-", ms=7, mfc="none", color=_ORANGE, lw=1.2, label="Pareto front")
    axes.set(xlabel=headings[0], ylabel=headings[1])
    axes.set_title("What has been found", loc="left")
    finish(drawn, path, columns=3)


def parity(truth: NDArray, predicted: NDArray, std: NDArray, path: Path, unit: str = "eV") -> None:
    """Prediction against label on the test set, ``(n,)`` in ``unit`` each, with one calibrated deviation."""
    drawn, axes = figure()
    low, high = min(truth.min(), predicted.min()), max(truth.max(), predicted.max())
    margin = 0.03 * (high - low)
    ends = [low - margin, high + margin]
    axes.plot(ends, ends, color=GREY, lw=1)
    axes.errorbar(truth, predicted, yerr=std, fmt="o", ms=3.5, color=_BLUE, alpha=0.7, elinewidth=0.7)
    axes.set(xlim=ends, ylim=ends, aspect="equal", xlabel=f"label, {unit}", ylabel=f"prediction, {unit}")
    mae = np.abs(predicted - truth).mean()
    axes.set_title(f"Test set: MAE {mae:.3f} {unit}, n = {len(truth)}", loc="left")
    _save(drawn, path)


def uncertainty(truth: NDArray, predicted: NDArray, std: NDArray, path: Path, unit: str = "eV") -> None:
    """Absolute error against calibrated standard deviation on the test set, ``(n,)`` in ``unit`` each."""
    drawn, axes = figure()
    errors = np.maximum(np.abs(predicted - truth), 1e-4)
    axes.loglog(std, errors, "o", ms=3.5, color=_BLUE, alpha=0.7)
    # Spreads often lie in one decade: the lines must follow them, not the other way round.
    ends = np.array([std.min() / 1.25, std.max() * 1.25])
    axes.plot(ends, 1.645 * ends, color=_ORANGE, lw=1.2, label="90 % of a normal distribution lie below")
    axes.plot(ends, ends, color=GREY, lw=1, label="one standard deviation")
    axes.set(xlabel=f"predicted standard deviation, {unit}", ylabel=f"absolute error, {unit}", xlim=ends)
    plain_ticks(axes.xaxis)
    plain_ticks(axes.yaxis)
    axes.set_title("Error against predicted uncertainty, test set", loc="left")
    finish(drawn, path, columns=2)


def calibration(levels: NDArray, errors: NDArray, std: NDArray, path: Path, unit: str = "eV") -> None:
    """Are intervals as wide as they say, and do uncertainties find the errors?

    Args:
        levels: ``(n,)``, of the narrowest central interval that holds each test label.
        errors, std: ``(n,)`` in ``unit``.
    """
    from surrogate.metrics import rejection_curve

    drawn, (left, right) = figure(columns=2)
    nominal = np.linspace(0, 1, 201)
    left.plot([0, 1], [0, 1], color=GREY, lw=1)
    left.plot(
        nominal, np.searchsorted(np.sort(levels), nominal, side="right") / len(levels), color=_BLUE, lw=2
    )
    left.set(xlabel="level of the interval", ylabel="share of labels inside", xlim=(0, 1), ylim=(0, 1))
    left.set_title("Calibration, test set", loc="left")
    kept = 100 * np.arange(1, len(errors) + 1) / len(errors)
    right.plot(kept, rejection_curve(errors, std), color=_BLUE, lw=2, label="by predicted uncertainty")
    right.plot(kept, rejection_curve(errors, np.abs(errors)), color=GREY, lw=1, label="by the error itself")
    right.axhline(np.abs(errors).mean(), color=GREY, lw=1, ls="--", label="at random")
    right.set(xlabel="most certain molecules kept, %", ylabel=f"MAE of those kept, {unit}", xlim=(0, 100))
    right.set_ylim(bottom=0)
    right.set_title("Error against rejection, test set", loc="left")
    finish(drawn, path, columns=3)


def molecules(smiles: Sequence[str], captions: Sequence[str], path: Path) -> None:
    """A grid of drawings, six a row."""
    from rdkit import Chem
    from rdkit.Chem import Draw

    parsed = [Chem.MolFromSmiles(one) for one in smiles]
    options: Any = Draw.rdMolDraw2D.MolDrawOptions()
    options.legendFontSize = 15
    image = Draw.MolsToGridImage(
        parsed,
        molsPerRow=6,
        subImgSize=(190, 170),
        legends=list(captions),
        drawOptions=options,
        returnPNG=True,
    )
    content = image if isinstance(image, bytes) else image.data
    replace_file(path, lambda part: _write_bytes(part, content))


def make_up(sets: dict[str, Sequence[str]], path: Path) -> Path:
    """Sizes, rings, elements and bonds of sets of SMILES beside each other, as shares; the first set is what
    the others are compared with."""
    from generator import metrics

    drawn, axes = figure(4)
    colours = (GREY, _BLUE, _ORANGE)
    molecules = {name: metrics.parse(smiles) for name, smiles in sets.items()}
    counts: dict[str, Callable[[Any], Counter]] = {
        "heavy atoms": lambda some: Counter(map(metrics.DESCRIPTORS["heavy_atoms"], some)),
        "rings": lambda some: Counter(map(metrics.DESCRIPTORS["rings"], some)),
        "heavy elements": metrics.elements,
        "bonds": metrics.bonds,
    }
    width = 0.8 / len(sets)
    for one, (title, count) in zip(axes, counts.items(), strict=True):
        counted = {name: count(some) for name, some in molecules.items()}
        kinds = sorted({kind for each in counted.values() for kind in each})
        for k, (name, each) in enumerate(counted.items()):
            shares = [each[kind] / max(1, each.total()) for kind in kinds]
            places = np.arange(len(kinds)) + (k - (len(sets) - 1) / 2) * width
            label = f"{name} ({len(molecules[name]):,})" if one is axes[0] else None
            one.bar(places, shares, width, color=colours[k % len(colours)], label=label)
        one.set_xticks(np.arange(len(kinds)), [str(kind) for kind in kinds], fontsize=8)
        one.set_title(title, loc="left", fontsize=10)
        one.grid(visible=False, axis="x")
    axes[0].set_ylabel("share")
    return finish(drawn, path, columns=len(sets))


def figure(columns: int | None = None) -> tuple[Figure, Any]:
    """A figure and its axes in the house style; several axes in a row if ``columns`` says so."""
    width, height = _SIZE
    drawn = Figure(
        figsize=(0.62 * width * columns, 0.75 * height) if columns else _SIZE, dpi=_DPI, layout="constrained"
    )
    axes = drawn.subplots(1, columns or 1, squeeze=False)[0]
    for one in axes:
        one.spines[["top", "right"]].set_visible(False)
        one.grid(alpha=0.25, lw=0.6)
    return drawn, axes if columns else axes[0]


def finish(drawn: Figure, path: Path, *, columns: int) -> Path:
    """Write the figure, with its legend below in so many columns, or none."""
    if columns:
        drawn.legend(loc="outside lower center", ncols=columns, frameon=False, fontsize=8)
    _save(drawn, path)
    return path


def _save(drawn: Figure, path: Path) -> None:
    # `savefig` lays a figure out twice and draws it twice; this does both once, in half the time.
    replace_file(path, FigureCanvasAgg(drawn).print_png)


def _write_bytes(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def plain_ticks(axis: Any) -> None:
    """0.1 and 0.2, not powers of ten, on a logarithmic axis."""
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FormatStrFormatter("%g"))
    axis.set_minor_formatter(NullFormatter())


def _to_kcal(energy):
    return energy / KCAL_PER_MOL


def _to_ev(energy):
    return energy * KCAL_PER_MOL
