"""Everything a campaign computes of molecules besides labels: geometry, baselines, graph, SOAP features."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from alkit.baselines.base import BaselineSpec, Reading, specs_of
from alkit.baselines.cache import BaselineCache
from alkit.baselines.computing import Readings, read_all
from alkit.campaign.candidates import in_domain
from alkit.campaign.data_file import database_of
from alkit.campaign.domain import Domain
from alkit.config.schema import CampaignConfig
from alkit.engines import Engine
from alkit.errors import CampaignError, DataError, LabelError
from alkit.models.graphs import GFN2, GraphBuilder, model_settings
from alkit.molecules import soap
from alkit.molecules.molecule import Molecule
from alkit.reporting.progress import CampaignProgress
from alkit.storage.ledger import Candidate, Ledger, Role

if TYPE_CHECKING:
    from ase import Atoms

    from alkit.datasets import Dataset
    from surrogate import Graph

_KEPT = 20_000  # graphs in memory, of 10 to 20 kB each


class MoleculeStore:
    """The molecules of one campaign.

    Geometries are kept in the ledger, baselines in the cache that campaigns share: both are computed once.
    Graphs and SOAP features, quick to compute again, are kept in memory, of graphs a limited number.
    """

    def __init__(
        self,
        config: CampaignConfig,
        ledger: Ledger,
        progress: CampaignProgress,
        engine: Callable[[], Engine],
        cache: Callable[[], BaselineCache | None],
    ):
        self._config, self._ledger, self._progress = config, ledger, progress
        self._engine, self._cache = engine, cache
        self._pools: dict[Path, list[str]] = {}
        self._readings: dict[tuple[str, BaselineSpec], Reading] = {}
        self._graphs: dict[str, Graph] = {}
        self._features: dict[str, NDArray[np.float32]] = {}
        self._soap: soap.Soap | None = None

    @cached_property
    def dataset(self) -> Dataset | None:
        """The data set that the campaign file names."""
        from alkit.datasets import Dataset

        if self._config.dataset is None:
            return None
        return Dataset.open(database_of(self._config)).one_row_each("A campaign chooses molecules, and needs")

    @cached_property
    def domain(self) -> Domain:
        """Which molecules the campaign is about."""
        return Domain(self._config.domain)

    @cached_property
    def seeds(self) -> list[str]:
        """Canonical SMILES that the start and test sets are drawn from, and a generator first learns from."""
        return in_domain(self.seeds_before_domain, self.domain)

    @cached_property
    def target_file(self) -> list[str]:
        """Canonical SMILES of the campaign file's ``target_set.file``, those in the domain."""
        from alkit.datasets import read_smiles

        section = self._config.target_set
        return in_domain(read_smiles(section.file), self.domain) if section and section.file else []

    def pool(self, file: Path) -> list[str]:
        """Canonical SMILES of a pool's file, one molecule once; read once in a run."""
        from alkit.datasets import read_smiles

        if file not in self._pools:
            self._pools[file] = list(dict.fromkeys(read_smiles(file)))
        return self._pools[file]

    @cached_property
    def seeds_before_domain(self) -> Sequence[str]:
        """Seed SMILES before domain filtering."""
        if self._config.seeds is not None:
            from alkit.datasets import read_smiles

            return read_smiles(self._config.seeds)
        if self.dataset is not None:
            return self.dataset.smiles
        from alkit.molecules.enumeration import seed_molecules

        return seed_molecules()

    @cached_property
    def builder(self) -> GraphBuilder:
        """How molecules become graphs: the same in training and in screening."""
        surrogate = self._config.surrogate
        settings = model_settings(self._config)
        return GraphBuilder(
            settings,
            surrogate.geometry,
            self._config.seed,
            surrogate.conformers,
            specs_of(surrogate.baseline),
        )

    def place(
        self,
        smiles: Sequence[str],
        advance: Callable[[int], None] | None = None,
        *,
        also: tuple[BaselineSpec, ...] = (),
    ) -> dict[str, LabelError | DataError]:
        """Give molecules their geometry and the baselines that the surrogate needs.

        Args:
            smiles: canonical.
            advance: called with the number of molecules whose geometry is done.
            also: baselines that are wanted beside those.

        Returns:
            Those that have none: ``not_in_dataset``, a reason of `alkit.models.geometries.make_geometry` or
            of a baseline, or of `alkit.engines.base.Engine`.
        """
        failed: dict[str, LabelError | DataError] = {}
        specs = tuple(dict.fromkeys((*self.builder.needed, *also)))
        for key, problem in self._placed(smiles):
            if problem is not None:
                failed[key] = problem
            if advance:
                advance(1)
        left = [key for key in smiles if key not in failed]
        return failed | self._read(left, specs)

    def _placed(self, smiles: Sequence[str]) -> Iterator[tuple[str, LabelError | DataError | None]]:
        """Every molecule as it is placed, by the engine's workers: an embedding may take for ever."""
        source, ledger, new = self.builder.geometry, self._ledger, []
        for key in smiles:
            if source == "dataset" and (self.dataset is None or key not in self.dataset):
                yield key, LabelError("not_in_dataset", key)
            elif source != "dataset" and ledger.geometry(key, source) is None:
                new.append(key)
            else:
                yield key, None
        if not new:
            return
        for key, outcome in self._engine().call_all(self.builder.placing, new):
            if isinstance(outcome, LabelError | DataError):
                yield key, outcome
                continue
            ledger.add_geometry(key, source, outcome.numbers, outcome.positions)
            yield key, None

    def _read(
        self, smiles: Sequence[str], specs: tuple[BaselineSpec, ...]
    ) -> dict[str, LabelError | DataError]:
        """Compute baselines of placed molecules; those that have none."""
        failed: dict[str, LabelError | DataError] = {}
        wanted = [key for key in smiles if any((key, spec) not in self._readings for spec in specs)]
        if not wanted:
            return failed
        with self._progress.steps("baselines", len(wanted)) as advance:
            rows = read_all(
                specs,
                [self.molecule(key) for key in wanted],
                call_all=lambda function, items: self._engine().call_all(function, items),
                cache=self._cache(),
                advance=advance,
            )
        for key, row in zip(wanted, rows, strict=True):
            if isinstance(row, Exception):
                failed[key] = row
            else:
                self._readings |= {(key, spec): reading for spec, reading in zip(specs, row, strict=True)}
        return failed

    def molecule(self, smiles: str) -> Molecule:
        """A molecule that ``place`` has seen, in the geometry where its label starts from.

        Raises:
            CampaignError: the ledger has no geometry of it.
        """
        source = self.builder.geometry
        if source == "dataset" and self.dataset is not None:
            i = self.dataset.index(smiles)
            return Molecule(smiles, self.dataset.numbers(i), self.dataset.positions(i), source)
        stored = self._ledger.geometry(smiles, source)
        if stored is None:
            raise CampaignError(
                f"The ledger has no {source} geometry of {smiles}; it was changed from outside."
            )
        return Molecule(smiles, *stored, source)

    def gfn2_energy(self, smiles: str) -> float:
        """eV, the GFN2-xTB single point of a molecule that has its geometry.

        Raises:
            LabelError, DataError: there is none.
        """
        return self.readings(smiles, (GFN2,))[0].energy

    def readings(self, smiles: str, specs: tuple[BaselineSpec, ...]) -> Readings:
        """The baselines of a molecule that has its geometry.

        Raises:
            LabelError, DataError: one of them says nothing.
        """
        if any((smiles, spec) not in self._readings for spec in specs) and (
            failed := self._read([smiles], specs)
        ):
            raise failed[smiles]
        return tuple(self._readings[smiles, spec] for spec in specs)

    def graphs(self, smiles: Iterable[str], *, on_graph: Callable[[int], None] | None = None) -> list[Graph]:
        """The graphs of placed molecules, in the order given."""
        keys = list(smiles)
        needed = self.builder.needed
        new = [key for key in dict.fromkeys(keys) if key not in self._graphs]
        if needed:
            self._read(new, needed)  # those of an earlier process, all at once
        graphs = []
        for key in keys:
            if key not in self._graphs:
                molecule = self.molecule(key) if self.builder.settings.mode == "3d" else key
                graph = self.builder.graph(molecule, self.readings(key, needed))
                if len(self._graphs) < _KEPT:
                    self._graphs[key] = graph
            else:
                graph = self._graphs[key]
            graphs.append(graph)
            if on_graph:
                on_graph(1)
        return graphs

    def features(self, molecules: Sequence[Candidate]) -> NDArray[np.float32]:
        """``(n, d)`` SOAP features, the same in every round; computed again when a campaign continues."""
        if self._soap is None:
            self._soap = self._fit_soap()
        new = [c.smiles for c in molecules if c.smiles not in self._features]
        with self._progress.steps("features", len(new)) as advance:
            rows = self._soap.features([self._atoms(smiles) for smiles in new], advance)
        self._features.update(zip(new, rows, strict=True))
        return np.array([self._features[c.smiles] for c in molecules])

    def soap_of(self, smiles: Sequence[str]) -> NDArray[np.float64]:
        """``(n, d)`` SOAP features that are fitted to these molecules alone."""
        atoms = [self._atoms(one) for one in smiles]
        fitted = soap.Soap.fit(atoms, np.random.default_rng(self._config.seed))
        with self._progress.steps("features", len(atoms)) as advance:
            return fitted.features(atoms, advance).astype(np.float64)

    def _fit_soap(self) -> soap.Soap:
        """Fitted on the start and the first round's candidates, which do not change any more."""
        from ase.data import atomic_numbers

        roles: tuple[Role, ...] = ("training", "validation")
        start = [c for role in roles for c, _ in self._ledger.labelled(role, up_to_round=0)]
        first = [c for c in self._ledger.candidates(round_=1) if c.status not in ("proposed", "rejected")]
        return soap.Soap.fit(
            [self._atoms(c.smiles) for c in (*start, *first)],
            np.random.default_rng(self._config.seed),
            elements=[atomic_numbers[symbol] for symbol in self._config.domain.elements],
        )

    def _atoms(self, smiles: str) -> Atoms:
        from ase import Atoms

        molecule = self.molecule(smiles)
        return Atoms(molecule.numbers, molecule.positions)
