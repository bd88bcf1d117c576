"""The accuracy bars: test MAE of U0 (eV) from few labels, mean and spread over seeds.

    python benchmarks/accuracy.py [--bars 3d 2d delta delta-500 delta-xtb] [--seeds 0 1 2] [--out FOLDER]

Data: ``qm9_12k.npz``, 12,000 random QM9 molecules of H, C, N and O, no two of them stereoisomers. Test set:
molecules 10,000 to 11,999. The training set of seed s is molecules 1,000 s and following, and network k of it
starts from the weights of seed s + k. Every label counts: of "1,000 labels" a share is for early stopping and
calibration. Settings were chosen on molecules 1,000 to 1,999 with models of molecules 0 to 999, never on the
test set. Finished fits are kept in --out, and the same command goes on.
"""

import argparse
import csv
import hashlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # one core a fit; run two bars side by side on two cores

import numpy as np
from ase.units import Hartree
from rich.console import Console

from alkit.baselines.base import BaselineSpec, create_baseline
from alkit.datasets.qm9 import ATOMREFS
from alkit.errors import LabelError
from alkit.files import replace_file
from alkit.models.geometries import make_geometry
from alkit.molecules.molecule import Molecule
from alkit.reporting.progress import CampaignProgress
from surrogate import Ensemble, Graph, ModelSettings, TrainingSettings, graph_2d, graph_3d

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data" / "qm9_12k.npz"
TEST = range(10_000, 12_000)
SEEDS = range(10)  # the training set of seed 10 would be in the test set
COLUMNS = [
    "bar",
    "settings",
    "seed",
    "labels",
    "mae",
    "rmse",
    "median",
    "member_mae",
    "tested",
    "missing",
    "seconds",
]
_TEXT = ("bar", "settings")


@dataclass(frozen=True)
class Bar:
    """A bar in eV, and the settings that should clear it."""

    labels: int
    bar: float
    members: int = 2
    validation: float = 0.1  # share of the labels
    geometry: str = "dataset"
    model: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)


MODEL = {"features": 64, "gaussians": 40, "elements": ("H", "C", "N", "O")}
TRAINING = {"epochs": 130, "batch_size": 16, "lr": 1e-3, "ema": 0.99, "scale": True, "device": "cpu"}
DELTA = {"baseline": "GFN2-xTB (unrelaxed) energy [eV]", "inputs": ("xtb",)}
PAINN = {"representation": "painn", "gaussians": 20}
REGULARIZED = {"weight_decay": 0.1, "stop_patience": 20}
BARS = {
    "3d": Bar(1000, 0.12),
    "3d-painn": Bar(1000, 0.12, model=PAINN, training=REGULARIZED),
    "2d": Bar(1000, 0.20, geometry="none", model={"mode": "2d", "inputs": ("chemistry",)}),
    "2d-plain": Bar(1000, 0.20, geometry="none", model={"mode": "2d"}),
    "2d-depiction": Bar(1000, 0.20, geometry="none", model={"mode": "2d", "layout": "depiction"}),
    "delta": Bar(1000, 0.043, model=DELTA),
    "delta-painn": Bar(1000, 0.043, 3, 0.05, model=DELTA | PAINN, training=REGULARIZED),
    "delta-500": Bar(500, 0.055, model=DELTA),
    "delta-500-painn": Bar(500, 0.055, 3, 0.05, model=DELTA | PAINN, training=REGULARIZED),
    "delta-xtb": Bar(1000, 0.09, geometry="xtb", model=DELTA),
}


def digest(bar: Bar) -> str:
    """Changes with what a bar's rows depend on: no row is shown for settings that it was not made with."""
    settings = (
        ModelSettings(**{**MODEL, **bar.model}).as_dict(),
        asdict(TrainingSettings(**{**TRAINING, **bar.training})),
    )
    settled = json.dumps([bar.labels, bar.members, bar.validation, bar.geometry, *settings], sort_keys=True)
    return hashlib.sha256(settled.encode()).hexdigest()[:12]


