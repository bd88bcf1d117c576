"""What a campaign computes of molecules besides labels: geometry, single point, graph, SOAP features."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from alkit.campaign.candidates import in_domain
from alkit.config.schema import CampaignConfig
from alkit.engines import Engine
from alkit.errors import CampaignError, DataError, LabelError
from alkit.models.geometries import point_of
from alkit.models.graphs import GraphBuilder, model_settings
from alkit.molecules import soap
from alkit.molecules.molecule import Molecule
from alkit.reporting.progress import CampaignProgress
from alkit.simulators.single_point import SinglePoint
from alkit.storage.ledger import Candidate, Ledger, Role

if TYPE_CHECKING:
    from ase import Atoms

    from alkit.datasets import Dataset
    from surrogate import Graph


class MoleculeStore:
    """The molecules of one campaign.

    Geometries and single points are kept in the ledger: they are computed once for the whole campaign. Graphs
    and SOAP features, quick to compute again, are kept in memory.
    """

    def __init__(
        self,
        config: CampaignConfig,
        ledger: Ledger,
        progress: CampaignProgress,
        engine: Callable[[], Engine],
    ):
        self._config, self._ledger, self._progress, self._engine = config, ledger, progress, engine
        self._graphs: dict[str, Graph] = {}
        self._features: dict[str, NDArray[np.float32]] = {}
        self._soap: soap.Soap | None = None

    @cached_property
    def dataset(self) -> Dataset | None:
        """The data set that the campaign file names."""
        from alkit.datasets import Dataset

        return Dataset.open(self._config.dataset) if self._config.dataset else None

    @cached_property
    def seeds(self) -> list[str]:
        """Canonical SMILES that the start and test sets are drawn from, and a generator first learns from."""
        return in_domain(self.seeds_before_domain, self._config.domain)

    @cached_property
    def target_file(self) -> list[str]:
        """Canonical SMILES of the campaign file's ``target_set.file``, those in the domain."""
        from alkit.datasets import read_smiles

        section = self._config.target_set
        return in_domain(read_smiles(section.file), self._config.domain) if section and section.file else []

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
        return GraphBuilder(settings, surrogate.geometry, self._config.seed, surrogate.conformers)

    def place(
        self,
        smiles: Sequence[str],
        advance: Callable[[int], None] | None = None,
        *,
        point: bool | None = None,
    ) -> dict[str, LabelError | DataError]:
        """Give molecules their geometry and, where the surrogate needs one, their GFN2-xTB single point.

        Args:
            smiles: canonical.
            advance: called with 1 for each.
            point: whether the single point is wanted; by default where the surrogate sees it.

        Returns:
            Those that have none: ``not_in_dataset``, a reason of `alkit.models.geometries.make_geometry` or
            `alkit.simulators.single_point`, or of `alkit.engines.base.Engine`.
        """
        failed: dict[str, LabelError | DataError] = {}
        wanted = self.builder.needs_single_point if point is None else point
        for key, problem in self._placed(smiles, point=wanted):
            if problem is not None:
                failed[key] = problem
            if advance:
                advance(1)
        return failed

    def _placed(
        self, smiles: Sequence[str], *, point: bool
    ) -> Iterator[tuple[str, LabelError | DataError | None]]:
        """Every molecule as it is placed, by the engine's workers: an embedding may take for ever."""
        source, ledger, new = self.builder.geometry, self._ledger, []
        for key in smiles:
            if source == "dataset" and (self.dataset is None or key not in self.dataset):
                yield key, LabelError("not_in_dataset", key)
            elif source != "dataset" and ledger.geometry(key, source) is None:
                new.append(key)
            else:
                yield key, self._with_point(key) if point else None
        if not new:
            return
        placing = replace(self.builder.placing, point=point)
        for key, outcome in self._engine().call_all(placing, new):
            if isinstance(outcome, LabelError | DataError):
                yield key, outcome
                continue
            ledger.add_geometry(key, source, outcome.molecule.numbers, outcome.molecule.positions)
            if outcome.point is not None:
                ledger.add_single_point(key, source, outcome.point)
            yield key, None

    def _with_point(self, smiles: str) -> LabelError | None:
        """Compute the single point of a molecule that has its geometry; the error where there is none."""
        try:
            self.single_point(smiles)
        except LabelError as error:
            return error
        return None

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

    def single_point(self, smiles: str) -> SinglePoint:
        """The GFN2-xTB single point of a molecule that has its geometry.

        Raises:
            LabelError: see `alkit.simulators.single_point`.
        """
        source = self.builder.geometry
        if (point := self._ledger.single_point(smiles, source)) is None:
            point = point_of(self.molecule(smiles))
            self._ledger.add_single_point(smiles, source, point)
        return point

    def graphs(self, smiles: Iterable[str], *, on_graph: Callable[[int], None] | None = None) -> list[Graph]:
        """The graphs of placed molecules, in the order given."""
        graphs = []
        for key in smiles:
            if key not in self._graphs:
                molecule = self.molecule(key) if self.builder.settings.mode == "3d" else key
                point = self.single_point(key) if self.builder.needs_single_point else None
                self._graphs[key] = self.builder.graph(molecule, point)
            graphs.append(self._graphs[key])
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
