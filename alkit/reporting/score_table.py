"""The table of `alkit score`."""

from collections.abc import Mapping

from rich.table import Table

from alkit.units import KCAL_PER_MOL

_SCORED = {
    "molecules": "molecules",
    "mae": "MAE, eV",
    "mae_error": "its standard error, eV",
    "rmse": "RMSE, eV",
    "q95": "95 % of errors are below, eV",
    "max": "largest error, eV",
    "r2": "R²",
    "coverage_90": "labels in their 90 % interval",
    "spearman": "rank correlation of deviation and error",
    "ence": "ENCE",
    "miscalibration_area": "miscalibration area",
    "baseline_elements": "MAE of its energies per element, eV",
    "baseline_xtb": "MAE of the baseline with energies per element, eV",
}


def score_table(metrics: Mapping[str, float], facts: Mapping[str, str], title: str) -> Table:
    """How a model does on one set of molecules, as a terminal table."""
    shown = Table("", "", title=title, title_justify="left", show_header=False)
    for name, words in facts.items():
        shown.add_row(name, words)
    for name, words in _SCORED.items():
        if name in metrics:
            shown.add_row(words, _scored(name, metrics[name]))
    return shown


def _scored(name: str, value: float) -> str:
    if name == "molecules":
        return f"{value:,.0f}"
    if name == "coverage_90":
        return f"{value:.1%}"
    return f"{value:.4f} ({value / KCAL_PER_MOL:.2f} kcal/mol)" if name == "mae" else f"{value:.4f}"
