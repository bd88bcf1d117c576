"""What pretraining on cheap levels of theory gives: test MAE of U0 (eV) with and without it.

    python benchmarks/pretraining.py [--rows "schnet, direct" ...] [--sizes 100 300] [--seeds 2]
        [--molecules 1700] [--epochs 40] [--test 500] [--out runs/pretraining]

Data: ``qm9_12k.npz``. Seed s has the molecules 2,000 s to 2,000 s + 1,999 as its pool: labels are drawn from
them, and the networks are pretrained on others of them, which need no label. Molecules 9,000 to 9,999 test;
10,000 and more are not read. Every label counts: members leave out folds. Finished fits are kept in --out,
and the same command goes on; it ends with a table.
"""

import argparse
import json
import time
from contextlib import closing
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from alkit.baselines.base import level_of, specs_of
from alkit.baselines.cache import BaselineCache
from alkit.baselines.computing import read_all
from alkit.config.baseline import PretrainingConfig
from alkit.datasets import Dataset
from alkit.datasets.qm9 import import_qm9
from alkit.files import replace_file
from alkit.models.graphs import GraphBuilder, inputs_of
from alkit.models.metrics import error_metrics
from alkit.models.pretraining import Pretraining, pretrain
from alkit.models.tiers import tier
from alkit.molecules.molecule import Molecule
from surrogate import Ensemble, ModelSettings, TrainingSettings, fit_surrogate
from surrogate.fitting import folds_for

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data" / "qm9_12k.npz"
POOL, TEST = 2000, range(9_000, 10_000)
MEMBERS = 3
MODEL = {"features": 64, "elements": ("H", "C", "N", "O")}
HOW = TrainingSettings(epochs=150, batch_size=16, ema=0.99, device="cpu")
FIRST = TrainingSettings(batch_size=32, ema=0.99, device="cpu")  # of pretraining
METRICS = ("mae", "rmse", "coverage_90", "spearman")
GFN = ("gfn1", "gfn2")


@dataclass(frozen=True)
class Row:
    """A surrogate, and what it learns first: nothing, or levels, each by the name of its column."""

    representation: str
    baseline: tuple[str, ...] = ()
    first: dict[str, dict[str, Any]] = field(default_factory=dict)


def _rows(representation: str) -> dict[str, Row]:
    aimnet2 = {"AIMNet2": {"level": "aimnet2"}}
    direct = {"GFN2": {"level": "gfn2"}, "GFN2 - GFN1": {"level": "gfn2", "minus": "gfn1"}} | aimnet2
    return {
        f"{representation}, direct": Row(representation, (), direct),
        f"{representation}, on GFN1 and GFN2": Row(
            representation, GFN, {"GFN2": {"level": "gfn2"}} | aimnet2
        ),
        f"{representation}, on AIMNet2": Row(representation, ("aimnet2",), {"GFN2": {"level": "gfn2"}}),
    }


ROWS = _rows("schnet") | _rows("painn")


