"""The bars on acquisition: labels saved against random selection on 9,000 real QM9 molecules, in 3D.

    python benchmarks/acquisition.py [--rows uniform small-first without-group optimise schnet
                                      semi-empirical pretrained] [--functions …] [--out DIR]

Data: ``qm9_12k.npz``, by `alkit data import`. Each row is `alkit study acquisition`: 100 labels at the start,
100 a round, to 1,500, test sets of 2,000, five seeds. The surrogate is a Gaussian process on SOAP features of
the data set's geometry: five seeds of SchNet would take days on two cores. ``schnet`` is what one hour
allows: two networks of 120 epochs, 100 labels and 150 a round, to 700. ``optimise``: how many of the pool's
best 0.1 %, by energy per heavy atom, are among 500 labels. Time and memory of a batch of 100 from 100,000:
``selection.py``. Finished runs are kept in --out, and the same command goes on.

``semi-empirical`` and ``pretrained`` (not among the rows by default): the kernel on top of GFN1- and GFN2-xTB
or AIMNet2, with all that these say of atoms; 50 labels, 25 a round, to 350 or 150, a pool of 2,000 of
molecules 0 to 8,999 of the data set, tests on molecules 9,000 to 9,999, and the labels to chemical accuracy.
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
from alkit.units import CHEMICAL_ACCURACY

FUNCTIONS = ("bias", "lcmd", "maxdet", "kmeans++", "std")
OPTIMISE = (
    "{name: log_ei, settings: {per_heavy_atom: true}}",
    "{name: ucb, settings: {per_heavy_atom: true}}",
    "{name: thompson, settings: {per_heavy_atom: true}}",
)
SCHNET = ("{name: bias, features: soap}", "{name: lcmd, features: soap}")
ROWS = ("uniform", "small-first", "without-group", "optimise", "schnet")
DELTA = ("integrated_variance", "farthest")
TIERS = {"semi-empirical": (("gfn1", "gfn2"), 350), "pretrained": (("aimnet2",), 150)}
DEVELOPMENT = 10_000  # molecules of the data set that a tier's rows may see
LABELS_TO_OPTIMISE = 500


def settings(row: str, data: Path, functions: tuple[str, ...]) -> Settings:
    named = {"optimise": OPTIMISE, "schnet": SCHNET}.get(row, functions or FUNCTIONS)
    if row in TIERS:
        return delta(row, data, functions or DELTA)
    found = Settings(data=str(data), functions=tuple(Function.parse(one) for one in named))
    if row == "optimise":
        return replace(found, labels=LABELS_TO_OPTIMISE)
    if row == "schnet":
        return replace(found, surrogate="schnet", batch=150, labels=700)
    return replace(found, scenario=row)


def delta(tier: str, data: Path, functions: tuple[str, ...]) -> Settings:
    baselines, labels = TIERS[tier]
    return Settings(
        data=str(data), functions=tuple(Function.parse(one) for one in functions), scenario="last-tested",
        surrogate="kernel", baseline=tuple({"kind": kind} for kind in baselines), baseline_inputs=True,
        start=50, batch=25, labels=labels, pool=2000, test=1000,
        target_mae=CHEMICAL_ACCURACY,
    )  # fmt: skip


def imported(row: str, out: Path) -> Path:
    """The data set of a row."""
    data, limit = (out / "development.db", DEVELOPMENT) if row in TIERS else (out / "qm9.db", None)
    if not data.exists():
        out.mkdir(parents=True, exist_ok=True)
        qm9.import_qm9(DATA, data, limit=limit)
    return data


def optimum(results: Results) -> list[str]:
    """Shares found, beside what random selection finds on average."""
    sentences = []
    for labels in (200, LABELS_TO_OPTIMISE):
        expected = labels / results.settings.pool
        shares = {
            one.title: comparing.found(results, one.title, labels) for one in results.settings.all_functions
        }
        said = "; ".join(f"{title} {share:.0%} ({share / expected:.0f}x)" for title, share in shares.items())
        sentences.append(
            f"{labels} labels, of the pool's best 0.1 %: {said}; all of them is {1 / expected:.0f}x"
        )
    return sentences


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", nargs="+", choices=[*ROWS, *TIERS], default=list(ROWS))
    parser.add_argument("--functions", nargs="+", default=[], help="those of the row by default")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "acquisition")
    arguments = parser.parse_args()
    console, progress = Console(width=200, markup=False), CampaignProgress(Console(stderr=True))
    for row in arguments.rows:
        how = settings(row, imported(row, arguments.out), tuple(arguments.functions))
        results = run_study(replace(how, seeds=arguments.seeds), arguments.out / row, progress)
        console.print(report.savings_table(results))
        for sentence in optimum(results) if row == "optimise" else comparing.study_verdict(results):
            console.print(sentence)
        console.print(f"Report: {report.write_report(results, arguments.out / row)}")


if __name__ == "__main__":
    main()
