"""The uncertainty bars: is it calibrated, does it rank errors, what does it cost?

    python benchmarks/uncertainty.py [--modes 3d 2d] [--seeds 0 1 2] [--out FOLDER]

1,000 labels of QM9's U0 in all, 250 of them validation: these stop the training and calibrate. Test set:
molecules 10,000 to 11,999; the labels of seed s are those of molecules 1,000 s and following. Settings were
chosen on molecules 3,000 to 9,999. Each ensemble is trained once, and judged with the spread of its members,
with a Gaussian process on its first member's last layer, with heads that learn variances, with several of
these, and with its first member and the process alone. "folds": members that leave out a fifth of the labels
each, in place of the validation set; "16 heads": one network trained by likelihood. "Ideal" is what errors
drawn from the model's own distribution would give: no finite test set gives 0.
"""

import argparse
import csv
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from accuracy import BARS, DATA, MODEL, QM9, ROOT, SEEDS, TEST, TRAINING
from rich.console import Console
from rich.table import Table
from scipy.stats import t as student

from alkit.models import metrics as evaluation
from alkit.reporting.progress import CampaignProgress
from surrogate import Calibration, Ensemble, Graph, ModelSettings, Prediction, TrainingSettings
from surrogate.folds import joined, left_out

LABELS, VALIDATION, MEMBERS = 1000, 250, 5
MODES = ("3d", "2d")
SOURCES = {
    "ensemble": ("ensemble",),
    "gp": ("gp",),
    "variance": ("variance",),
    "ensemble and gp": ("ensemble", "gp"),
    "all": ("ensemble", "gp", "variance"),
    "one member, gp": ("gp",),
}
OTHERS = ("folds", "16 heads")  # trained by themselves, with the spread and the process
BAR = {
    "ence": "≤ 0.10, then 0.05",
    "miscalibration_area": "≤ 0.04, then 0.02",
    "coverage_90": "90 ± 1.5 %",
    "spearman": "≥ 0.5",
    "nll": "",
    "sharpness": "",
    "rejection_gain": "",
    "cost": "≤ 1.5×, of one member with gp",
    "mae": "",
}
_Set = tuple[list[Graph], np.ndarray]


def fitted(qm9: QM9, mode: str, seed: int, folder: Path, progress: CampaignProgress) -> tuple[Ensemble, dict]:
    """The ensemble, trained now or before, and the validation and test sets."""
    settings = ModelSettings(**{**MODEL, **BARS[mode].model}, uncertainty=SOURCES["all"])
    training = TrainingSettings(**{**TRAINING, **BARS[mode].training})
    first = 1000 * seed
    ranges = {
        "validation": range(first, first + VALIDATION),
        "training": range(first + VALIDATION, first + LABELS),
        "test": TEST,
    }
    sets: dict[str, _Set] = {}
    for name, indices in ranges.items():
        graphs = [qm9.graph(i, BARS[mode].geometry, settings) for i in indices]
        sets[name] = [one for one in graphs if one is not None], np.array([qm9.label(i) for i in indices])
    described = json.dumps([asdict(settings), asdict(training), VALIDATION, MEMBERS], sort_keys=True)
    home = folder / f"{mode}_{seed}"
    if (home / "described.json").exists() and (home / "described.json").read_text() == described:
        return Ensemble.load(home), sets
    with progress, progress.steps(f"{mode}, seed {seed}", MEMBERS * training.epochs) as advance:
        ensemble = Ensemble.fit(
            settings,
            training,
            training=sets["training"],
            validation=sets["validation"],
            members=MEMBERS,
            seed=seed,
            on_epoch=lambda member, epoch, row: advance(1),
        )
    ensemble.save(home)
    (home / "described.json").write_text(described)
    return ensemble, sets


def other(qm9: QM9, mode: str, seed: int, kind: str, progress: CampaignProgress) -> dict[str, float]:
    """Metrics on the test set of an ensemble without validation set, or of one network with several heads."""
    model = {**MODEL, **BARS[mode].model, "heads": 16 if kind == "16 heads" else 1}
    settings, training = ModelSettings(**model), TrainingSettings(**{**TRAINING, **BARS[mode].training})
    first = 1000 * seed

    def labelled(indices: range) -> _Set:
        graphs = [qm9.graph(i, BARS[mode].geometry, settings) for i in indices]
        return [one for one in graphs if one is not None], np.array([qm9.label(i) for i in indices])

    members = MEMBERS if kind == "folds" else 1
    sets: dict[str, Any] = {
        "training": labelled(range(first + VALIDATION, first + LABELS)),
        "validation": labelled(range(first, first + VALIDATION)),
    }
    if kind == "folds":
        sets = {
            "training": labelled(range(first, first + LABELS)),
            "left_out": left_out(range(LABELS), members),
        }
    with progress, progress.steps(f"{mode}, {kind}, seed {seed}", members * training.epochs) as advance:
        ensemble = Ensemble.fit(
            settings, training, **sets, members=members, seed=seed, on_epoch=lambda *_: advance(1)
        )
    graphs, truth = labelled(TEST)
    predicted = ensemble.predict(graphs)
    return evaluation.error_metrics(truth, predicted.mean, predicted.std, predicted.calibration)


