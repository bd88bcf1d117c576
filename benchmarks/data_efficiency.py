"""Labels needed for chemical accuracy: test MAE of U0 (eV) by number of labels, tier by tier.

    python benchmarks/data_efficiency.py [--rows pretrained semi-empirical ...] [--sizes 50 100 300]
        [--seeds 5] [--test 2000] [--out runs/efficiency] [--keep]
    python benchmarks/data_efficiency.py --ablation --sizes 300 --seeds 3

Data: ``qm9_12k.npz``. Test molecules: 10,000 to 11,999; the labels of seed s are drawn from molecules 0 to
9,999. Settings were chosen on molecules 0 to 9,999 alone. Every label counts; nothing sets any apart.
``--keep`` keeps the models, which `alkit score` reads. Finished fits are kept in --out, and the same command
goes on; it ends with a table, and with a figure beside the published curves of SchNet and FCHL18.
"""

import argparse
import contextlib
import csv
import json
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from conformers import SAME, relaxed
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from alkit.baselines.base import level_of, specs_of
from alkit.baselines.cache import BaselineCache
from alkit.datasets import Dataset
from alkit.datasets.qm9 import import_qm9
from alkit.engines.calling import calling_workers
from alkit.errors import DataError, LabelError
from alkit.files import replace_file
from alkit.models.geometries import make_geometry
from alkit.models.graphs import GraphBuilder, inputs_of
from alkit.models.metrics import error_metrics
from alkit.models.store import Provenance
from alkit.molecules.identity import stereoisomer
from alkit.molecules.molecule import Molecule
from alkit.units import CHEMICAL_ACCURACY
from surrogate import ModelSettings, TrainingSettings, fit_surrogate
from surrogate.fitting import folds_for

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data" / "qm9_12k.npz"
TRAINING, TEST = 10_000, range(10_000, 12_000)
# Published MAE of U0 without a baseline, eV: SchNet (https://doi.org/10.1063/1.5019779, 50,000 and more;
# schnetpack's pipeline at 1,000 here), FCHL18 (https://doi.org/10.1063/1.5020710).
PUBLISHED = {
    "FCHL18, direct (published)": {1000: 0.064, 2000: 0.043},
    "SchNet, direct (1,000: measured here; published)": {1000: 0.133, 50_000: 0.026},
}
GFN = ["gfn1", "gfn2"]


@dataclass(frozen=True)
class Row:
    """One curve of the table."""

    representation: str
    baseline: list[str] = field(default_factory=list)
    inputs: bool = True
    members: int = 5
    model: dict[str, Any] = field(default_factory=dict)
    geometry: str = "dataset"  # or made from the stereo SMILES alone


ROWS = {
    "pretrained": Row("kernel", ["aimnet2"]),
    "pretrained, energy alone": Row("kernel", ["aimnet2"], inputs=False),
    "pretrained + xtb": Row("kernel", ["aimnet2", *GFN]),
    "semi-empirical": Row("kernel", GFN),
    "semi-empirical, energies alone": Row("kernel", GFN, inputs=False),
    "gfn2": Row("kernel", ["gfn2"]),
    "gfn1": Row("kernel", ["gfn1"]),
    "direct": Row("kernel"),
    "direct, SchNet": Row("schnet"),
    "direct, PaiNN": Row("painn", model={"gaussians": 20}),
    "pretrained, committee": Row("committee", ["aimnet2"]),
    "semi-empirical, committee": Row("committee", GFN),
    "semi-empirical, SchNet": Row("schnet", GFN),
    "semi-empirical, PaiNN": Row("painn", GFN, model={"gaussians": 20}),
    "pretrained, PaiNN": Row("painn", ["aimnet2"], model={"gaussians": 20}),
    "pretrained, no DFT geometry": Row("kernel", ["aimnet2"], geometry="gfn2"),
    "pretrained, AIMNet2 geometry": Row("kernel", ["aimnet2"], geometry="aimnet2"),
    "pretrained, xtb geometry": Row("kernel", ["aimnet2"], geometry="xtb"),
    "semi-empirical, no DFT geometry": Row("kernel", GFN, geometry="gfn2"),
}
# One lever at a time: what each of these rows changes in the first one.
ABLATION = {
    "semi-empirical": (
        "direct", "gfn1", "gfn2", "semi-empirical, energies alone", "semi-empirical, SchNet",
        "semi-empirical, PaiNN", "semi-empirical, committee",
    ),
    "pretrained": (
        "pretrained, energy alone", "pretrained + xtb", "pretrained, PaiNN", "pretrained, committee",
    ),
}  # fmt: skip
NETWORKS = {"features": 64, "elements": ("H", "C", "N", "O")}
HOW = {"epochs": 150, "batch_size": 16, "ema": 0.99, "device": "cpu"}
METRICS = ("mae", "rmse", "coverage_90", "spearman", "ence", "miscalibration_area")


