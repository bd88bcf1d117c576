"""What a study of acquisition functions found: a table, plots, a page and a CSV file."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from rich import box
from rich.table import Table

from alkit.files import replace_file, write_text
from alkit.reporting import html as pages
from alkit.reporting import plots
from alkit.studies.acquisition import comparing
from alkit.studies.acquisition.running import METRICS, Results
from alkit.studies.acquisition.settings import REFERENCE, SCENARIOS, SURROGATES

_COLOURS = ("#8c8c8c", "#2563a8", "#d9722e", "#3a8f5c", "#8a4fa3", "#b03a48", "#1a9aa0", "#b8860b", "#5b5b8c")
_TITLES = {"mae": "MAE", "rmse": "RMSE", "q95": "q95", "max": "largest error"}


def write_report(results: Results, folder: Path) -> Path:
    """Draw the plots and write ``results.csv`` and ``report.html``; returns the page's path."""
    (folder / "plots").mkdir(parents=True, exist_ok=True)
    drawn = [
        learning_curves(results, folder / "plots" / "learning_curves.png"),
        savings(results, folder / "plots" / "savings.png"),
    ]
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
        surrogate=SURROGATES[results.settings.surrogate],
        verdict=comparing.study_verdict(results),
        headings=list(_cells(results, REFERENCE)),
        rows=[_cells(results, one.title) for one in results.settings.all_functions],
        drawings={path.stem: pages.data_uri(path) for path in drawn},
    )
    replace_file(folder / "report.html", lambda path: write_text(path, html))
    return folder / "report.html"


def savings_table(results: Results) -> Table:
    """Errors with all labels and labels saved, mean over seeds, as a terminal table."""
    settings = results.settings
    title = f"{settings.labels:,} labels, {settings.scenario}, {settings.seeds} seeds ({results.level}), eV"
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
        cells[_TITLES[metric]] = f"{last:.3f}"
    for metric in METRICS:
        cells[f"labels saved, {_TITLES[metric]}"] = (
            "" if function == REFERENCE else _saved(results, function, metric)
        )
    for metric in ("mae", "rmse"):
        worst = comparing.worst_round(results, function, metric)
        cells[f"worst round, {_TITLES[metric]}"] = "" if function == REFERENCE else f"{worst:+.0%}"
    cells["selection, s"] = f"{max(run.of('seconds').max() for run in results.of(function)):.1f}"
    return cells


def _saved(results: Results, function: str, metric: str) -> str:
    one = comparing.saving(results, function, metric)
    if np.isnan(one.low):
        return f"{one.mean:.2f}×"
    return f"{one.mean:.2f}× ({one.low:.2f}–{one.high:.2f})"


def learning_curves(results: Results, path: Path) -> Path:
    """Each error against labels: the mean over seeds, and a band of one standard deviation."""
    figure, grid = plots.figure(len(METRICS))
    for axes, metric in zip(grid, METRICS, strict=True):
        for function, colour in zip(results.settings.all_functions, _colours(results), strict=True):
            runs = results.of(function.title)
            labels, curves = runs[0].of("labels"), np.array([run.of(metric) for run in runs])
            mean = curves.mean(axis=0)
            legend = function.title if metric == METRICS[0] else None
            axes.plot(labels, mean, color=colour, lw=1.8, label=legend)
            if len(runs) > 1:
                spread = curves.std(axis=0, ddof=1)
                axes.fill_between(labels, mean - spread, mean + spread, color=colour, alpha=0.13, lw=0)
        axes.set(xscale="log", yscale="log", xlabel="labels", ylabel=f"{_TITLES[metric]}, eV")
        ticks = [n for n in (100, 200, 500, 1000, 2000, 5000) if labels[0] <= n <= labels[-1]]
        axes.set_xticks(ticks, [f"{n:,}" for n in ticks])
        axes.minorticks_off()
        plots.plain_ticks(axes.yaxis)
    return plots.finish(figure, path, columns=5)


def savings(results: Results, path: Path) -> Path:
    """Labels of random selection over those of each function for the same error, with 95 % intervals."""
    figure, axes = plots.figure()
    functions = results.settings.functions
    places = np.arange(len(functions))[::-1].astype(float)
    for k, metric in enumerate(METRICS):
        ratios = [comparing.saving(results, one.title, metric) for one in functions]
        means = np.array([one.mean for one in ratios])
        reach = np.nan_to_num(
            np.array([[m - one.low, one.high - m] for m, one in zip(means, ratios, strict=True)])
        )
        y = places + 0.27 - 0.18 * k
        axes.errorbar(
            means, y, xerr=reach.T, fmt="o", ms=5, capsize=2, color=_COLOURS[k + 1], label=_TITLES[metric]
        )
    axes.axvline(1.0, color=plots.GREY, lw=1)
    axes.set_yticks(places, [one.title for one in functions])
    axes.set(xscale="log", xlabel="random's labels over the function's, same error")
    plots.plain_ticks(axes.xaxis)
    axes.set_title("Labels saved", loc="left")
    return plots.finish(figure, path, columns=4)


def _colours(results: Results) -> list[str]:
    return [_COLOURS[k % len(_COLOURS)] for k in range(len(results.settings.all_functions))]
