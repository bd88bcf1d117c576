"""The table of `alkit score`."""

from collections.abc import Mapping

from rich.table import Table

from alkit.properties import ENERGY, Quantity
from alkit.units import KCAL_PER_MOL

_SCORED = {
    "molecules": "molecules",
    "mae": "MAE, {unit}",
    "mae_error": "its standard error, {unit}",
    "rmse": "RMSE, {unit}",
    "q95": "95 % of errors are below, {unit}",
    "max": "largest error, {unit}",
    "r2": "R²",
    "forces_mae": "MAE of forces, eV/Å",
    "forces_rmse": "RMSE of forces, eV/Å",
    "forces_max": "largest error of a force's component, eV/Å",
    "baseline_forces": "MAE of forces of zero, eV/Å",
    "coverage_90": "labels in their 90 % interval",
    "spearman": "rank correlation of deviation and error",
    "ence": "ENCE",
    "miscalibration_area": "miscalibration area",
    "baseline_elements": "MAE of its values per element, {unit}",
    "baseline_xtb": "MAE of the baseline with values per element, {unit}",
}


def score_table(
    metrics: Mapping[str, float], facts: Mapping[str, str], title: str, quantity: Quantity = ENERGY
) -> Table:
    """How a model does on one set of molecules, as a terminal table."""
    shown = Table("", "", title=title, title_justify="left", show_header=False)
    for name, words in facts.items():
        shown.add_row(name, words)
    for name, words in _SCORED.items():
        if name in metrics:
            shown.add_row(words.format(unit=quantity.unit), _scored(name, metrics[name], quantity))
    return shown


def _scored(name: str, value: float, quantity: Quantity) -> str:
    if name == "molecules":
        return f"{value:,.0f}"
    if name == "coverage_90":
        return f"{value:.1%}"
    kcal = name == "mae" and quantity.energy
    return f"{value:.4f} ({value / KCAL_PER_MOL:.2f} kcal/mol)" if kcal else f"{value:.4f}"
