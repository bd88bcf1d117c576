"""A campaign's tables in the terminal: its rounds, its candidates and what became of them."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table

from alkit.config.schema import CampaignConfig
from alkit.properties import ENERGY, Quantity
from alkit.storage.ledger import Ledger
from alkit.units import KCAL_PER_MOL

_FATES = ("labelled", "acquired", "not_acquired", "screened", "proposed", "rejected", "failed")
_COLUMNS = ("mae", "rmse", "q95", "max")


def rounds_table(metrics: Sequence[Mapping[str, float]], title: str, quantity: Quantity = ENERGY) -> Table:
    """The rounds as a table that fits 80 columns: errors on the test set, of energies in kcal/mol too."""
    shown = Table(title=title, title_justify="left", caption_justify="left", box=box.SIMPLE_HEAD, padding=0)
    delta = "baseline_xtb" in metrics[-1]
    names = ("elements", "bonds", "baseline") if delta else ("mean", "elements", "bonds")
    for heading in ("round", "labels", "", *_COLUMNS, "R²", *names):
        shown.add_column(heading.upper() if heading in ("mae", "rmse") else heading, justify="right")
    baselines = [f"baseline_{'xtb' if name == 'baseline' else name}" for name in names]
    for numbers in metrics:
        row = round_cells(numbers, quantity)
        errors = [row[name] for name in _COLUMNS], [row[name] for name in baselines]
        shown.add_row(row["round"], row["labels"], quantity.unit, *errors[0], row["r2"], *errors[1])
        if not quantity.energy:
            continue
        kcal = [[row[f"{name}_kcal"] for name in names] for names in (_COLUMNS, baselines)]
        shown.add_row("", "", "kcal/mol", *kcal[0], "", *kcal[1], style="dim")
        if "forces_mae" in numbers:
            forces = [f"{numbers[f'forces_{name}']:.3f}" for name in _COLUMNS]
            r2, zero = f"{numbers['forces_r2']:.4f}", f"{numbers['baseline_forces']:.3f}"
            shown.add_row("", "", "eV/Å", *forces, r2, zero)
    shown.caption = (
        f"Errors on the fixed test set; {', '.join(names)}: MAE of trivial predictors of the same labels."
    )
    if "forces_mae" in metrics[-1]:
        shown.caption += " In eV/Å: components of forces, beside the MAE of forces of zero."
    return shown


def status(ledger: Ledger, config: CampaignConfig) -> str:
    """Where the campaign stands, in a sentence."""
    stages = ledger.stages()
    if stopped_by := ledger.meta("stopped_by"):
        return f"{config.name} finished: {stopped_by}."
    if not stages:
        return f"{config.name}: round 0 has begun, no stage of it is finished."
    round_, stage, _ = stages[-1]
    return f"{config.name}: unfinished; the last finished stage is {stage} of round {round_}."


def fates_table(ledger: Ledger) -> Table:
    """The fate of every candidate, as a terminal table."""
    shown = Table(title="Candidates", title_justify="left")
    rounds, rows = candidate_fates(ledger)
    shown.add_column("fate")
    shown.add_column("reason")
    for round_ in rounds:
        shown.add_column(f"round {round_}", justify="right")
    for fate, reason, counts in rows:
        shown.add_row(fate, reason, *counts)
    return shown


def histories_table(rows: Iterable[dict[str, Any]], last: int) -> Table:
    """The last so many candidates with what became of them, as a terminal table."""
    shown = Table(title=f"The last {last} candidates", title_justify="left")
    shown_rows = deque(rows, maxlen=last)
    label = f"label [{next((row['unit'] for row in shown_rows if row.get('unit')), 'eV')}]"
    for heading in ("id", "round", "molecule", "role", "status", "reason", "tries", "from", label):
        shown.add_column(heading, justify="right" if heading in ("id", "round", label) else "left")
    for row in shown_rows:
        value = "" if row["value"] is None else f"{row['value']:.4f}"
        shown.add_row(
            str(row["id"]),
            str(row["round"]),
            row["smiles"],
            row["role"],
            row["status"],
            row["reason"],
            row["attempts"],
            row["source"] or "",
            value,
        )
    return shown


def round_cells(row: Mapping[str, float], quantity: Quantity) -> dict[str, str]:
    """A round's metrics as text, by name."""
    text = {name: f"{row[name]:.0f}" for name in ("round", "labels", "test_size")}
    text |= {name: f"{row[name]:.3f}" for name in _COLUMNS}
    baselines = [name for name in row if name.startswith("baseline_")]
    text |= {name: f"{row[name]:.3f}" for name in baselines}
    if quantity.energy:
        text |= {f"{name}_kcal": f"{row[name] / KCAL_PER_MOL:.1f}" for name in (*_COLUMNS, *baselines)}
    text |= {"r2": f"{row['r2']:.4f}", "spearman": f"{row['spearman']:.2f}", "ence": f"{row['ence']:.2f}"}
    text["area"] = f"{row['miscalibration_area']:.3f}"
    text["coverage"] = f"{100 * row['coverage_90']:.0f} %"
    return text


def candidate_fates(ledger: Ledger) -> tuple[list[int], list[tuple[str, str, list[str]]]]:
    """The rounds, and a row for each fate: what, why, and how many molecules in each round."""
    counted = {(status, reason, round_): n for round_, status, reason, n in ledger.reasons()}
    rounds = sorted({round_ for _, _, round_ in counted})
    kinds = sorted(
        {(status, reason) for status, reason, _ in counted}, key=lambda k: (_FATES.index(k[0]), k[1])
    )
    return rounds, [
        (status.replace("_", " "), reason, [str(counted.get((status, reason, r), "–")) for r in rounds])
        for status, reason in kinds
    ]