class QM9:
    """Molecules of ``qm9_12k.npz`` by position; geometries made from SMILES are kept in ``cache``."""

    def __init__(self, path: Path, cache: Path):
        with np.load(path, allow_pickle=False) as file:
            self._arrays = {name: file[name] for name in ("n_atoms", "Z", "R", "u0", "smiles")}
        self._ends = np.concatenate([[0], np.cumsum(self._arrays["n_atoms"])])
        self._cache = cache / path.stem

    def dataset_geometry(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """``(n,)`` and ``(n, 3)`` Å."""
        atoms = slice(self._ends[i], self._ends[i + 1])
        return self._arrays["Z"][atoms].astype(np.int64), self._arrays["R"][atoms].astype(np.float64)

    def label(self, i: int) -> float:
        """eV, less the isolated atoms at the same level."""
        atoms = sum(ATOMREFS["energy_U0"][int(z)] for z in self.dataset_geometry(i)[0])
        return float(self._arrays["u0"][i]) * Hartree - atoms

    def graph(self, i: int, geometry: str, settings: ModelSettings) -> Graph | None:
        """What the model sees; None where no geometry could be made."""
        smiles, cutoff = str(self._arrays["smiles"][i]), settings.cutoff
        if settings.mode == "2d":
            chemistry = "chemistry" in settings.inputs
            return graph_2d(smiles, cutoff=cutoff, layout=settings.layout, chemistry=chemistry)
        placed = self.dataset_geometry(i) if geometry == "dataset" else self._made(i, geometry, smiles)
        if placed is None or not settings.baseline:
            return placed and graph_3d(*placed, cutoff=cutoff)
        molecule = Molecule(smiles, *placed, "given")
        found = create_baseline(BaselineSpec.of("gfn2")).read(molecule)
        return graph_3d(
            *placed,
            cutoff=cutoff,
            charges=found.atoms[:, 0] if settings.inputs else None,
            bond_orders=found.pairs[..., 0] if settings.inputs else None,
            baselines=[found.energy],
            baseline_level=str(found.level),
        )

    def _made(self, i: int, geometry: str, smiles: str) -> tuple[np.ndarray, np.ndarray] | None:
        path = self._cache / geometry / f"{i}.npz"
        if not path.exists():
            try:
                placed = make_geometry(smiles, geometry=geometry)
                arrays = {"numbers": placed.numbers, "positions": placed.positions}
            except LabelError as error:
                print(f"molecule {i}: {error}", flush=True)
                arrays = {"numbers": np.empty(0), "positions": np.empty(0)}
            replace_file(path, partial(_save, arrays))
        with np.load(path, allow_pickle=False) as file:
            return (file["numbers"], file["positions"]) if len(file["numbers"]) else None


def _save(arrays: dict[str, np.ndarray], path: Path) -> None:
    np.savez(path, **arrays)  # type: ignore[arg-type]


def measure(qm9: QM9, bar: Bar, seed: int, progress: CampaignProgress) -> dict[str, float]:
    """Fit on the seed's molecules, test, and say how long the fit took (graphs and labels not included)."""
    settings = ModelSettings(**{**MODEL, **bar.model})
    training = TrainingSettings(**{**TRAINING, **bar.training})
    sets: dict[str, tuple[list[Graph], np.ndarray]] = {}
    first = 1000 * seed
    cut = first + round(bar.validation * bar.labels)
    ranges = {"validation": range(first, cut), "training": range(cut, first + bar.labels), "test": TEST}
    with progress.steps("geometries and inputs", sum(map(len, ranges.values()))) as advance:
        for name, indices in ranges.items():
            graphs, labels = [], []
            for i in indices:
                if (graph := qm9.graph(i, bar.geometry, settings)) is not None:
                    graphs.append(graph)
                    labels.append(qm9.label(i))
                advance(1)
            sets[name] = graphs, np.array(labels)
    started = time.perf_counter()
    with progress.steps("training", bar.members * training.epochs) as advance:
        ensemble = Ensemble.fit(
            settings,
            training,
            training=sets["training"],
            validation=sets["validation"],
            members=bar.members,
            seed=seed,
            on_epoch=lambda member, epoch, row: advance(1),
        )
    seconds = time.perf_counter() - started
    graphs, truth = sets["test"]
    predicted = ensemble.predict(graphs, device="cpu")
    errors = np.abs(predicted.mean - truth)
    return {
        "labels": bar.labels,  # molecules without a geometry were paid for as well
        "mae": float(errors.mean()),
        "rmse": float(np.sqrt((errors**2).mean())),
        "median": float(np.median(errors)),
        "member_mae": float(np.abs(predicted.samples - truth).mean()),
        "tested": len(truth),
        "missing": len(TEST) - len(truth),
        "seconds": seconds,
    }


def table(rows: list[dict[str, str]]) -> Iterator[str]:
    """A line per bar: mean and spread over the seeds measured with its settings."""
    yield (
        "| bar | labels | bar, eV | MAE (± sd of seeds) | per seed | one network | RMSE | tested | "
        "no geometry | minutes |"
    )
    yield "|" + " --- |" * 10
    for name, bar in BARS.items():
        found = [row for row in rows if (row["bar"], row["settings"]) == (name, digest(bar))]
        found.sort(key=lambda row: int(row["seed"]))
        if not found:
            continue
        column = {key: np.array([float(row[key]) for row in found]) for key in COLUMNS if key not in _TEXT}
        mae = column["mae"]
        spread = f"{mae.mean():.4f} ± {mae.std(ddof=1):.4f}" if len(mae) > 1 else f"{mae[0]:.4f}"
        verdict = "met" if mae.mean() <= bar.bar else "MISSED"
        yield (
            f"| {name} | {bar.labels:,} | ≤ {bar.bar} {verdict} | {spread} | "
            f"{', '.join(f'{value:.4f}' for value in mae)} | {column['member_mae'].mean():.4f} | "
            f"{column['rmse'].mean():.4f} | {column['tested'].min():.0f} | {column['missing'].max():.0f} | "
            f"{column['seconds'].mean() / 60:.1f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--bars", nargs="*", default=list(BARS), choices=list(BARS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], choices=SEEDS)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "accuracy")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    results, progress = options.out / "results.csv", CampaignProgress(Console(stderr=True))
    if not results.exists():
        results.write_text(",".join(COLUMNS) + "\n")
    qm9 = QM9(options.data, options.out)
    for seed in options.seeds:
        for name in options.bars:
            key = {"bar": name, "settings": digest(BARS[name]), "seed": str(seed)}
            if any(all(row[k] == value for k, value in key.items()) for row in read(results)):
                continue
            with progress:
                row = key | measure(qm9, BARS[name], seed, progress)
            with results.open("a", newline="") as file:  # one line in one write: two runs may share the file
                file.write(",".join(str(row[key]) for key in COLUMNS) + "\n")
    print("\n".join(table(read(results))))


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


if __name__ == "__main__":
    main()
