"""The bars on acquisition: labels saved against random selection on 9,000 real QM9 molecules, in 3D.

    python benchmarks/acquisition.py [--rows uniform small-first without-group optimise schnet] [--out DIR]

Data: ``qm9_12k.npz``, by `alkit data import`. Each row is `alkit study acquisition`: 100 labels at the start,
100 a round, to 1,500, test sets of 2,000, five seeds. The surrogate is a Gaussian process on SOAP features of
the data set's geometry: five seeds of SchNet would take days on two cores. ``schnet`` is what one hour
allows: two networks of 120 epochs, 100 labels and 150 a round, to 700. ``optimise``: how many of the pool's
best 0.1 %, by energy per heavy atom, are among 500 labels. Time and memory of a batch of 100 from 100,000:
``selection.py``. Finished runs are kept in --out, and the same command goes on.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from accuracy import DATA, ROOT
from rich.console import Console

from alkit.datasets import qm9
from alkit.reporting.progress import CampaignProgress
from alkit.studies.acquisition import comparing, report
from alkit.studies.acquisition.running import Results, run_study
from alkit.studies.acquisition.settings import Function, Settings

FUNCTIONS = ("bias", "lcmd", "maxdet", "kmeans++", "std")
OPTIMISE = (
    "{name: log_ei, settings: {per_heavy_atom: true}}",
    "{name: ucb, settings: {per_heavy_atom: true}}",
    "{name: thompson, settings: {per_heavy_atom: true}}",
)
SCHNET = ("{name: bias, features: soap}", "{name: lcmd, features: soap}")
ROWS = ("uniform", "small-first", "without-group", "optimise", "schnet")
LABELS_TO_OPTIMISE = 500


def settings(row: str, data: Path, functions: tuple[str, ...]) -> Settings:
    named = {"optimise": OPTIMISE, "schnet": SCHNET}.get(row, functions)
    found = Settings(data=str(data), functions=tuple(Function.parse(one) for one in named))
    if row == "optimise":
        return replace(found, labels=LABELS_TO_OPTIMISE)
    if row == "schnet":
        return replace(found, surrogate="schnet", batch=150, labels=700)
    return replace(found, scenario=row)


def optimum(results: Results) -> list[str]:
    """Shares found, beside what random selection finds on average."""
    told = []
    for labels in (200, LABELS_TO_OPTIMISE):
        expected = labels / results.settings.pool
        shares = {
            one.title: comparing.found(results, one.title, labels) for one in results.settings.all_functions
        }
        said = "; ".join(f"{title} {share:.0%} ({share / expected:.0f}x)" for title, share in shares.items())
        told.append(f"{labels} labels, of the pool's best 0.1 %: {said}; all of them is {1 / expected:.0f}x")
    return told


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--functions", nargs="+", default=list(FUNCTIONS))
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "acquisition")
    arguments = parser.parse_args()
    console, progress = Console(width=200, markup=False), CampaignProgress(Console(stderr=True))
    data = arguments.out / "qm9.db"
    if not data.exists():
        arguments.out.mkdir(parents=True, exist_ok=True)
        qm9.import_qm9(DATA, data)
    for row in arguments.rows:
        results = run_study(settings(row, data, tuple(arguments.functions)), arguments.out / row, progress)
        console.print(report.savings_table(results))
        for sentence in optimum(results) if row == "optimise" else comparing.study_verdict(results):
            console.print(sentence)
        console.print(f"Report: {report.write_report(results, arguments.out / row)}")


if __name__ == "__main__":
    main()
