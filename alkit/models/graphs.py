"""Graphs of the surrogate from settings and molecules; no other place builds them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from alkit.baselines.base import BaselineSpec, create_baseline, level_of, specs_of
from alkit.baselines.cache import BaselineCache
from alkit.baselines.computing import CallAll, Readings, call_here, read_all
from alkit.config.schema import CampaignConfig
from alkit.errors import ConfigError, DataError, LabelError
from alkit.models.geometries import Placing, require
from alkit.models.pooling import pooling_of
from alkit.molecules.conformers import CONFORMERS
from alkit.molecules.molecule import Molecule
from alkit.properties import kind_of
from surrogate.settings import Input, ModelSettings, TrainingSettings

if TYPE_CHECKING:
    from surrogate import Graph

GFN2 = BaselineSpec.of("gfn2")
"""The baseline of earlier revisions, whose charges and bond orders are the input ``xtb``."""


def model_settings(config: CampaignConfig) -> ModelSettings:
    """The campaign's settings as the surrogate's own.

    Raises:
        SurrogateError: settings that exclude each other.
        ConfigError: a baseline that cannot be made here.
    """
    section = config.surrogate
    specs = specs_of(section.baseline)
    inputs: list[str] = []
    if section.chemistry:
        inputs.append("chemistry")
    if section.xtb_inputs:
        inputs.append("xtb")
    return ModelSettings(
        mode=section.mode,
        representation=section.representation,
        layout=section.layout,
        inputs=(*inputs, *(inputs_of(specs) if section.baseline_inputs else ())),  # type: ignore[arg-type]
        baseline=level_of(specs) if section.learning == "delta" else "",
        features=section.features,
        interactions=section.interactions,
        gaussians=section.gaussians,
        cutoff=section.cutoff,
        elements=tuple(config.domain.elements),
        heads=section.heads,
        pooling=pooling_of(section.pooling, config.target, kind_of(config.target), section.representation),
        uncertainty=section.uncertainty,
    )


def inputs_of(specs: Sequence[BaselineSpec]) -> tuple[Input, ...]:
    """Inputs of the surrogate that these baselines give for atoms.

    Raises:
        ConfigError: none of them says anything.
    """
    found = tuple(name for spec in specs if (name := create_baseline(spec).inputs))
    if not found:
        names = ", ".join(spec.kind for spec in specs)
        raise ConfigError(f"baseline_inputs: {names} says nothing of atoms; gfn1, gfn2 and aimnet2 do")
    return found  # type: ignore[return-value]


def training_settings(config: CampaignConfig) -> TrainingSettings:
    """The campaign's settings of the training.

    Every field of the surrogate's own is a key of the section, except the weight of forces: labels of a
    campaign have none.
    """
    names = {field.name for field in fields(TrainingSettings)} - {"forces_weight"}
    return TrainingSettings(**{name: getattr(config.surrogate, name) for name in names})


@dataclass(frozen=True)
class GraphBuilder:
    """Makes the graphs of molecules, with their geometries and baselines where these are needed.

    Attributes:
        settings: what the surrogate sees.
        geometry: source of 3D geometries, see `alkit.models.geometries`; ``dataset``: each molecule has one.
        seed: of the conformers.
        conformers: ``mmff`` and ``xtb`` take the lowest of this many.
        baselines: what is learned on top of or seen: those of the settings' ``baseline`` and ``inputs``.
    """

    settings: ModelSettings
    geometry: str
    seed: int = 0
    conformers: int = CONFORMERS
    baselines: tuple[BaselineSpec, ...] = ()

    @property
    def needed(self) -> tuple[BaselineSpec, ...]:
        """All baselines that are computed of a molecule; GFN2-xTB too where its charges are inputs."""
        asked = self.baselines if self.settings.baseline or self._named else ()
        return (*asked, GFN2) if "xtb" in self.settings.inputs and GFN2 not in asked else asked

    @property
    def below(self) -> tuple[BaselineSpec, ...]:
        """The baselines that the surrogate learns on top of."""
        return self.baselines if self.settings.baseline else ()

    @property
    def _named(self) -> set[str]:
        return {str(name) for name in self.settings.inputs} - {"chemistry", "xtb"}

    @property
    def placing(self) -> Placing:
        """The source of geometries that a SMILES needs before its graph."""
        return Placing(self.geometry, self.seed, self.conformers)

    def check(self) -> None:
        """Whether all that is needed can be computed here.

        Raises:
            ConfigError: a baseline, or the binding that geometries need, is not there.
        """
        if self.settings.mode == "3d":
            require(self.geometry)
        for spec in self.needed:
            create_baseline(spec)

    def graph(self, molecule: str | Molecule, readings: Readings | None = None) -> Graph:
        """The graph of a canonical SMILES in a geometry made here, or of a molecule in its own geometry.

        Args:
            molecule: a canonical SMILES, or a molecule with its geometry (Å).
            readings: one for each of `needed`, if they are known already.

        Raises:
            DataError: no geometry.
            LabelError: no geometry, or no baseline.
            SurrogateError: a molecule that the surrogate cannot take.
        """
        from surrogate import graph_2d

        settings = self.settings
        if settings.mode == "2d":
            smiles = molecule if isinstance(molecule, str) else molecule.smiles
            chemistry = "chemistry" in settings.inputs
            return graph_2d(smiles, cutoff=settings.cutoff, layout=settings.layout, chemistry=chemistry)
        if isinstance(molecule, str):
            molecule = self.placing(molecule)
        if readings is None:
            readings = tuple(create_baseline(spec).read(molecule) for spec in self.needed)
        return self._graph_3d(molecule, readings)

    def graphs(
        self,
        molecules: Sequence[str | Molecule | Exception],
        *,
        call_all: CallAll = call_here,
        cache: BaselineCache | None = None,
        advance: Callable[[int], None] | None = None,
    ) -> list[Graph | Exception]:
        """Graphs of many molecules, the error in its place where there is none.

        Args:
            molecules: canonical SMILES, which are placed first; molecules in their geometries; or errors,
                which stay what they are.
            call_all: how geometries and baselines are computed, see `alkit.baselines.computing.read_all`.
            cache: of baselines.
            advance: called with the number of molecules that are done.
        """
        if self.settings.mode == "3d":
            unplaced = sorted({one for one in molecules if isinstance(one, str)})
            placed = dict(call_all(self.placing, unplaced)) if unplaced else {}
            molecules = [placed[one] if isinstance(one, str) else one for one in molecules]
        there = [one for one in molecules if isinstance(one, Molecule)] if self.needed else []
        rows = iter(read_all(self.needed, there, call_all=call_all, cache=cache, advance=advance))
        if advance:
            advance(len(molecules) - len(there))
        return [
            self._outcome(one, next(rows) if self.needed and isinstance(one, Molecule) else ())
            for one in molecules
        ]

    def _outcome(
        self, molecule: str | Molecule | Exception, readings: Readings | LabelError | DataError
    ) -> Graph | Exception:
        from surrogate import SurrogateError

        if isinstance(molecule, Exception):
            return molecule
        if isinstance(readings, Exception):
            return readings
        try:
            return self.graph(molecule, readings)
        except (LabelError, DataError, SurrogateError) as error:
            return error

    def _graph_3d(self, molecule: Molecule, readings: Readings) -> Graph:
        from surrogate import graph_3d

        known = dict(zip(self.needed, readings, strict=True))
        below = [known[spec] for spec in self.below]
        charges, orders, named = None, None, {}
        if "xtb" in self.settings.inputs:
            charges, orders = known[GFN2].atoms[:, 0], known[GFN2].pairs[..., 0]
        for spec, reading in known.items():
            baseline = create_baseline(spec)
            named[baseline.inputs] = (reading.atoms, reading.pairs, reading.whole)
            named[baseline.earlier_inputs] = (reading.atoms, reading.pairs, reading.whole[:0])
        return graph_3d(
            molecule.numbers,
            molecule.positions,
            cutoff=self.settings.cutoff,
            charges=charges,
            bond_orders=orders,
            inputs=[named[name] for name in self.settings.inputs if name in named],
            baselines=[reading.energy for reading in below],
            baseline_level=self.settings.baseline,
        )


def unseen_elements(elements: Sequence[str], graphs: Sequence[Graph]) -> tuple[str, ...]:
    """Elements that no graph has: a surrogate knows no shift of theirs against the baseline."""
    from ase.data import chemical_symbols

    seen = {int(number) for graph in graphs for number in np.unique(graph.numbers)}
    return tuple(symbol for symbol in elements if chemical_symbols.index(symbol) not in seen)


def baseline_energies(graphs: Sequence[Graph]) -> NDArray[np.float64]:
    """``(n,)`` eV: the energies that a delta model learns on top of."""
    return np.array([graph.baseline for graph in graphs], dtype=np.float64)
