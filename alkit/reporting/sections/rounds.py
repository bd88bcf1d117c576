"""The rounds: the learning curve, and errors, uncertainty and baselines in tables."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import isfinite

from alkit.config.schema import CampaignConfig
from alkit.properties import Quantity
from alkit.reporting import plots
from alkit.reporting.best_labels import best_labels, looks_for_highest
from alkit.reporting.page_parts import Plot, Table, number
from alkit.reporting.terminal_tables import round_cells
from alkit.reporting.verdicts import half_width_of
from alkit.storage.ledger import Ledger
from alkit.storage.round_metrics import RoundMetrics


def learning_curve(metrics: Sequence[RoundMetrics], twin: Sequence[RoundMetrics], quantity: Quantity) -> Plot:
    """The curve, with the random twin's where there is one."""
    first, last, unit = metrics[0], metrics[-1], quantity.unit
    words = (
        f"Test MAE by labels: {_with_unit(first, unit)} with {number(first['labels'], 'label')}"
        + (f", {_with_unit(last, unit)} with {last['labels']:,.0f}" if last is not first else "")
        + f". Element counts alone: {last['baseline_elements']:.3f} {unit}."
    )
    if twin:
        words += f" The random twin: {twin[-1]['mae']:.3f} {unit} with {twin[-1]['labels']:,.0f}."
    draw = partial(
        plots.learning_curve,
        metrics,
        [half_width_of(row) for row in metrics],
        quantity=quantity,
        twin=twin,
    )
    return Plot("learning_curve", "Learning curve", words, draw, picture=True)


def rounds_tables(
    ledger: Ledger, config: CampaignConfig, metrics: Sequence[RoundMetrics], quantity: Quantity
) -> tuple[Table, list[Table]]:
    """The main table, and more of the same rounds."""
    unit = quantity.unit
    rows = [round_cells(row, quantity) | best_labels(ledger, config, row.round) for row in metrics]
    delta = "baseline_xtb" in rows[-1]
    trivial = "baseline_xtb" if delta else "baseline_elements"
    main = Table(
        "Rounds",
        ("round", "labels", f"MAE ± 95 % interval, {unit}", "trivial MAE", "90 % holds"),
        [
            (
                row["round"],
                row["labels"],
                mae_text(numbers),
                row[trivial],
                row["coverage"],
            )
            for row, numbers in zip(rows, metrics, strict=True)
        ],
        note=(
            f"Errors on a fixed random test set of {number(metrics[-1]['test_size'], 'molecule')} that were "
            "labelled before round 0 and are never acquired. Labels count training and validation. Trivial: "
            f"{'the baseline and element counts' if delta else 'element counts'}, fitted to the same labels. "
            "90 % holds: the share of test labels in their 90 % interval."
        ),
    )
    sizes = {"RMSE": "rmse", "95 % below": "q95", "largest": "max", "R²": "r2"}
    errors = [_columns(f"Errors, {unit}", rows, sizes)]
    if quantity.energy:
        sizes = {"MAE": "mae_kcal", "RMSE": "rmse_kcal", "95 % below": "q95_kcal", "largest": "max_kcal"}
        errors.append(_columns("Errors, kcal/mol", rows, sizes))
    quality = {"area": "area", "ENCE": "ence", "Spearman": "spearman"}
    note = (
        "Area: miscalibration area of all intervals. ENCE: expected normalized calibration error of the "
        "deviations. Spearman: rank correlation of predicted deviation and error."
    )
    baselines = {"mean": "baseline_mean", "elements": "baseline_elements", "bonds": "baseline_bonds"}
    if delta:
        baselines["baseline"] = "baseline_xtb"
    fitted = "Fitted to the same labels: their mean, linear in element counts, linear in bond counts"
    which = "highest" if looks_for_highest(config) else "lowest"
    columns = {which: "best"} | ({"per heavy atom": "best_per_heavy_atom"} if quantity.energy else {})
    best = _columns(f"{which.capitalize()} label so far, {unit}", rows, columns)
    return main, [
        *errors,
        _columns("Uncertainty", rows, quality, note),
        _columns(
            f"MAE of trivial predictors, {unit}",
            rows,
            baselines,
            fitted + (", the baseline with element counts." if delta else "."),
        ),
        best,
    ]


def _columns(title: str, rows: Sequence[dict[str, str]], names: dict[str, str], note: str = "") -> Table:
    cells = [(row["round"], *(row[name] for name in names.values())) for row in rows]
    return Table(title, ("round", *names), cells, note=note)


def mae_text(row: RoundMetrics) -> str:
    """The MAE of a round with the half-width of its interval, if that is finite; in the labels' unit."""
    half_width = half_width_of(row)
    return f"{row['mae']:.3f}" + (f" ± {half_width:.3f}" if isfinite(half_width) else "")


def _with_unit(row: RoundMetrics, unit: str) -> str:
    return f"{mae_text(row)} {unit}"
