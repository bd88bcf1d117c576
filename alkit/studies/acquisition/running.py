"""Runs of a study: active learning with every acquisition function, from the same starts."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from alkit.acquisition.base import Acquisition, Pool, RoundContext, needs, on_soap, resolve, select
from alkit.baselines.base import create_baseline
from alkit.datasets import Dataset
from alkit.datasets.splits import grouped_order, stereo_groups
from alkit.errors import ConfigError, DataError, LabelError
from alkit.files import replace_file
from alkit.models.graphs import GFN2, GraphBuilder
from alkit.models.metrics import error_sizes
from alkit.molecules import soap as descriptors
from alkit.molecules.molecule import Molecule
from alkit.reporting.progress import CampaignProgress
from alkit.studies import folder
from alkit.studies.acquisition.settings import Function, Settings
from alkit.studies.acquisition.surrogates import Networks, Process, Surrogate
from surrogate.settings import ModelSettings

if TYPE_CHECKING:
    from ase import Atoms

    from surrogate import Graph

METRICS = ("mae", "rmse", "q95", "max")
COLUMNS = ("labels", *METRICS, "found", "seconds")
BEST = 0.001  # share of the pool whose lowest energies per heavy atom `found` counts


@dataclass(frozen=True, eq=False)
class Run:
    """One function from one start: ``rows (rounds, len(COLUMNS))``, eV, share and seconds of selection."""

    function: str
    seed: int
    rows: NDArray[np.float64]

    def of(self, column: str) -> NDArray[np.float64]:
        return self.rows[:, COLUMNS.index(column)]


@dataclass(frozen=True, eq=False)
class Results:
    """All runs of a study, and the level of theory of its labels."""

    settings: Settings
    level: str
    runs: list[Run]

    def of(self, function: str) -> list[Run]:
        """By seed."""
        return sorted(
            (run_study for run_study in self.runs if run_study.function == function),
            key=lambda run_study: run_study.seed,
        )


def run_study(settings: Settings, out: Path, progress: CampaignProgress) -> Results:
    """Run every function with every seed; runs that ``out`` holds already are kept.

    Raises:
        CampaignError: the folder belongs to a study with other settings, or is damaged.
        ConfigError: a function that does not exist, or one that needs what the study does not have.
        DataError: too few molecules.
        AcquisitionError: a function fails, or returns something else than a batch.
    """
    acquisitions = {one.title: resolve(one.name, one.settings) for one in settings.all_functions}
    folder.check_settings(out / "study.json", settings.described())
    data = _Data(settings, out, progress)
    data.check({title: needs(one) for title, one in acquisitions.items()})
    seeds = range(settings.seed, settings.seed + settings.seeds)
    splits = [data.split(seed) for seed in seeds]
    folder.write_settings(out / "study.json", settings.described())
    runs = []
    with progress, progress.steps("runs", len(seeds) * len(acquisitions)) as advance:
        for seed, split in zip(seeds, splits, strict=True):
            for function in settings.all_functions:
                path = out / "runs" / f"{_file_name(function)}-{seed}.npz"
                if not path.exists():
                    _save(path, _learn(data, split, function, acquisitions[function.title], progress))
                runs.append(Run(function.title, seed, _load(path)))
                advance(1)
    return Results(settings, f"{data.level} {settings.target}", runs)


@dataclass(frozen=True, eq=False)
class _Split:
    seed: int
    test: NDArray[np.int64]
    pool: NDArray[np.int64]
    start: NDArray[np.int64]  # of the pool


class _Data:
    """The data set, its splits, and what is computed of its molecules once."""

    def __init__(self, settings: Settings, out: Path, progress: CampaignProgress):
        self.settings, self._out, self._progress = settings, out, progress
        self._set = Dataset.open(Path(settings.data)).one_row_each("The study needs")
        if self._set.geometry == "none":
            raise DataError(f"{settings.data} holds labels without geometries; this study needs them.")
        self.level = self._set.level_of(settings.target)
        self.values = np.asarray(self._set.atomization(settings.target))
        self.smiles = self._set.smiles
        self._groups = [members for _, members in sorted(stereo_groups(self.smiles).items())]
        self._graphs: dict[int, Graph] = {}

    def check(self, asked: dict[str, frozenset[str]]) -> None:
        self._xtb_wanted = any("xtb_energy" in one for one in asked.values())
        for title, wanted in asked.items():
            if "members" in wanted and self.settings.surrogate == "schnet" and self.settings.members < 2:
                raise ConfigError(f"acquisition {title} needs an ensemble; give 2 members or more.")
            if "xtb_energy" in wanted:
                create_baseline(GFN2)  # refuses what is not installed

    def split(self, seed: int) -> _Split:
        """Test, pool and start; stereoisomers share a side, and what the start lacks is what is tested."""
        settings = self.settings
        rng = np.random.default_rng([seed, 0])
        order = grouped_order(self._groups, rng)
        test, pool = np.array(order[: settings.test]), np.array(order[settings.test :][: settings.pool])
        if len(pool) < settings.pool:
            raise DataError(
                f"{settings.data} holds {len(order)} molecules; test {settings.test} and pool "
                f"{settings.pool} are asked for."
            )
        known = self._known
        start = rng.permutation(pool[known[pool]])[: settings.start]
        if len(start) < settings.start:
            raise DataError(
                f"Only {len(start)} molecules of the pool can be in the start of {settings.start}."
            )
        shifted = settings.scenario != "uniform"
        return _Split(seed, test[~known[test]] if shifted else test, pool, start)

    def surrogate(self) -> Surrogate:
        if self.settings.surrogate == "gp":
            return Process(self.features)
        from ase.data import chemical_symbols

        numbers = {int(z) for i in range(len(self.smiles)) for z in self._set.numbers(i)}
        elements = tuple(chemical_symbols[z] for z in sorted(numbers))
        model = {"mode": "3d", **self.settings.model, "elements": elements}
        settings = {"model": model, "training": self.settings.training, "members": self.settings.members}
        return Networks(self._graphs_of, settings)

    @cached_property
    def xtb_energy(self) -> NDArray[np.float64] | None:
        """``(n,)`` eV, if a function of the study needs them."""
        return (
            self._kept("cheap", self._single_points) if self._xtb_wanted else None
        )  # the name in earlier folders

    @cached_property
    def per_heavy_atom(self) -> NDArray[np.float64]:
        return self.values / np.maximum(self._heavy, 1)

    @cached_property
    def _heavy(self) -> NDArray[np.int64]:
        return np.array([(self._set.numbers(i) > 1).sum() for i in range(len(self.smiles))])

    @cached_property
    def _known(self) -> NDArray[np.bool_]:
        """``(n,)``, whether a molecule may be in the start."""
        if self.settings.scenario == "small-first":
            return self._heavy <= self.settings.small
        if self.settings.scenario == "without-group":
            from rdkit import Chem

            group = _pattern(self.settings.group)
            return np.array([not Chem.MolFromSmiles(one).HasSubstructMatch(group) for one in self.smiles])
        return np.ones(len(self.smiles), dtype=bool)

    def _kept(self, name: str, compute: Callable[[], NDArray]) -> NDArray:
        path = self._out / f"{name}.npy"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            array = compute()

            def write(part: Path) -> None:
                with part.open("wb") as file:
                    np.save(file, array)

            replace_file(path, write)
        return np.asarray(np.load(path, allow_pickle=False))

    def _atoms(self) -> list[Atoms]:
        from ase import Atoms

        return [Atoms(self._set.numbers(i), self._set.positions(i)) for i in range(len(self.smiles))]

    @cached_property
    def features(self) -> NDArray[np.float32]:
        return self._kept("features", self._described)

    def _described(self) -> NDArray[np.float32]:
        with self._progress.steps("features", len(self.smiles)) as advance:
            atoms = self._atoms()
            soap = descriptors.Soap.fit(atoms, np.random.default_rng(0))
            return soap.features(atoms, advance)

    def _single_points(self) -> NDArray:
        energies = []
        with self._progress.steps("GFN2-xTB energies", len(self.smiles)) as advance:
            for i, smiles in enumerate(self.smiles):
                molecule = Molecule(smiles, self._set.numbers(i), self._set.positions(i), "dataset")
                try:
                    energies.append(create_baseline(GFN2).read(molecule).energy)
                except LabelError as error:
                    raise DataError(f"{self.settings.data}: {error}") from error
                advance(1)
        return np.array(energies)

    def _graphs_of(self, molecules: Sequence[int]) -> list[Graph]:
        builder = GraphBuilder(ModelSettings(**self.settings.model), "dataset")
        for i in molecules:
            if i not in self._graphs:
                numbers, positions = self._set.numbers(i), self._set.positions(i)
                self._graphs[i] = builder.graph(Molecule(self.smiles[i], numbers, positions, "dataset"))
        return [self._graphs[i] for i in molecules]


def _learn(
    data: _Data, split: _Split, function: Function, acquisition: Acquisition, progress: CampaignProgress
) -> NDArray[np.float64]:
    settings, xtb_energy, surrogate = data.settings, data.xtb_energy, data.surrogate()
    best = _best(data.per_heavy_atom, split.pool)
    known, rows, seconds = split.start, [], 0.0
    rounds = -(-(settings.labels - settings.start) // settings.batch)
    with progress.steps(f"{function.title}, seed {split.seed}", rounds + 1) as advance:
        for round_ in range(1, rounds + 2):
            surrogate.fit(known, data.values[known], np.random.default_rng([split.seed, round_, 1]))
            sizes = error_sizes(surrogate.mean(split.test) - data.values[split.test])
            metrics = [sizes[name] for name in METRICS]
            rows.append([len(known), *metrics, np.isin(best, known).mean(), seconds])
            advance(1)
            if len(known) >= settings.labels:
                break
            left = np.setdiff1d(split.pool, known)
            seen = surrogate.see(left)
            if on_soap(acquisition, function.features):
                pool_embeddings, embeddings = data.features[left], data.features[known]
            else:
                pool_embeddings, embeddings = seen.embeddings, surrogate.see(known).embeddings
            pool = Pool(
                smiles=tuple(data.smiles[i] for i in left),
                samples=seen.samples,
                std=seen.std,
                embeddings=pool_embeddings,
                cost=np.ones(len(left)),
                xtb_energy=None if xtb_energy is None else xtb_energy[left],
            )
            context = RoundContext(
                round=round_,
                smiles=tuple(data.smiles[i] for i in known),
                targets=data.values[known],
                embeddings=embeddings,
                rng=np.random.default_rng([split.seed, round_, 2]),
                xtb_energy=None if xtb_energy is None else xtb_energy[known],
            )
            begun = time.perf_counter()
            size = min(settings.batch, settings.labels - len(known))
            chosen = select(acquisition, function.title, pool, context, size)
            seconds = time.perf_counter() - begun
            known = np.concatenate([known, left[chosen]])
    return np.array(rows)


def _best(values: NDArray, pool: NDArray[np.int64]) -> NDArray[np.int64]:
    count = max(round(BEST * len(pool)), 1)
    return pool[np.argsort(values[pool], kind="stable")[:count]]


def _pattern(smarts: str) -> Any:
    from rdkit import Chem

    pattern = Chem.MolFromSmarts(smarts)
    if pattern is None:
        raise ConfigError(f"group {smarts!r} is no SMARTS pattern.")
    return pattern


def _file_name(function: Function) -> str:
    """Readable, and another one for other settings."""
    plain = "".join(c if c.isalnum() else "_" for c in function.name)
    return f"{plain}-{sha256(function.title.encode()).hexdigest()[:8]}"


def _save(path: Path, rows: NDArray[np.float64]) -> None:
    replace_file(path, lambda part: np.savez_compressed(part, rows=rows))


def _load(path: Path) -> NDArray[np.float64]:
    with folder.open_arrays(path) as file:
        return np.asarray(file["rows"])