class Bench:
    """Molecules with their baselines, pretrained networks, and finished fits, kept in one folder."""

    def __init__(self, arguments: argparse.Namespace):
        self.out, self.arguments = Path(arguments.out), arguments
        self.out.mkdir(parents=True, exist_ok=True)
        if not (self.out / "qm9.db").exists():
            import_qm9(DATA, self.out / "qm9.db")
        self.data = Dataset.open(self.out / "qm9.db")
        self.truth = self.data.atomization("u0")
        self.test = np.array(TEST[: arguments.test])

    def molecules(self, rows: NDArray) -> list[Molecule]:
        data = self.data
        return [
            Molecule(data.smiles[i], data.numbers(i), data.positions(i), "dataset") for i in rows.tolist()
        ]

    def builder(self, row: Row) -> GraphBuilder:
        specs = specs_of([{"kind": kind} for kind in row.baseline])
        settings = ModelSettings(
            representation=row.representation,  # type: ignore[arg-type]
            inputs=inputs_of(specs) if specs else (),
            baseline=level_of(specs),
            gaussians=20 if row.representation == "painn" else 40,
            **MODEL,
        )
        return GraphBuilder(settings, "dataset", baselines=specs)

    def graphs(self, builder: GraphBuilder, rows: NDArray) -> list[Any]:
        with closing(BaselineCache(self.out / "baselines.sqlite")) as kept:
            found = builder.graphs(self.molecules(rows), cache=kept)
        for one in found:
            if isinstance(one, Exception):
                raise one  # every molecule of the file has these levels
        return found

    @cache  # noqa: B019 (one object a process)
    def order(self, seed: int) -> NDArray[np.int64]:
        """The seed's pool: labels from its begin, cheap energies from its end."""
        return POOL * seed + np.random.default_rng([seed, 19]).permutation(POOL)

    def pretrained(self, name: str, first: str, seed: int) -> Ensemble:
        """One network, from which the members go on."""
        row, arguments = ROWS[name], self.arguments
        folder = (
            self.out / "networks" / f"{_file(name, first)}_{arguments.molecules}_{arguments.epochs}_{seed}"
        )
        if (folder / "ensemble.json").exists():
            return Ensemble.load(folder)
        what, begun = Pretraining.of(PretrainingConfig.model_validate(row.first[first])), time.perf_counter()
        rows = self.order(seed)[POOL - arguments.molecules :]
        builder = self.builder(row)
        graphs = self.graphs(builder, rows)
        with closing(BaselineCache(self.out / "baselines.sqlite")) as kept:
            readings = read_all(what.needed, self.molecules(rows), cache=kept)
        ensemble = pretrain(
            builder.settings, FIRST, graphs=graphs, targets=what.targets(graphs, readings),  # type: ignore[arg-type]
            epochs=arguments.epochs, members=1, seed=seed,
        )  # fmt: skip
        history = ensemble.histories[0]
        error = history.epochs[history.best_epoch]["val_MAE"]
        seconds = time.perf_counter() - begun
        print(f"{name}, {first}, seed {seed}: pretrained to {error:.3f} eV in {seconds:.0f} s", flush=True)
        ensemble.save(folder)
        return ensemble

    def measure(self, name: str, first: str, size: int, seed: int) -> None:
        """Fit on so many labels, test, and write the figures."""
        path = self.out / "fits" / f"{_file(name, first or 'nothing')}_{size}_{seed}.json"
        if path.exists():
            return
        row, start, how = ROWS[name], None, HOW
        if first:
            start = self.pretrained(name, first, seed)
            how = TrainingSettings(**HOW.as_dict() | {"depth_decay": self.arguments.depth_decay})
        begun, builder, rows = time.perf_counter(), self.builder(row), self.order(seed)[:size]
        model = fit_surrogate(
            builder.settings,
            how,
            training=(self.graphs(builder, rows), self.truth[rows]),
            members=MEMBERS,
            seed=seed,
            left_out=folds_for(builder.settings, rows.tolist(), MEMBERS),
            warm_start=start,
        )
        predicted = model.predict(self.graphs(builder, self.test), device="cpu")
        found = error_metrics(self.truth[self.test], predicted.mean, predicted.std, predicted.calibration)
        what = Pretraining.of(PretrainingConfig.model_validate(row.first[first])) if first else None
        content = {key: found[key] for key in METRICS} | {
            "row": name, "first": first, "labels": size, "seed": seed, "tested": len(self.test),
            "tier": tier(builder.settings, builder.baselines, what), "seconds": time.perf_counter() - begun,
        }  # fmt: skip
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, lambda part: part.write_text(json.dumps(content)))
        print(json.dumps(content), flush=True)


def _file(*parts: str) -> str:
    return "_".join("".join(one if one.isalnum() else "-" for one in part) for part in parts)


def table(results: list[dict[str, Any]]) -> Table:
    """Mean and spread over seeds, with and without."""
    found = Table(title="test MAE of U0, eV, mean (seeds); pretrained on the level beside")
    for column in ("row", "learned first", "tier", "labels", "MAE", "each seed", "90 % holds", "Spearman"):
        found.add_column(column)
    keys = dict.fromkeys((one["row"], one["labels"], one["first"]) for one in results)
    for name, size, first in sorted(keys, key=lambda key: (list(ROWS).index(key[0]), key[1], key[2])):
        rows = [one for one in results if (one["row"], one["labels"], one["first"]) == (name, size, first)]
        means = {key: float(np.mean([one[key] for one in rows])) for key in METRICS}
        each = ", ".join(f"{one['mae']:.4f}" for one in sorted(rows, key=lambda one: one["seed"]))
        found.add_row(
            name, first or "nothing", rows[0]["tier"].partition(":")[0].partition(" (")[0], str(size),
            f"{means['mae']:.4f}", each, f"{100 * means['coverage_90']:.0f}", f"{means['spearman']:.2f}",
        )  # fmt: skip
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--first", nargs="+", help="levels that are learned first, as the table names them")
    parser.add_argument("--sizes", nargs="+", type=int, default=[100, 300])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--molecules", type=int, default=1700)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--depth-decay", type=float, default=0.5)
    parser.add_argument("--test", type=int, default=500)
    parser.add_argument("--out", type=Path, default=Path("runs/pretraining"))
    arguments = parser.parse_args()
    if arguments.molecules + max(arguments.sizes) > POOL:
        parser.error(f"labels and --molecules are of one pool of {POOL}; ask for fewer")
    bench = Bench(arguments)
    for seed in range(arguments.seeds):
        for name in arguments.rows:
            for first in ("", *ROWS[name].first):
                if arguments.first is None or first in ("", *arguments.first):
                    for size in arguments.sizes:
                        bench.measure(name, first, size, seed)
    results = [json.loads(path.read_text()) for path in sorted((bench.out / "fits").glob("*.json"))]
    Console(width=160, highlight=False).print(table(results))


if __name__ == "__main__":
    main()
