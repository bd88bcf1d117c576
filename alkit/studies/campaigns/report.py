"""The results of a study of campaigns: a table, a verdict, plots, a page and a CSV file."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from rich import box
from rich.table import Table
from rich.text import Text

from alkit.files import replace_file, write_text
from alkit.properties import column
from alkit.reporting import html as pages
from alkit.reporting.page_parts import tables_of
from alkit.reporting.savings import Saving, compared, saving
from alkit.studies import curves
from alkit.studies.campaigns.running import METRICS, Results, Run

_FEW_SEEDS = 5
_WIDTH = 24  # of the names of campaigns, at least


def saving_of(results: Results, arm: str, metric: str) -> Saving:
    """Labels of the reference over the arm's, at the lowest error that both reach with a seed."""
    return saving(results.of(arm), results.of(results.settings.reference), metric)


def worst_seed(results: Results, arm: str, metric: str) -> float:
    """The largest excess of the last error over the reference's, as a share; negative: never worse."""
    pairs = zip(results.of(arm), results.of(results.settings.reference), strict=True)
    return max(float(one.of(metric)[-1] / other.of(metric)[-1]) for one, other in pairs) - 1


def verdict(results: Results) -> list[str]:
    """A plain sentence for each arm, losers as plainly as winners, and what limits them."""
    sentences = []
    for arm in results.settings.others:
        said = "; ".join(compared(saving_of(results, arm.name, metric), metric) for metric in METRICS)
        sentences.append(f"{arm.name}, against {results.settings.reference}: {said}.")
    if not results.same_tests:
        sentences.append("The campaigns were tested on different molecules, so their errors do not compare.")
    if results.settings.seeds < _FEW_SEEDS:
        sentences.append("Fewer than 5 seeds: the intervals are wide, and a seed more may change a verdict.")
    return sentences


def arms_table(results: Results) -> Table:
    """Errors with all labels, labels saved and where the labels came from, as a terminal table."""
    shown = Table(box=box.SIMPLE_HEAD, title_justify="left", title=Text(_title(results)))
    rows = [_cells(results, arm.name) for arm in results.settings.arms]
    headings = [heading for heading in rows[0] if "q95" not in heading]  # as many as a terminal holds
    for heading in headings:
        left = heading in ("campaign", "labels from")
        wide = _WIDTH if heading == "campaign" else None
        shown.add_column(heading, justify="left" if left else "right", overflow="fold", min_width=wide)
    for row in rows:
        shown.add_row(*(row[heading] for heading in headings))
    return shown


def write_report(results: Results, folder: Path) -> Path:
    """Draw the plots and write ``results.csv`` and ``report.html``; returns the page's path."""
    (folder / "plots").mkdir(parents=True, exist_ok=True)
    ordered = [results.settings.reference, *(arm.name for arm in results.settings.others)]
    plots = [
        *curves.learning_curves({name: results.of(name) for name in ordered}, METRICS, _unit(results)),
        curves.savings(
            {
                arm.name: {metric: saving_of(results, arm.name, metric) for metric in METRICS}
                for arm in results.settings.others
            },
            results.settings.reference,
        ),
    ]
    replace_file(folder / "results.csv", lambda path: _write_rows(path, results))
    rows = [_cells(results, arm.name) for arm in results.settings.arms]
    html = pages.render(
        "campaign_study",
        name=results.settings.campaign.stem,
        title=_title(results),
        verdict=verdict(results),
        tables=tables_of(rows, "campaign"),
        reference=results.settings.reference,
        seeds=results.settings.seeds,
        plots=[plot.shown(folder / "plots", redraw=True) for plot in plots],
    )
    replace_file(folder / "report.html", lambda path: write_text(path, html))
    return folder / "report.html"


def _unit(results: Results) -> str:
    """The unit of all errors."""
    return results.runs[0].unit


def _title(results: Results) -> str:
    first, settings = results.runs[0], results.settings
    labels = f"about {first.of('labels')[-1]:.0f} labels"
    return f"{settings.campaign.name}, {labels}, {settings.seeds} seeds ({first.level})"


def _cells(results: Results, arm: str) -> dict[str, str]:
    runs, other = results.of(arm), arm != results.settings.reference
    cells = {"campaign": arm}
    for metric in METRICS:
        last = np.array([run.of(metric)[-1] for run in runs])
        spread = f" ± {last.std(ddof=1):.3f}" if len(last) > 1 else ""
        cells[f"{curves.TITLES[metric]}, {_unit(results)}"] = f"{last.mean():.3f}{spread}"
    for metric in METRICS:
        saved = str(saving_of(results, arm, metric)) if other else ""
        cells[f"labels saved, {curves.TITLES[metric]}"] = saved
    cells["worst seed, MAE"] = f"{worst_seed(results, arm, 'mae'):+.0%}" if other else ""
    cells["seconds of labels"] = f"{np.mean([run.seconds for run in runs]):.0f}"
    cells["labels from"] = _sources(runs)
    return cells


def _sources(runs: list[Run]) -> str:
    """Training labels by where they came from, on average over seeds; those of the start left out."""
    names = sorted({name for run in runs for name in run.origins if name not in ("start", "")})
    means = {name: np.mean([run.origins.get(name, 0) for run in runs]) for name in names}
    return ", ".join(f"{name} {mean:.0f}" for name, mean in means.items())


def _write_rows(path: Path, results: Results) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(
            ["campaign", "seed", "round", "labels", *(column(metric, _unit(results)) for metric in METRICS)]
        )
        for run in results.runs:
            for row in run.metrics:
                table.writerow(
                    [run.arm, run.seed, row.round, row.labels, *(row[metric] for metric in METRICS)]
                )