def judged(ensemble: Ensemble, sets: dict[str, _Set], source: str) -> dict[str, float]:
    """Metrics on the test set with this source of uncertainty, calibrated on the validation set."""
    if source == "one member, gp":
        ensemble = replace(ensemble, members=ensemble.members[:1])
    kinds = SOURCES[source]
    graphs, labels = sets["validation"]
    samples, sources, _ = ensemble._raw(graphs)
    spread = samples if "ensemble" in kinds else samples.mean(axis=0)[None]
    kept = {name: values for name, values in joined(sources).items() if name in kinds}
    found = Calibration.fit(labels - samples.mean(axis=0), spread, kept)
    ensemble = replace(ensemble, calibration=found, gp=ensemble.gp if "gp" in kinds else None)
    predicted, truth = ensemble.predict(sets["test"][0]), sets["test"][1]
    metrics = evaluation.error_metrics(truth, predicted.mean, predicted.std, found)
    metrics["normal_area"] = evaluation.error_metrics(truth, predicted.mean, predicted.std)[
        "miscalibration_area"
    ]
    return metrics | {f"ideal_{name}": value for name, value in ideal(predicted).items()}


def ideal(predicted: Prediction, draws: int = 20) -> dict[str, float]:
    """Mean metrics of errors that are distributed as the model says."""
    calibration, rng = predicted.calibration, np.random.default_rng(0)
    rows = []
    for _ in range(draws):
        errors = student.rvs(calibration.freedom, size=len(predicted.std), random_state=rng)
        errors *= calibration.width * predicted.std
        rows.append(
            evaluation.error_metrics(predicted.mean - errors, predicted.mean, predicted.std, calibration)
        )
    return {
        name: float(np.mean([row[name] for row in rows]))
        for name in ("ence", "miscalibration_area", "spearman")
    }


def cost(ensemble: Ensemble, graphs: Sequence[Graph], repeats: int = 7) -> float:
    """Seconds to predict with one member and the process, over those of the member alone, in turn."""
    alone = replace(ensemble, members=ensemble.members[:1], gp=None)
    both = replace(alone, gp=ensemble.gp)
    times: list[list[float]] = [[], []]
    for _ in range(repeats + 1):
        for one, kept in zip((alone, both), times, strict=True):
            start = time.perf_counter()
            one.predict(graphs)
            kept.append(time.perf_counter() - start)
    return float(np.median(times[1][1:]) / np.median(times[0][1:]))


def rows(qm9: QM9, arguments: Any, progress: CampaignProgress) -> Iterator[dict[str, Any]]:
    for mode in arguments.modes:
        for seed in arguments.seeds:
            ensemble, sets = fitted(qm9, mode, seed, arguments.out, progress)
            for source in SOURCES:
                row = {"mode": mode, "seed": seed, "source": source, **judged(ensemble, sets, source)}
                row["cost"] = cost(ensemble, sets["test"][0]) if source == "one member, gp" else float("nan")
                yield row
            for source in OTHERS:
                yield {"mode": mode, "seed": seed, "source": source} | other(
                    qm9, mode, seed, source, progress
                )


def show(found: list[dict[str, Any]], console: Console) -> None:
    for mode in dict.fromkeys(row["mode"] for row in found):
        sources = [*SOURCES, *OTHERS]
        table = Table("metric", "bar", *sources, title=f"{mode}: mean (each seed)")
        names = [*BAR, "normal_area", "ideal_ence", "ideal_miscalibration_area", "ideal_spearman"]
        for name in names:
            cells = []
            for source in sources:
                rows = [row for row in found if (row["mode"], row["source"]) == (mode, source)]
                values = [row.get(name, np.nan) for row in rows]
                each = ", ".join(f"{value:.3f}" for value in values)
                cells.append("" if np.isnan(values).all() else f"{np.mean(values):.3f} ({each})")
            table.add_row(name, BAR.get(name, ""), *cells)
        console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--modes", nargs="+", choices=MODES, default=MODES)
    parser.add_argument("--seeds", nargs="+", type=int, choices=SEEDS, default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "uncertainty")
    arguments = parser.parse_args()
    console = Console(width=160)
    qm9 = QM9(DATA, ROOT / "runs" / "accuracy" / "cache")
    found = list(rows(qm9, arguments, CampaignProgress(console)))
    with (arguments.out / "results.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(found[0]))
        writer.writeheader()
        writer.writerows(found)
    show(found, console)


if __name__ == "__main__":
    main()
