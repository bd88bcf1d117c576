"""The plots of a campaign, a function each: numbers in, an SVG out; of the main ones a PNG too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from alkit.properties import ENERGY, Quantity
from alkit.reporting import plot_style as look
from alkit.reporting.residuals import Residual
from alkit.units import CHEMICAL_ACCURACY, KCAL_PER_MOL

_TRIVIAL = {
    "baseline_elements": ("element counts, MAE", "-"),
    "baseline_bonds": ("bond counts, MAE", "--"),
    "baseline_xtb": ("baseline with counts, MAE", ":"),
}


def learning_curve(
    metrics: Sequence[Mapping[str, float]],
    half_widths: Sequence[float],
    path: Path,
    *,
    quantity: Quantity = ENERGY,
    twin: Sequence[Mapping[str, float]] = (),
) -> None:
    """Write the figure of `learning_curve_figure`.

    Args:
        metrics: of every round.
        half_widths: ``(rounds,)`` of the intervals; infinite where there is none.
        path: of the file.
        quantity: name and unit of the labels.
        twin: metrics of the random twin's rounds.
    """
    drawn = learning_curve_figure(metrics, half_widths, quantity=quantity, twin=twin)
    look.save(drawn, path, legend=2)


def learning_curve_figure(
    metrics: Sequence[Mapping[str, float]],
    half_widths: Sequence[float],
    *,
    quantity: Quantity = ENERGY,
    twin: Sequence[Mapping[str, float]] = (),
) -> Figure:
    """Plot errors against labels: test MAE with its interval, and the 95 % quantile.

    Also shown are trivial baselines of the same labels, and the MAE of a random twin. Energies are in
    kcal/mol too.

    Args:
        metrics: of every round.
        half_widths: ``(rounds,)`` of the intervals; infinite where there is none.
        quantity: what the labels are.
        twin: metrics of the random twin's rounds.
    """
    drawn, axes = look.figure(height=look.HEIGHT + 0.4)
    labels, mae = [row["labels"] for row in metrics], np.array([row["mae"] for row in metrics])
    reach = np.nan_to_num(np.asarray(half_widths, dtype=np.float64), posinf=0.0)
    bars = np.minimum(reach, 0.95 * mae), reach  # the axis is logarithmic
    axes.errorbar(
        labels, mae, yerr=bars, fmt="o-", color=look.BLUE, lw=2, capsize=3, label="MAE, 95 % interval"
    )
    axes.plot(
        labels, [row["q95"] for row in metrics], "s--", color=look.SKY, ms=4, label="95 % of errors below"
    )
    if twin:
        points = [row["labels"] for row in twin], [row["mae"] for row in twin]
        axes.plot(*points, "^-.", color=look.GREEN, lw=1.6, ms=5, label="random twin, MAE")
    for key, (name, dash) in _TRIVIAL.items():
        if key in metrics[-1]:
            axes.plot(labels, [row[key] for row in metrics], dash, marker="_", color=look.GREY, label=name)
    axes.set(
        yscale="log",
        xlabel="labels (training and validation)",
        ylabel=f"error on the test set, {quantity.unit}",
    )
    look.plain_ticks(axes.yaxis)
    if quantity.energy:
        axes.axhline(CHEMICAL_ACCURACY, color=look.RED, lw=1.4, ls=(0, (8, 2)), label="1 kcal/mol")
        right = axes.secondary_yaxis("right", functions=(_to_kcal, _to_ev))
        right.set_ylabel("kcal/mol")
        right.spines["right"].set_color(look.INK)
        right.tick_params(which="both", colors=look.INK, labelsize=look.FONT)
        look.plain_ticks(right.yaxis)
    return drawn


def front(values: NDArray, best: NDArray, rounds: NDArray, headings: Sequence[str], path: Path) -> None:
    """The labels of a campaign by its first two objectives, ``(n, m)``, and which of them are on the front.

    Args:
        values: ``(n, m)`` in the objectives' units.
        best: ``(n,)`` of the front of all objectives.
        rounds: ``(n,)``, in which each was labelled.
        headings: names of the objectives.
        path: of the file.
    """
    drawn, axes = look.figure(height=look.HEIGHT + 0.4)
    _points(axes, values[rounds == 0, :2], look.GREY, ".", "start")
    for k, (name, of_rounds) in enumerate(spans(rounds[rounds > 0])):
        style = look.series(k)
        _points(axes, values[np.isin(rounds, of_rounds), :2], style.colour, style.marker, name)
    order = np.flatnonzero(best)[np.argsort(values[best, 0])]
    axes.plot(*values[order, :2].T, "o-", ms=9, mfc="none", color=look.INK, lw=1.2, label="Pareto front")
    axes.set(xlabel=headings[0], ylabel=headings[1])
    look.save(drawn, path, legend=2)


def parity(truth: NDArray, predicted: NDArray, std: NDArray, path: Path, unit: str = "eV") -> None:
    """Prediction against label on the test set, ``(n,)`` in ``unit`` each, with one calibrated deviation."""
    drawn, axes = look.figure()
    low, high = min(truth.min(), predicted.min()), max(truth.max(), predicted.max())
    margin = 0.03 * (high - low) or 1.0
    ends = [low - margin, high + margin]
    axes.plot(ends, ends, color=look.GREY, lw=1, ls="--")
    many = len(truth) > look.MOST_VECTORS
    bars = axes.errorbar(
        truth, predicted, yerr=std, fmt="o", ms=3.5, color=look.BLUE, alpha=0.7, elinewidth=0.7
    )
    for part in (bars.lines[0], *bars.lines[2]):
        part.set_rasterized(many)
    axes.set(xlim=ends, ylim=ends, xlabel=f"label, {unit}", ylabel=f"prediction, {unit}")
    axes.locator_params(nbins=5)
    look.save(drawn, path)


def uncertainty(truth: NDArray, predicted: NDArray, std: NDArray, path: Path, unit: str = "eV") -> None:
    """Absolute error against calibrated standard deviation on the test set, ``(n,)`` in ``unit`` each."""
    drawn, axes = look.figure()
    errors = np.maximum(np.abs(predicted - truth), 1e-4 * max(1e-30, float(std.max())))
    axes.set(xscale="log", yscale="log")
    _points(axes, np.column_stack([std, errors]), look.BLUE, "o", None)
    # Spreads often lie in one decade: the lines must follow them, not the other way round.
    ends = np.array([std.min() / 1.25, std.max() * 1.25])
    axes.plot(
        ends, 1.645 * ends, color=look.RED, lw=1.4, ls="--", label="90 % of a normal distribution lie below"
    )
    axes.plot(ends, ends, color=look.GREY, lw=1.2, label="one standard deviation")
    axes.set(xlabel=f"predicted standard deviation, {unit}", ylabel=f"absolute error, {unit}", xlim=ends)
    look.plain_ticks(axes.xaxis)
    look.plain_ticks(axes.yaxis)
    look.save(drawn, path, legend=1)


def calibration(levels: NDArray, path: Path) -> None:
    """Share of test labels inside of intervals against the intervals' level.

    Args:
        levels: ``(n,)``, of the narrowest central interval that holds each test label.
        path: of the file.
    """
    drawn, axes = look.figure()
    nominal = np.linspace(0, 1, 201)
    inside = np.searchsorted(np.sort(levels), nominal, side="right") / len(levels)
    axes.plot([0, 1], [0, 1], color=look.GREY, lw=1.2, ls="--", label="honest intervals")
    axes.plot(nominal, inside, color=look.BLUE, lw=2, label="these intervals")
    axes.set(xlabel="level of the interval", ylabel="share of labels inside", xlim=(0, 1), ylim=(0, 1))
    look.save(drawn, path, legend=2)


def rejection(errors: NDArray, std: NDArray, path: Path, unit: str = "eV") -> None:
    """MAE of the molecules that are kept where the least certain are rejected; ``(n,)`` in ``unit`` each."""
    from surrogate.metrics import rejection_curve

    drawn, axes = look.figure()
    kept = 100 * np.arange(1, len(errors) + 1) / len(errors)
    axes.plot(kept, rejection_curve(errors, std), color=look.BLUE, lw=2, label="by predicted deviation")
    axes.plot(
        kept,
        rejection_curve(errors, np.abs(errors)),
        color=look.GREY,
        lw=1.2,
        ls=":",
        label="by the error itself",
    )
    axes.axhline(np.abs(errors).mean(), color=look.RED, lw=1.4, ls="--", label="at random")
    axes.set(xlabel="most certain molecules kept, %", ylabel=f"MAE of those kept, {unit}", xlim=(0, 100))
    axes.set_ylim(bottom=0)
    look.save(drawn, path, legend=2)


def residuals(rows: Sequence[Residual], overall: float, path: Path, unit: str = "eV") -> None:
    """The MAE of each group of test molecules with its 95 % interval, beside that of all."""
    drawn, axes = look.figure(height=max(0.8 * look.HEIGHT, 0.27 * len(rows) + 1.2))
    mae = np.array([row.mae for row in rows])
    reach = np.array([row.half_width if np.isfinite(row.half_width) else 0.0 for row in rows])
    places = np.arange(len(rows))[::-1]
    axes.errorbar(
        mae, places, xerr=(np.minimum(reach, mae), reach), fmt="o", color=look.BLUE, capsize=3, label="MAE"
    )
    axes.axvline(overall, color=look.RED, lw=1.4, ls="--", label="of all test molecules")
    axes.set_yticks(places, [f"{row.group} ({row.n})" for row in rows])
    axes.set(xlim=(0, None), ylim=(-0.6, len(rows) - 0.4))
    axes.locator_params(axis="x", nbins=5)
    axes.set_xlabel(f"test MAE, {unit}")
    axes.grid(visible=False, axis="y")
    look.save(drawn, path, legend=2)


def chemical_space(
    start: NDArray, acquired: NDArray, rounds: NDArray, left: NDArray, shares: Sequence[float], path: Path
) -> None:
    """Molecules by two components of their embeddings, ``(n, 2)`` each.

    Args:
        start: molecules labelled before the first round.
        acquired: molecules labelled in rounds.
        rounds: ``(n,)`` of the acquired molecules.
        left: candidates of the last round that were not acquired.
        shares: of the variance that each component holds.
        path: of the file.
    """
    drawn, axes = look.figure(height=look.HEIGHT + 0.6)
    _points(axes, left, look.GREY, "x", "candidates left")
    _points(axes, start, look.INK, ".", "labelled at the start")
    for k, (name, of_rounds) in enumerate(spans(rounds)):
        style = look.series(k)
        _points(axes, acquired[np.isin(rounds, of_rounds)], style.colour, style.marker, f"acquired in {name}")
    axes.set(
        xlabel=f"component 1 ({100 * shares[0]:.0f} % of variance)",
        ylabel=f"component 2 ({100 * shares[1]:.0f} %)",
    )
    axes.locator_params(nbins=5)
    look.save(drawn, path, legend=2)


def funnel(steps: Mapping[str, int], path: Path) -> None:
    """How many candidates came as far as each step."""
    drawn, axes = look.figure(height=0.4 * len(steps) + 1.0)
    places = np.arange(len(steps))[::-1]
    bars = axes.barh(places, list(steps.values()), 0.65, color=look.BLUE)
    axes.bar_label(bars, [f" {count:,}" for count in steps.values()])
    axes.set_yticks(places, list(steps))
    axes.set_xlim(0, 1.2 * max(1, *steps.values()))
    axes.set_xlabel("candidates")
    axes.locator_params(axis="x", nbins=5)
    axes.grid(visible=False, axis="y")
    look.save(drawn, path)


def stage_times(seconds: Mapping[str, float], path: Path) -> None:
    """Wall time of every stage, all rounds together, in seconds."""
    drawn, axes = look.figure(height=0.33 * len(seconds) + 1.0)
    places = np.arange(len(seconds))[::-1]
    longest = max(seconds.values(), default=0.0)
    unit, size = next((u, s) for u, s in (("h", 3600), ("min", 60), ("s", 1)) if longest >= 2 * s or s == 1)
    bars = axes.barh(places, [value / size for value in seconds.values()], 0.65, color=look.BLUE)
    axes.bar_label(bars, [f" {value / size:.1f}" for value in seconds.values()])
    axes.set_yticks(places, list(seconds))
    axes.set_xlim(0, 1.2 * longest / size or 1.0)
    axes.set_xlabel(f"wall time of all rounds, {unit}")
    axes.grid(visible=False, axis="y")
    look.save(drawn, path)


def make_up(sets: Mapping[str, Sequence[str]], path: Path) -> Path:
    """Plot sizes, rings, elements and bonds of sets of SMILES beside each other, as shares.

    The path's ending is the format. The first set is what the others are compared with.
    """
    panels = shares_of(sets)
    drawn, axes = look.figure(width=3.4, height=3.0, columns=len(panels))
    for one, (title, counted) in zip(axes, panels.items(), strict=True):
        _shares(one, title, counted, named=one is axes[0])
    axes[0].set_ylabel("share")
    return look.save(drawn, path, legend=len(sets))


def make_up_panel(title: str, counted: Mapping[str, Counter], path: Path) -> None:
    """One of `shares_of` as a plot of its own."""
    drawn, axes = look.figure(height=look.HEIGHT - 0.4)
    _shares(axes, title, counted, named=True)
    axes.set_ylabel("share")
    look.save(drawn, path, legend=1)


def shares_of(sets: Mapping[str, Sequence[str]]) -> dict[str, dict[str, Counter]]:
    """Counts of sizes, rings, elements and bonds of sets of SMILES, by name of the set."""
    from generator import metrics

    molecules = {f"{name} ({len(smiles):,})": metrics.parse(smiles) for name, smiles in sets.items()}
    counts: dict[str, Callable[[Any], Counter]] = {
        "heavy atoms": lambda some: Counter(map(metrics.DESCRIPTORS["heavy_atoms"], some)),
        "rings": lambda some: Counter(map(metrics.DESCRIPTORS["rings"], some)),
        "heavy elements": metrics.elements,
        "bonds": metrics.bonds,
    }
    return {title: {name: count(some) for name, some in molecules.items()} for title, count in counts.items()}


def spans(rounds: NDArray) -> list[tuple[str, list[int]]]:
    """Rounds in at most five groups of neighbours, each with its name: more colours are not distinguished."""
    parts = np.array_split(np.unique(rounds), 5)
    groups = [[int(one) for one in part] for part in parts if len(part)]
    return [(f"round {g[0]}" if len(g) == 1 else f"rounds {g[0]} to {g[-1]}", g) for g in groups]


def _shares(axes: Any, title: str, counted: Mapping[str, Counter], *, named: bool) -> None:
    kinds = sorted({kind for each in counted.values() for kind in each})
    width = 0.8 / len(counted)
    styles = zip((look.GREY, look.BLUE, look.ORANGE), ("", "//", "xx"), strict=True)
    for k, ((name, each), (colour, hatch)) in enumerate(zip(counted.items(), styles, strict=False)):
        shares = [each[kind] / max(1, each.total()) for kind in kinds]
        places = np.arange(len(kinds)) + (k - (len(counted) - 1) / 2) * width
        label = name if named else None
        axes.bar(places, shares, width, color=colour, hatch=hatch, edgecolor=look.INK, lw=0.5, label=label)
    axes.set_xticks(np.arange(len(kinds)), [str(kind) for kind in kinds])
    axes.set_xlabel(title)
    axes.grid(visible=False, axis="x")


def _points(axes: Any, points: NDArray, colour: str, marker: str, name: str | None) -> None:
    """Points ``(n, 2)`` of one series."""
    if len(points):
        axes.plot(
            *points.T,
            marker,
            ms=5,
            alpha=0.8,
            color=colour,
            label=name,
            rasterized=len(points) > look.MOST_VECTORS,
        )


def _to_kcal(energy):
    return energy / KCAL_PER_MOL


def _to_ev(energy):
    return energy * KCAL_PER_MOL
