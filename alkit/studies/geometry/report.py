"""The results of a study, in words, a table and a page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.table import Table as TerminalTable

from alkit.files import replace_file, write_text
from alkit.reporting import html as pages
from alkit.reporting.page_parts import Table
from alkit.studies.geometry import plots
from alkit.studies.geometry.noise_floor import NoiseFloor
from alkit.studies.geometry.running import Results
from alkit.studies.geometry.settings import ARMS
from alkit.studies.statistics import Difference, mean_interval, paired_bootstrap
from alkit.units import KCAL_PER_MOL

_COLUMNS = ("mae", "rmse", "mse", "r2", "slope", "intercept")
_LAST_EPOCHS = 10  # the training loss is one batch's, so the mean of a few


def write_report(
    results: Results, folder: Path, *, floor: NoiseFloor | None = None, explanation: Sequence[str] = ()
) -> Path:
    """Draw the plots and write ``report.html``; returns the page's path.

    Args:
        results: of the study.
        folder: where page and plots are written.
        floor: error that stereoisomers of one SMILES leave, if it is known.
        explanation: sentences for the original study.
    """
    (folder / "plots").mkdir(parents=True, exist_ok=True)
    drawn = plots.study_plots(results, floor=floor.mae if floor else None)
    rows = [row for size in results.settings.sizes for row in _rows(results, size)]
    html = pages.render(
        "study",
        settings=results.settings,
        level=results.level,
        verdict=study_verdict(results),
        tables=_tables(rows),
        differences=_differences(results),
        plots=[plot.shown(folder / "plots", redraw=True) for plot in drawn],
        floor=floor,
        left_out=results.left_out,
        explanation=explanation,
    )
    replace_file(folder / "report.html", lambda path: write_text(path, html))
    return folder / "report.html"


def _tables(rows: Sequence[dict[str, str]]) -> list[Table]:
    """Errors of every arm and size, as tables narrow enough for a telephone."""
    parts = {
        "Errors, eV": {"MAE": "mae", "kcal/mol": "kcal", "± seeds": "spread", "RMSE": "rmse"},
        "Fits": {"one network": "member", "MSE, eV²": "mse", "training, s": "seconds"},
        "Prediction on label": {"R²": "r2", "slope": "slope", "intercept": "intercept"},
        "MAE of trivial predictors, eV": {"mean": "mean", "elements": "elements", "bonds": "bonds"},
    }
    return [
        Table(
            title,
            ("arm", "labels", *columns),
            [(row["arm"], row["labels"], *(row[key] for key in columns.values())) for row in rows],
            texts=1,
        )
        for title, columns in parts.items()
    ]


def _differences(results: Results) -> Table:
    rows = [
        (row["arms"], row["labels"], row["difference"], row["interval"], row["apart"])
        for row in comparisons(results)
    ]
    headings = ("difference of MAE", "labels", "eV", "95 % interval", "leaves out zero")
    return Table("Differences", headings, rows, texts=1)


def arms_table(results: Results) -> TerminalTable:
    """Errors of every arm and size, mean over seeds, as a terminal table."""
    shown = TerminalTable(
        box=box.SIMPLE_HEAD, title_justify="left", title=f"Test errors, eV ({results.level})"
    )
    for heading in ("labels", "arm", "MAE", "± seeds", "RMSE", "R²", "slope", "elements", "bonds"):
        shown.add_column(heading, justify="left" if heading == "arm" else "right")
    for size in results.settings.sizes:
        for row in _rows(results, size):
            keys = ("labels", "arm", "mae", "spread", "rmse", "r2", "slope", "elements", "bonds")
            shown.add_row(*(row[key] for key in keys))
    return shown


def comparisons(results: Results) -> list[dict[str, str]]:
    """The first arm against each other one at every size: difference of MAE with its 95 % interval."""
    first, *others = results.settings.arms
    pairs = []
    for size in results.settings.sizes:
        for other in others:
            difference = _difference(results, first, other, size)
            pairs.append(
                {
                    "labels": f"{size:,}",
                    "arms": f"{ARMS[first].title} less {ARMS[other].title}",
                    "difference": f"{difference.mean:+.4f}",
                    "interval": f"{difference.low:+.4f} to {difference.high:+.4f}",
                    "apart": "yes" if difference.clear else "no",
                }
            )
    return pairs


def study_verdict(results: Results) -> list[str]:
    """A plain sentence for every pair of arms, and warnings that belong to it."""
    first, *others = results.settings.arms
    sentences = [_compare(results, first, other) for other in others]
    worse = [
        f"{ARMS[arm].title} with {size:,} labels"
        for arm in results.settings.arms
        for size in results.settings.sizes
        if _mean(results, arm, size, "mae") > _mean(results, arm, size, "baseline_elements")
    ]
    if worse:
        sentences.append(f"Trained, and no better than counting elements: {'; '.join(worse)}.")
    if results.settings.seeds < 3:
        sentences.append("Fewer than 3 seeds: the intervals leave out most of what training sets differ by.")
    return sentences


def _compare(results: Results, first: str, other: str) -> str:
    one, two = ARMS[first].title, ARMS[other].title
    better: dict[str, list[str]] = {one: [], two: [], "": []}
    for size in results.settings.sizes:
        difference = _difference(results, first, other, size)
        winner = (one if difference.mean < 0 else two) if difference.clear else ""
        share = abs(difference.mean) / _mean(results, first if winner == two else other, size, "mae")
        better[winner].append(
            f"{size:,}" + (f" ({abs(difference.mean):.3f} eV, {100 * share:.0f} %)" if winner else "")
        )
    said = [
        f"{name} is better with {_listed(sizes)} labels" for name, sizes in better.items() if name and sizes
    ]
    if better[""]:
        said.append(f"they cannot be distinguished with {_listed(better[''])} labels")
    return f"{one} against {two}: {'; '.join(said)}."


def explanation(results: Results, with_references: Results) -> list[str]:
    """Why a study of total energies without atom references ends where it does.

    Args:
        results: of total energies.
        with_references: the same molecules and settings, with atom references.
    """
    from alkit.models.metrics import element_counts

    counts = [element_counts(one) for one in results.smiles]
    present = sorted(set().union(*counts))
    composition = np.array([[count[element] for element in present] for count in counts], dtype=np.float64)
    size, spread = max(results.settings.sizes), _left(composition.sum(axis=1)[:, None], results.truth)
    elements = results.fits[0].metrics["baseline_elements"]
    sentences = [
        "Total energies are nearly all energies of the atoms themselves. One energy per atom leaves "
        f"{spread:,.0f} eV of them (mean absolute value) to the network; one per element, fitted, leaves "
        f"{elements:.2f} eV."
    ]
    for arm in results.settings.arms:
        fit, errors = results.of(arm, size)[0], results.errors(arm, size)[0]
        mae = float(np.abs(errors).mean())
        trained = np.sqrt(np.mean([rows["train_loss"] for rows in fit.history[-_LAST_EPOCHS:]]))
        better = _mean(with_references, arm, size, "mae")
        sentences.append(
            f"{ARMS[arm].title}: MAE {mae:.2f} eV after {fit.metrics['epochs']:.0f} epochs, "
            f"{mae / spread:.2%} of what there was to learn. "
            f"RMSE {fit.metrics['rmse']:.1f} eV on test molecules, {trained:.1f} eV on batches of training "
            "molecules. Energies per element, fitted to the test errors, would take the MAE to "
            f"{_left(composition, errors):.2f} eV. With atom references and nothing else changed, the same "
            f"network gets {better:.2f} eV, {100 * (better / elements):.0f} % of what is then to learn."
        )
    return sentences


def _left(features: np.ndarray, values: np.ndarray) -> float:
    """Mean absolute value, eV, that a least-squares fit on ``(n, k)`` features leaves of ``(n,)`` values."""
    solution, *_ = np.linalg.lstsq(features, values, rcond=None)
    return float(np.abs(values - features @ solution).mean())


def _difference(results: Results, first: str, other: str, size: int) -> Difference:
    rng = np.random.default_rng(results.settings.seed)
    return paired_bootstrap(np.abs(results.errors(first, size)), np.abs(results.errors(other, size)), rng=rng)


def _rows(results: Results, size: int) -> list[dict[str, str]]:
    rows = []
    for arm in results.settings.arms:
        fits = results.of(arm, size)
        mean = {key: mean_interval([fit.metrics[key] for fit in fits])[0] for key in _COLUMNS}
        _, spread = mean_interval([fit.metrics["mae"] for fit in fits])
        row = {"labels": f"{size:,}", "arm": ARMS[arm].title}
        row |= {key: f"{mean[key]:.3f}" for key in ("mae", "rmse", "mse", "intercept")}
        row |= {"r2": f"{mean['r2']:.5f}", "slope": f"{mean['slope']:.4f}"}
        row |= {
            "spread": "–" if np.isnan(spread) else f"{spread:.3f}",
            "kcal": f"{mean['mae'] / KCAL_PER_MOL:.1f}",
        }
        row |= {
            name: f"{_mean(results, arm, size, f'baseline_{name}'):.2f}"
            for name in ("mean", "elements", "bonds")
        }
        row["member"] = f"{_mean(results, arm, size, 'member_mae'):.3f}"
        row["seconds"] = f"{_mean(results, arm, size, 'seconds'):.0f}"
        rows.append(row)
    return rows


def _mean(results: Results, arm: str, size: int, key: str) -> float:
    return float(np.mean([fit.metrics[key] for fit in results.of(arm, size)]))


def _listed(items: Sequence[Any]) -> str:
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else list(items))
