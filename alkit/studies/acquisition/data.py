"""The molecules of a study: its data set, the draws of test, pool and start, and what is computed once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from alkit.acquisition import starts
from alkit.baselines.base import create_baseline, level_of, specs_of
from alkit.baselines.cache import BaselineCache, beside
from alkit.baselines.computing import read_all
from alkit.datasets import Dataset
from alkit.datasets.splits import grouped_order, stereo_groups
from alkit.engines.calling import calling_workers
from alkit.errors import ConfigError, DataError
from alkit.files import replace_file
from alkit.models.graphs import GFN2, GraphBuilder, inputs_of
from alkit.models.tiers import tier
from alkit.molecules import soap as descriptors
from alkit.molecules.molecule import Molecule
from alkit.reporting.progress import CampaignProgress
from alkit.storage.label_cache import default_path
from alkit.studies.acquisition.settings import Settings
from alkit.studies.acquisition.surrogates import Kernel, Networks, Process, Surrogate
from surrogate.kernel_prior import prior_covariance
from surrogate.settings import ModelSettings

if TYPE_CHECKING:
    from surrogate import Graph

_TIMEOUT = 120.0  # seconds of a baseline of one molecule


@dataclass(frozen=True, eq=False)
class Split:
    """One draw: positions in the data set; ``start`` is a part of the pool."""

    seed: int
    test: NDArray[np.int64]
    pool: NDArray[np.int64]
    start: NDArray[np.int64]


class StudyData:
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
        """Check that the surrogate and the installed packages have what the functions need.

        Args:
            asked: needs of every function, by its title.

        Raises:
            ConfigError: something is missing.
        """
        self._xtb_wanted = any("xtb_energy" in one for one in asked.values())
        for title, wanted in asked.items():
            if "members" in wanted and self.settings.surrogate == "schnet" and self.settings.members < 2:
                raise ConfigError(f"acquisition {title} needs an ensemble; give 2 members or more.")
            if "covariance" in wanted and self.settings.surrogate == "schnet":
                raise ConfigError(
                    f"acquisition {title} needs the covariance of a kernel; use surrogate kernel or gp."
                )
            if "xtb_energy" in wanted:
                create_baseline(GFN2)  # refuses what is not installed

    def split(self, seed: int) -> Split:
        """Test, pool and start; stereoisomers share a side, and what the start lacks is what is tested."""
        settings = self.settings
        rng = np.random.default_rng([seed, 0])
        order = grouped_order(self._groups, rng)
        if settings.scenario == "last-tested":
            order = self._last_first(order)
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
        shifted = settings.scenario in ("small-first", "without-group")
        return Split(seed, test[~known[test]] if shifted else test, pool, start)

    def chosen_start(self, split: Split, choice: str) -> NDArray[np.int64]:
        """A chosen start of as many molecules as the random one, from all of the pool that may be in it."""
        offered = split.pool[self._known[split.pool]]
        if choice == "kmeans++":
            rows = starts.far_apart(self.features[offered].astype(np.float64), len(split.start), split.seed)
        else:
            covariance = prior_covariance(self._builder.settings, self.graphs(offered.tolist()))
            rows = starts.least_variance(covariance, len(split.start))
        return offered[rows]

    def _last_first(self, order: Sequence[int]) -> list[int]:
        """The last molecules of the data set, then the others but for stereoisomers of these."""
        last = range(len(self.smiles) - self.settings.test, len(self.smiles))
        beside = {i for members in self._groups if members[-1] in last for i in members}
        return [*last, *(i for i in order if i not in beside)]

    def surrogate(self) -> Surrogate:
        """A new surrogate of the kind that the settings name, without labels."""
        if self.settings.surrogate == "gp":
            return Process(self.features)
        if self.settings.surrogate == "kernel":
            return Kernel(self.graphs, self._builder.settings)
        settings = {"training": self.settings.training, "members": self.settings.members}
        return Networks(self.graphs, settings | {"model": self._builder.settings})

    @cached_property
    def _builder(self) -> GraphBuilder:
        """How molecules become graphs, for networks and the kernel."""
        from ase.data import chemical_symbols

        numbers = {int(z) for i in range(len(self.smiles)) for z in self._set.numbers(i)}
        elements = tuple(chemical_symbols[z] for z in sorted(numbers))
        specs = specs_of(self.settings.baseline)
        model = {} if self.settings.surrogate == "kernel" else self.settings.model
        settings = ModelSettings(
            **model,
            representation=self.settings.surrogate,  # type: ignore[arg-type]
            elements=elements,
            baseline=level_of(specs),
            inputs=inputs_of(specs) if self.settings.baseline_inputs else (),
        )
        return GraphBuilder(settings, "dataset", baselines=specs)

    @property
    def tier(self) -> str:
        """The surrogate's knowledge beside its labels, in words."""
        if self.settings.surrogate == "gp":
            return tier(ModelSettings(), ())
        return tier(self._builder.settings, self._builder.baselines, geometry=self._builder.geometry)

    @cached_property
    def xtb_energy(self) -> NDArray[np.float64] | None:
        """``(n,)`` eV, if a function of the study needs them."""
        return (
            self._kept("cheap", self._single_points) if self._xtb_wanted else None
        )  # the name in earlier folders

    @cached_property
    def per_heavy_atom(self) -> NDArray[np.float64]:
        """``(n,)`` labels over the number of heavy atoms, at least 1; eV, or the property's unit."""
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

    @cached_property
    def features(self) -> NDArray[np.float32]:
        """``(n, d)`` features of all molecules, computed once and kept in the folder."""
        return self._kept("features", self._described)

    def _described(self) -> NDArray[np.float32]:
        from ase import Atoms

        with self._progress.steps("features", len(self.smiles)) as advance:
            atoms = [Atoms(self._set.numbers(i), self._set.positions(i)) for i in range(len(self.smiles))]
            soap = descriptors.Soap.fit(atoms, np.random.default_rng(0))
            return soap.features(atoms, advance)

    def _single_points(self) -> NDArray[np.float64]:
        with (
            self._progress.steps("GFN2-xTB energies", len(self.smiles)) as advance,
            self._computing() as how,
        ):
            rows = read_all((GFN2,), self._molecules(range(len(self.smiles))), advance=advance, **how)
        return np.array([self._good(row)[0].energy for row in rows])

    def graphs(self, molecules: Sequence[int]) -> list[Graph]:
        """Graphs of these molecules, for networks and the kernel.

        Raises:
            DataError: one of them has no baseline.
        """
        new = [i for i in dict.fromkeys(molecules) if i not in self._graphs]
        if not new:
            return [self._graphs[i] for i in molecules]
        with self._progress.steps("graphs", len(new)) as advance, self._computing() as how:
            made = self._builder.graphs(self._molecules(new), advance=advance, **how)
        self._graphs.update((i, self._good(one)) for i, one in zip(new, made, strict=True))
        return [self._graphs[i] for i in molecules]

    @contextmanager
    def _computing(self) -> Iterator[dict[str, Any]]:
        """Workers for baselines, and the cache that campaigns and commands share."""
        with (
            closing(BaselineCache(beside(default_path()))) as cache,
            calling_workers(self.settings.workers, _TIMEOUT) as call_all,
        ):
            yield {"cache": cache, "call_all": call_all}

    def _molecules(self, rows: Iterable[int]) -> list[Molecule]:
        return [
            Molecule(self.smiles[i], self._set.numbers(i), self._set.positions(i), "dataset") for i in rows
        ]

    def _good(self, outcome: Any) -> Any:
        if isinstance(outcome, Exception):
            raise DataError(f"{self.settings.data}: {outcome}") from outcome
        return outcome


def _pattern(smarts: str) -> Any:
    from rdkit import Chem

    pattern = Chem.MolFromSmarts(smarts)
    if pattern is None:
        raise ConfigError(f"group {smarts!r} is no SMARTS pattern.")
    return pattern