def molecule(data: Dataset, i: int, geometry: str, out: Path) -> Molecule | Exception:
    """In the data set's geometry, or in one made from its stereo SMILES, which is kept."""
    own = Molecule(data.smiles[i], data.numbers(i), data.positions(i), "dataset")
    if geometry == "dataset":
        return own
    path = out / "geometries" / geometry / f"{i}.json"
    if not path.exists():
        smiles = stereoisomer(own.smiles, own.numbers, own.positions) or own.smiles
        try:
            made = make_geometry(smiles, geometry=geometry)
            content = {"smiles": made.smiles, "z": made.numbers.tolist(), "r": made.positions.tolist()}
        except (DataError, LabelError) as error:
            content = {"error": str(error)}
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, lambda part: part.write_text(json.dumps(content)))
    kept = json.loads(path.read_text())
    if "error" in kept:
        return DataError(kept["error"])
    return Molecule(kept["smiles"], np.array(kept["z"]), np.array(kept["r"]), geometry)


def measure(name: str, size: int, seed: int, data: Dataset, test: range, out: Path, *, keep: bool) -> None:
    """Fit one model, test it, and write its figures."""
    path = out / "fits" / f"{name.replace(', ', '_').replace(' ', '-')}_{size}_{seed}.json"
    if path.exists():
        return
    row, begun = ROWS[name], time.perf_counter()
    specs = specs_of([{"kind": kind} for kind in row.baseline])
    settings = ModelSettings(
        representation=row.representation,  # type: ignore[arg-type]
        inputs=inputs_of(specs) if row.inputs and specs else (),
        baseline=level_of(specs),
        **NETWORKS | row.model,
    )
    builder = GraphBuilder(settings, row.geometry, baselines=specs)
    chosen = np.random.default_rng([seed, 19]).permutation(TRAINING)[:size]
    truth = data.atomization("u0")

    def graphs(rows: Any) -> tuple[list[Any], NDArray]:
        """Graphs of those that have a geometry and a baseline, and their labels."""
        with closing(BaselineCache(out / "baselines.sqlite")) as cache, calling_workers(1, 120.0) as call_all:
            molecules = [molecule(data, i, row.geometry, out) for i in rows]
            found = builder.graphs(molecules, call_all=call_all, cache=cache)
        good = [not isinstance(one, Exception) for one in found]
        return [one for one in found if not isinstance(one, Exception)], truth[np.array(rows)[good]]

    training, labels = graphs(chosen)
    groups = list(range(len(training)))  # no two molecules are stereoisomers
    model = fit_surrogate(
        settings,
        TrainingSettings(**HOW),
        training=(training, labels),
        members=row.members,
        seed=seed,
        left_out=folds_for(settings, groups, row.members),
    )
    tested, expected = graphs(test)
    predicted = model.predict(tested, device="cpu")
    found = error_metrics(expected, predicted.mean, predicted.std, predicted.calibration)
    if keep:
        folder = out / "models" / path.stem
        Provenance(row.geometry, 0, 10, f"{data.level} u0", size, baselines=specs).save(folder)
        model.save(folder)
    content = {key: found[key] for key in METRICS} | {
        "row": name, "labels": size, "seed": seed, "tested": len(tested),
        "seconds": time.perf_counter() - begun,
    }  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, lambda part: part.write_text(json.dumps(content)))
    print(json.dumps(content), flush=True)


def ablation(results: list[dict[str, Any]]) -> Table:
    """MAE of each row beside that of the row it changes, seed by seed."""
    found = Table(title="one lever at a time: test MAE of U0, eV, and its ratio to the first row of its part")
    for column in ("row", "labels", "seeds", "MAE", "ratio ± spread"):
        found.add_column(column)
    errors = {(one["row"], one["labels"], one["seed"]): one["mae"] for one in results}
    for first, others in ABLATION.items():
        for name in (first, *others):
            for size in sorted({labels for row, labels, _ in errors if row == name}):
                seeds = [s for row, n, s in errors if (row, n) == (name, size) and (first, size, s) in errors]
                if seeds:
                    ratios = [errors[name, size, s] / errors[first, size, s] for s in seeds]
                    mean = float(np.mean([errors[name, size, s] for s in seeds]))
                    spread = f" ± {np.std(ratios, ddof=1):.2f}" if len(seeds) > 1 else ""
                    found.add_row(
                        name, str(size), str(len(seeds)), f"{mean:.4f}", f"{np.mean(ratios):.2f}{spread}"
                    )
        found.add_section()
    return found


def conformer_floor(data: Dataset, rows: Sequence[int], out: Path) -> dict[str, float]:
    """What the choice of a conformer leaves: the GFN2-xTB energy (eV) at the minimum that alkit finds, less
    that at the minimum that the data set's geometry relaxes to."""
    found = []
    for i in rows:
        ours, theirs = molecule(data, i, "gfn2", out), molecule(data, i, "dataset", out)
        if isinstance(ours, Molecule) and isinstance(theirs, Molecule):
            energies = []
            for one in (ours, theirs):
                with contextlib.suppress(LabelError):
                    energies.append(relaxed(one.numbers, one.positions))
            if len(energies) == 2:
                found.append(energies[0] - energies[1])
    differences = np.array(found)
    return {
        "molecules": len(found),
        "same": float((np.abs(differences) < SAME).mean()),
        "mean": float(differences.mean()),
        "floor": float(np.abs(differences - np.median(differences)).mean()),
    }


