"""Side-by-side studies: the same molecules, splits and seeds, and one thing that differs between the arms."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from alkit.datasets import Dataset
from alkit.datasets.splits import cut_between_groups, stereo_groups
from alkit.engines.training import training_processes
from alkit.errors import DataError, LabelError
from alkit.files import replace_file
from alkit.models import metrics as evaluation
from alkit.models.graphs import GraphBuilder
from alkit.molecules.molecule import Molecule, canonical
from alkit.reporting.progress import CampaignProgress
from alkit.studies.folder import check_settings, open_arrays, write_settings
from alkit.studies.geometry.settings import ARMS, FEWEST_VALIDATION, StudySettings
from alkit.studies.statistics import regression_metrics
from surrogate.settings import ModelSettings, TrainingSettings

if TYPE_CHECKING:
    from surrogate import Ensemble, Graph


@dataclass(frozen=True, eq=False)
class Fit:
    """One trained ensemble of a study.

    Attributes:
        predicted: ``(n,)`` eV, on the test molecules.
        metrics: errors (eV), baselines, seconds, epochs.
        history: a row per member and epoch.
    """

    arm: str
    size: int
    seed: int
    predicted: NDArray[np.float64]
    metrics: dict[str, float]
    history: list[dict[str, float]]


@dataclass(frozen=True, eq=False)
class Results:
    """All that a study has measured so far: ``truth (n,)`` eV of the test molecules, and its fits."""

    settings: StudySettings
    level: str
    smiles: list[str]
    truth: NDArray[np.float64]
    left_out: int
    fits: list[Fit]

    def of(self, arm: str, size: int) -> list[Fit]:
        """Fits of an arm at a size, by seed."""
        fits = [fit for fit in self.fits if (fit.arm, fit.size) == (arm, size)]
        return sorted(fits, key=lambda fit: fit.seed)

    def errors(self, arm: str, size: int) -> NDArray[np.float64]:
        """``(seeds, n)`` eV, prediction less label."""
        return np.array([fit.predicted - self.truth for fit in self.of(arm, size)])


def run_study(settings: StudySettings, out: Path, progress: CampaignProgress) -> Results:
    """Fit every arm at every size with every seed; fits that ``out`` holds already are kept.

    Writes ``fits/<arm>-<size>-<seed>.npz``, each whole or not at all, and ``results.csv``.

    Raises:
        CampaignError: the folder belongs to a study with other settings or other molecules, or is damaged.
        DataError: too few molecules, or no geometries where an arm needs them.
    """
    stored = asdict(replace(settings, data=str(Path(settings.data).resolve())))
    check_settings(out / "study.json", stored)
    molecules = _Molecules(settings, progress)
    check_settings(out / "molecules.json", described := molecules.described())
    write_settings(out / "study.json", stored)
    write_settings(out / "molecules.json", described)
    fits = []
    total = len(settings.arms) * len(settings.sizes) * settings.seeds
    with progress, progress.steps("fits", total) as advance:
        for size in settings.sizes:
            for seed in range(settings.seeds):
                for arm in settings.arms:
                    path = out / "fits" / f"{arm}-{size}-{seed}.npz"
                    if not path.exists():
                        _save(path, molecules.fit(arm, size, seed))
                    fits.append(_load(path, arm, size, seed))
                    advance(1)
                _write_table(out / "results.csv", fits)
    level = f"{molecules.data.level_of(settings.target)} {settings.target}"
    return Results(settings, level, molecules.test_smiles, molecules.truth, molecules.left_out, fits)


class _Molecules:
    """The data set with its splits, and the graphs of every arm."""

    def __init__(self, settings: StudySettings, progress: CampaignProgress):
        self.settings = settings
        self.data = Dataset.open(Path(settings.data)).one_row_each("The study needs")
        self.values = (
            self.data.target(settings.target) if settings.total else self.data.atomization(settings.target)
        )
        if self.data.geometry == "none" and (
            wanting := [a for a in settings.arms if ARMS[a].geometry == "dataset"]
        ):
            raise DataError(
                f"{settings.data} holds labels without geometries, which arm {wanting[0]} needs; leave it "
                "out of --arms."
            )
        self._failed: set[int] = set()
        self._graphs: dict[tuple[str, int], Graph] = {}
        self._models = {name: self._model(name) for name in settings.arms}
        self._split(progress)

    @property
    def left_out(self) -> int:
        """Molecules without a graph in one of the arms."""
        return len(self._failed)

    def described(self) -> dict[str, Any]:
        """Everything fits depend on besides the settings: molecules, labels and models."""
        chosen = [self._test, *self._orders]
        content = json.dumps([[self.data.smiles[i] for i in part] for part in chosen]).encode()
        content += np.concatenate([self.values[part] for part in chosen]).tobytes()
        models = {arm: model.as_dict() for arm, model in self._models.items()}
        return {"molecules and labels": hashlib.sha256(content).hexdigest()[:16], "models": models}

    @property
    def test_smiles(self) -> list[str]:
        return [self.data.smiles[i] for i in self._test]

    @property
    def truth(self) -> NDArray[np.float64]:
        return self.values[self._test]

    def fit(self, arm: str, size: int, seed: int) -> Fit:
        from surrogate import Ensemble

        validation, training = self.sets(seed, size)
        ensemble = Ensemble.fit(
            self._models[arm],
            TrainingSettings(**self.settings.training),
            training=(self._of(arm, training), self.values[training]),
            validation=(self._of(arm, validation), self.values[validation]),
            members=self.settings.members,
            seed=1000 * self.settings.seed + 100 * seed,
            processes=training_processes(),
        )
        prediction = ensemble.predict(self._of(arm, self._test))
        metrics = regression_metrics(self.truth, prediction.mean)
        metrics["member_mae"] = float(np.abs(prediction.samples - self.truth).mean())
        known = validation + training
        metrics |= evaluation.baseline_metrics(
            [self.data.smiles[i] for i in known], self.values[known], self.test_smiles, self.truth
        )
        history = _history(ensemble)
        metrics["seconds"] = sum(rows.epochs[-1]["seconds"] for rows in ensemble.histories)
        metrics["epochs"] = float(np.mean([len(rows.epochs) for rows in ensemble.histories]))
        return Fit(arm, size, seed, prediction.mean, metrics, history)

    def sets(self, seed: int, size: int) -> tuple[list[int], list[int]]:
        """Validation and training molecules of a fit; stereoisomers share a side here, too."""
        labels = self._orders[seed][:size]
        cut = max(FEWEST_VALIDATION, round(self.settings.validation_share * size))
        cut = cut_between_groups([self._group[i] for i in labels], cut)
        return labels[:cut], labels[cut:]

    def _model(self, arm: str) -> ModelSettings:
        from ase.data import chemical_symbols

        numbers = {int(z) for i in range(len(self.data)) for z in self.data.numbers(i)}
        elements = tuple(chemical_symbols[z] for z in sorted(numbers))
        return ModelSettings(**{**self.settings.model, **ARMS[arm].model, "elements": elements})

    def _split(self, progress: CampaignProgress) -> None:
        """A fixed test set, and for every seed an order of the rest whose first N are the N labels.

        Stereoisomers share a side: 2D cannot tell them apart, and mirror images have one energy. A molecule
        without a graph in one arm is left out of all.
        """
        groups = stereo_groups(self.data.smiles)
        self._group = {i: name for name, members in groups.items() for i in members}
        self._failed |= set(range(len(self.data))) - self._group.keys()
        names, most = sorted(groups), max(self.settings.sizes)
        streams = np.random.SeedSequence(self.settings.seed).spawn(self.settings.seeds + 1)
        order = [names[k] for k in np.random.default_rng(streams[0]).permutation(len(names))]
        wanted = self.settings.test + self.settings.seeds * most
        with progress, progress.steps("geometries and inputs", wanted) as advance:
            self._test, used = self._take(order, groups, self.settings.test, advance)
            rest = order[used:]
            self._orders = []
            for stream in streams[1:]:
                shuffled = [rest[k] for k in np.random.default_rng(stream).permutation(len(rest))]
                self._orders.append(self._take(shuffled, groups, most, advance)[0])

    def _take(
        self, order: list[str], groups: dict[str, list[int]], n: int, advance: Callable[[int], None]
    ) -> tuple[list[int], int]:
        """The first ``n`` molecules with a graph in every arm, and how many groups that took."""
        taken: list[int] = []
        for used, name in enumerate(order, start=1):
            for i in groups[name]:
                if len(taken) < n and self._build(i):
                    taken.append(i)
                    advance(1)
            if len(taken) == n:
                return taken, used
        raise DataError(
            f"{self.settings.data} holds {len(self.data)} molecules, {len(self._failed)} of them of no use "
            f"to an arm; {n} are asked for where {len(taken)} are left: lower --sizes or --test."
        )

    def _build(self, i: int) -> bool:
        from surrogate import SurrogateError

        if i in self._failed:
            return False
        try:
            for arm in self.settings.arms:
                if (arm, i) not in self._graphs:
                    self._graphs[arm, i] = self._graph(arm, i)
        except (LabelError, DataError, SurrogateError):
            self._failed.add(i)
            return False
        return True

    def _graph(self, arm: str, i: int) -> Graph:
        smiles, source = canonical(self.data.smiles[i]), ARMS[arm].geometry
        builder = GraphBuilder(self._models[arm], source, self.settings.seed)
        if source == "dataset":
            return builder.graph(Molecule(smiles, self.data.numbers(i), self.data.positions(i), source))
        return builder.graph(smiles)

    def _of(self, arm: str, indices: list[int]) -> list[Graph]:
        return [self._graphs[arm, i] for i in indices]


def _history(ensemble: Ensemble) -> list[dict[str, float]]:
    return [
        {"member": member, "epoch": epoch, **row}
        for member, history in enumerate(ensemble.histories)
        for epoch, row in enumerate(history.epochs)
    ]


def _save(path: Path, fit: Fit) -> None:
    summary = json.dumps({"metrics": fit.metrics, "history": fit.history})
    replace_file(path, lambda part: np.savez_compressed(part, predicted=fit.predicted, told=summary))


def _load(path: Path, arm: str, size: int, seed: int) -> Fit:
    with open_arrays(path) as file:
        summary = json.loads(str(file["told"]))
        return Fit(arm, size, seed, file["predicted"], summary["metrics"], summary["history"])


def _write_table(path: Path, fits: Sequence[Fit]) -> None:
    def write(part: Path) -> None:
        with part.open("w", newline="") as file:
            rows = csv.DictWriter(file, ["arm", "labels", "seed", *fits[0].metrics])
            rows.writeheader()
            rows.writerows({"arm": f.arm, "labels": f.size, "seed": f.seed, **f.metrics} for f in fits)

    replace_file(path, write)


def curves(fit: Fit) -> Iterator[list[dict[str, float]]]:
    """The history of each member."""
    for member in sorted({row["member"] for row in fit.history}):
        yield [row for row in fit.history if row["member"] == member]
