"""What every stage of a round can reach: settings, ledger, folder, seeds, molecules with their geometry."""

import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from alkit.acquisition.base import Acquisition
from alkit.campaign.candidates import in_domain
from alkit.config.schema import CampaignConfig
from alkit.engines import Engine, create_engine
from alkit.errors import CampaignError, ConfigError, LabelError
from alkit.models.geometries import make_geometry
from alkit.models.graphs import build_graph, model_settings, needs_single_point
from alkit.molecules.molecule import Molecule
from alkit.molecules.soap import SoapCache
from alkit.reporting.progress import CampaignProgress
from alkit.simulators.base import SIMULATORS, Level, SimulatorSpec
from alkit.simulators.single_point import SinglePoint, single_point
from alkit.storage.label_cache import LabelCache, default_path
from alkit.storage.ledger import Ledger
from surrogate.settings import ModelSettings

if TYPE_CHECKING:
    from alkit.datasets import Dataset
    from surrogate import Graph


@dataclass
class RoundState:
    """A campaign at one of its rounds. Stages hand results on through the ledger and the round's folder
    alone, so that a stage can run in another process than the one before it."""

    config: CampaignConfig
    folder: Path
    ledger: Ledger
    acquisition: Acquisition
    progress: CampaignProgress
    round: int
    described: SoapCache = field(default_factory=SoapCache, repr=False)
    _graphs: dict[str, "Graph"] = field(default_factory=dict, repr=False)

    def path(self, name: str, *, round_: int | None = None) -> Path:
        """A file of this round, or of another."""
        return self.folder / "rounds" / f"{self.round if round_ is None else round_:02d}" / name

    def seed(self, purpose: str) -> int:
        """A seed for one purpose in this round; the same whenever the stage runs again."""
        sequence = np.random.SeedSequence([self.config.seed, self.round, zlib.crc32(purpose.encode())])
        return int(sequence.generate_state(1)[0]) & 0x7FFFFFFF

    def rng(self, purpose: str) -> np.random.Generator:
        return np.random.default_rng(self.seed(purpose))

    @cached_property
    def dataset(self) -> "Dataset | None":
        from alkit.datasets import Dataset

        return Dataset.open(self.config.dataset) if self.config.dataset else None

    @cached_property
    def seed_molecules(self) -> list[str]:
        """Canonical SMILES that the start and test sets are drawn from, and a generator first learns from."""
        return in_domain(self.given_seeds, self.config.domain)

    @cached_property
    def given_seeds(self) -> Sequence[str]:
        """The same as given: also what the domain will not have."""
        if self.config.seeds is not None:
            from alkit.datasets import read_smiles

            return read_smiles(self.config.seeds)
        if self.dataset is not None:
            return self.dataset.smiles
        from alkit.molecules.enumeration import seed_molecules

        return seed_molecules()

    @cached_property
    def engine(self) -> Engine:
        """Where labels are computed, for the whole campaign: late labels outlast their round."""
        section = self.config.simulator
        return create_engine(self.simulator, section.engine, **section.engine_settings, folder=self.folder)

    @cached_property
    def label_cache(self) -> LabelCache | None:
        """Labels shared with other campaigns; what is looked up needs none."""
        where = self.config.simulator.cache
        if where == "none" or self.config.simulator.kind == "lookup":
            return None
        return LabelCache(default_path() if where is None else where, self.simulator)

    def close(self, *, wait: bool) -> None:
        """End what runs beside the stages: after late labels (``wait``), or now."""
        try:
            if "engine" in self.__dict__:
                self.engine.close(wait=wait)
        finally:
            if "label_cache" in self.__dict__ and self.label_cache is not None:
                self.label_cache.close()

    @property
    def simulator(self) -> SimulatorSpec:
        """The simulator with what the campaign knows already: the target, and where the data set is."""
        settings = dict(self.config.simulator.settings)
        if self.config.simulator.kind in SIMULATORS:
            settings.setdefault("target", self.config.target)
        if self.config.simulator.kind == "lookup":
            settings.setdefault("dataset", str(self.config.dataset))
        return SimulatorSpec(self.config.simulator.kind, settings)

    def check_level(self, level: Level) -> None:
        """Levels of theory never mix: what the simulator labels must be what the campaign is about.

        Raises:
            ConfigError: another property than the target.
            CampaignError: another level than that of the labels so far.
        """
        if level.property != self.config.target:
            raise ConfigError(
                f"target is {self.config.target}, but simulator {self.config.simulator.kind} labels {level}."
            )
        if level.unit != "eV":
            raise ConfigError(
                f"Simulator {self.config.simulator.kind} labels in {level.unit}; alkit needs eV."
            )
        if (earlier := self.ledger.level) not in (None, level):
            raise CampaignError(f"The campaign's labels are {earlier}, but the simulator now labels {level}.")

    def place(self, smiles: str) -> None:
        """Give a molecule its geometry, once for the whole campaign.

        Where the surrogate needs a cheap calculation in that geometry, it is made here as well.

        Raises:
            LabelError: ``not_in_dataset``, or a reason of `alkit.models.geometries.make_geometry` or
                `alkit.simulators.single_point.single_point`.
        """
        source, conformers = self.config.surrogate.geometry, self.config.surrogate.conformers
        if source == "dataset":
            if self.dataset is None or smiles not in self.dataset:
                raise LabelError("not_in_dataset", smiles)
        elif self.ledger.geometry(smiles, source) is None:
            made = make_geometry(smiles, geometry=source, seed=self.config.seed, conformers=conformers)
            self.ledger.add_geometry(smiles, source, made.numbers, made.positions)
        if needs_single_point(self.model_settings):
            self.single_point(smiles)

    def single_point(self, smiles: str) -> SinglePoint:
        """The cheap calculation of a molecule that has its geometry, computed once for the whole campaign.

        Raises:
            LabelError: see `alkit.simulators.single_point.single_point`.
        """
        source = self.config.surrogate.geometry
        if (found := self.ledger.single_point(smiles, source)) is None:
            molecule = self.molecule(smiles)
            found = single_point(molecule.numbers, molecule.positions, smiles=smiles)
            self.ledger.add_single_point(smiles, source, found)
        return found

    @cached_property
    def model_settings(self) -> ModelSettings:
        return model_settings(self.config)

    def molecule(self, smiles: str) -> Molecule:
        """A molecule that ``place`` has seen, where its label starts from."""
        source = self.config.surrogate.geometry
        if source == "dataset" and self.dataset is not None:
            i = self.dataset.index(smiles)
            return Molecule(smiles, self.dataset.numbers(i), self.dataset.positions(i), source)
        stored = self.ledger.geometry(smiles, source)
        if stored is None:
            raise CampaignError(
                f"The ledger has no {source} geometry of {smiles}; it was changed from outside."
            )
        return Molecule(smiles, *stored, source)

    def graphs(
        self, smiles: Iterable[str], *, on_graph: Callable[[int], None] | None = None
    ) -> list["Graph"]:
        """What the surrogate sees of molecules: the same in training and in screening."""
        settings, graphs = self.model_settings, []
        for one in smiles:
            if one not in self._graphs:
                molecule = self.molecule(one) if settings.mode == "3d" else None
                found = self.single_point(one) if needs_single_point(settings) else None
                self._graphs[one] = build_graph(settings, one, molecule, found)
            graphs.append(self._graphs[one])
            if on_graph:
                on_graph(1)
        return graphs