def table(results: list[dict[str, Any]], names: list[str]) -> Table:
    """Mean and spread over seeds."""
    found = Table(title="test MAE of U0, eV, mean ± spread over seeds; chemical accuracy is 0.0434 eV")
    for column in (
        "row",
        "labels",
        "seeds",
        "MAE",
        "RMSE",
        "coverage of 90 %",
        "Spearman",
        "ENCE",
        "seconds",
    ):
        found.add_column(column)
    for name in names:
        for size in sorted({one["labels"] for one in results if one["row"] == name}):
            rows = [one for one in results if (one["row"], one["labels"]) == (name, size)]

            def mean(key: str, rows: list[dict[str, Any]] = rows) -> float:
                return float(np.mean([one[key] for one in rows]))

            spread = float(np.std([one["mae"] for one in rows], ddof=1)) if len(rows) > 1 else float("nan")
            mark = " *" if mean("mae") <= CHEMICAL_ACCURACY else ""
            error = f"{mean('mae'):.4f} ± {spread:.4f}{mark}"
            found.add_row(
                name, str(size), str(len(rows)), error, f"{mean('rmse'):.3f}",
                f"{100 * mean('coverage_90'):.1f}", f"{mean('spearman'):.2f}", f"{mean('ence'):.2f}",
                f"{mean('seconds'):.0f}",
            )  # fmt: skip
    return found


def figure(results: list[dict[str, Any]], names: list[str], path: Path) -> None:
    """Learning curves beside the published ones."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import FixedLocator, NullFormatter

    drawing, axes = pyplot.subplots(figsize=(7.5, 5), layout="constrained")
    for name, marker in zip(names, cycle("oDv^<>"), strict=False):
        sizes = sorted({one["labels"] for one in results if one["row"] == name})
        columns = [[one["mae"] for one in results if (one["row"], one["labels"]) == (name, n)] for n in sizes]
        if sizes:
            means, spreads = [np.mean(c) for c in columns], [np.std(c) for c in columns]
            axes.errorbar(sizes, means, spreads, marker=marker, capsize=3, label=name)
    for (name, curve), line in zip(PUBLISHED.items(), ("k--", "k:"), strict=True):
        axes.plot(list(curve), list(curve.values()), line, marker="s", linewidth=1, label=name)
    axes.axhline(CHEMICAL_ACCURACY, color="gray", linewidth=1)
    axes.set(xscale="log", yscale="log", xlabel="labels of the target level", ylabel="test MAE of U0, eV")
    axes.annotate(
        "chemical accuracy", (1, CHEMICAL_ACCURACY), xycoords=("axes fraction", "data"), ha="right",
        va="bottom", color="gray",
    )  # fmt: skip
    for axis, ticks in (
        (axes.xaxis, (50, 100, 300, 1000, 10_000)),
        (axes.yaxis, (0.025, 0.04, 0.06, 0.1, 0.2)),
    ):
        axis.set_major_locator(FixedLocator(ticks))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter(NullFormatter())
    drawing.legend(fontsize=8, loc="outside lower center", ncols=3)
    drawing.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=["pretrained", "semi-empirical"])
    parser.add_argument("--sizes", nargs="+", type=int, default=[50, 100, 300])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--test", type=int, default=len(TEST))
    parser.add_argument("--out", type=Path, default=Path("runs/efficiency"))
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--ablation", action="store_true", help="every row of it, and its table")
    arguments = parser.parse_args()
    if arguments.ablation:
        arguments.rows = [name for first, others in ABLATION.items() for name in (first, *others)]
    arguments.out.mkdir(parents=True, exist_ok=True)
    database = arguments.out / "qm9.db"
    if not database.exists():
        import_qm9(DATA, database)
    data = Dataset.open(database)
    for size in arguments.sizes:
        for seed in range(arguments.seeds):
            for name in arguments.rows:
                measure(name, size, seed, data, TEST[: arguments.test], arguments.out, keep=arguments.keep)
    results = [json.loads(path.read_text()) for path in sorted((arguments.out / "fits").glob("*.json"))]
    with (arguments.out / "efficiency.csv").open("w", newline="") as file:
        rows = csv.DictWriter(
            file, ["row", "labels", "seed", "tested", *METRICS, "seconds"], extrasaction="ignore"
        )
        rows.writeheader()
        rows.writerows(results)
    names = [name for name in ROWS if any(one["row"] == name for one in results)]
    console = Console(width=140, highlight=False)
    console.print(table(results, names))
    if arguments.ablation:
        console.print(ablation(results))
    figure(results, names, arguments.out / "efficiency.png")
    if any(ROWS[name].geometry != "dataset" for name in arguments.rows):
        print(
            "conformers (GFN2-xTB, eV):",
            conformer_floor(data, TEST[: min(100, arguments.test)], arguments.out),
        )


if __name__ == "__main__":
    main()
