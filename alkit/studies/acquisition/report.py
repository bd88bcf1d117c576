"""The results of a study of acquisition functions: a table, plots, a page and a CSV file."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from rich import box
from rich.table import Table

from alkit.files import replace_file, write_text
from alkit.reporting import html as pages
from alkit.reporting.page_parts import Plot, tables_of
from alkit.studies import curves
from alkit.studies.acquisition import comparing
from alkit.studies.acquisition.running import METRICS, Results
from alkit.studies.acquisition.settings import REFERENCE, SCENARIOS, SURROGATES
from alkit.studies.curves import TITLES


def write_report(results: Results, folder: Path) -> Path:
    """Draw the plots and write ``results.csv`` and ``report.html``; returns the page's path."""
    (folder / "plots").mkdir(parents=True, exist_ok=True)
    rows = comparing.rows(results)

    def write_csv(part: Path) -> None:
        with part.open("w", newline="") as file:
            table = csv.DictWriter(file, list(rows[0]))
            table.writeheader()
            table.writerows(rows)

    replace_file(folder / "results.csv", write_csv)
    html = pages.render(
        "acquisition_study",
        settings=results.settings,
        level=results.level,
        scenario=SCENARIOS[results.settings.scenario],
        surrogate=f"{SURROGATES[results.settings.surrogate]} ({results.tier})",
        verdict=comparing.study_verdict(results),
        tables=tables_of([_cells(results, one.title) for one in results.settings.all_functions], "function"),
        plots=[plot.shown(folder / "plots", redraw=True) for plot in _plots(results)],
    )
    replace_file(folder / "report.html", lambda path: write_text(path, html))
    return folder / "report.html"


def savings_table(results: Results) -> Table:
    """Errors with all labels and labels saved, mean over seeds, as a terminal table."""
    settings = results.settings
    title = f"{settings.labels:,} labels, {settings.scenario}, {settings.seeds} seeds ({results.level}), eV; "
    title += results.tier
    shown = Table(box=box.SIMPLE_HEAD, title_justify="left", title=title)
    for heading in _cells(results, REFERENCE):
        shown.add_column(heading, justify="left" if heading == "function" else "right")
    for function in settings.all_functions:
        shown.add_row(*_cells(results, function.title).values())
    return shown


def _cells(results: Results, function: str) -> dict[str, str]:
    cells = {"function": function}
    for metric in METRICS:
        last = float(np.mean([run.of(metric)[-1] for run in results.of(function)]))
        cells[TITLES[metric]] = f"{last:.3f}"
    for metric in METRICS:
        cells[f"labels saved, {TITLES[metric]}"] = (
            "" if function == REFERENCE else str(comparing.saving_of(results, function, metric))
        )
    if results.settings.target_mae is not None:
        cells |= _target_cells(results, function)
    for metric in ("mae", "rmse"):
        worst = comparing.worst_round(results, function, metric)
        cells[f"worst round, {TITLES[metric]}"] = "" if function == REFERENCE else f"{worst:+.0%}"
    cells["selection, s"] = f"{max(run.of('seconds').max() for run in results.of(function)):.1f}"
    return cells


def _target_cells(results: Results, function: str) -> dict[str, str]:
    counts = comparing.labels_to_target(results, function)
    ratio = None if function == REFERENCE else comparing.saving_to_target(results, function)
    never = int(np.isinf(counts).sum())
    spread = f" ± {counts.std(ddof=1):.0f}" if len(counts) > 1 and not never else ""
    reached = f"not in {never} of {len(counts)} seeds" if never else f"{counts.mean():.0f}{spread}"
    level = f"{results.settings.target_mae:g} eV"
    return {f"labels to {level}": reached, f"labels saved to {level}": "" if ratio is None else str(ratio)}


def _plots(results: Results) -> list[Plot]:
    functions = results.settings.functions
    runs = {one.title: results.of(one.title) for one in results.settings.all_functions}
    ratios = {
        one.title: {metric: comparing.saving_of(results, one.title, metric) for metric in METRICS}
        for one in functions
    }
    return [*curves.learning_curves(runs, METRICS), curves.savings(ratios, REFERENCE)]
