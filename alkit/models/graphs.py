"""From settings and molecules to the surrogate's: the one place where graphs are built."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from alkit.config.schema import CampaignConfig
from alkit.models.geometries import Placing, point_of
from alkit.molecules.conformers import CONFORMERS
from alkit.molecules.molecule import Molecule
from alkit.simulators.bindings import require_binding
from alkit.simulators.single_point import LEVEL, SinglePoint
from surrogate.settings import Input, ModelSettings, TrainingSettings

if TYPE_CHECKING:
    from surrogate import Graph


def model_settings(config: CampaignConfig) -> ModelSettings:
    """The campaign's settings as the surrogate's own.

    Raises:
        SurrogateError: settings that exclude each other.
    """
    section = config.surrogate
    inputs: list[Input] = []
    if section.chemistry:
        inputs.append("chemistry")
    if section.xtb_inputs:
        inputs.append("xtb")
    return ModelSettings(
        mode=section.mode,
        representation=section.representation,
        layout=section.layout,
        inputs=tuple(inputs),
        baseline=str(LEVEL) if section.learning == "delta" else "",
        features=section.features,
        interactions=section.interactions,
        gaussians=section.gaussians,
        cutoff=section.cutoff,
        elements=tuple(config.domain.elements),
        heads=section.heads,
        uncertainty=section.uncertainty,
    )


def training_settings(config: CampaignConfig) -> TrainingSettings:
    """The campaign's settings of the training: every field of the surrogate's own is a key of the section."""
    return TrainingSettings(
        **{field.name: getattr(config.surrogate, field.name) for field in fields(TrainingSettings)}
    )


@dataclass(frozen=True)
class GraphBuilder:
    """Makes the graph of a molecule, with its geometry and its GFN2-xTB single point where these are needed.

    Attributes:
        settings: what the surrogate sees.
        geometry: source of 3D geometries, see `alkit.models.geometries`; ``dataset``: each molecule has one.
        seed: of the conformers.
        conformers: ``mmff`` and ``xtb`` take the lowest of this many.
    """

    settings: ModelSettings
    geometry: str
    seed: int = 0
    conformers: int = CONFORMERS

    @property
    def needs_single_point(self) -> bool:
        """Whether the surrogate sees anything of a GFN2-xTB calculation."""
        return bool(self.settings.baseline) or "xtb" in self.settings.inputs

    @property
    def placing(self) -> Placing:
        """What a SMILES needs before its graph: a geometry, and the single point where that is seen."""
        return Placing(self.geometry, self.seed, self.conformers, self.needs_single_point)

    def graph(self, molecule: str | Molecule, point: SinglePoint | None = None) -> Graph:
        """The graph of a canonical SMILES in a geometry made here, or of a molecule in its own geometry.

        Args:
            point: the single point at that geometry, if it is known already.

        Raises:
            DataError, LabelError: no geometry, or no single point.
            SurrogateError: a molecule that the surrogate cannot take.
        """
        if self.settings.mode == "2d":
            return build_graph(
                self.settings, molecule if isinstance(molecule, str) else molecule.smiles, None
            )
        if isinstance(molecule, str):
            molecule, point = self.placing(molecule)
        if self.needs_single_point and point is None:
            point = point_of(molecule)
        return build_graph(self.settings, molecule.smiles, molecule, point)


def check_gfn2(settings: ModelSettings, geometry: str) -> None:
    """Whether GFN2-xTB can be computed where a model or the source of its geometries needs it.

    Raises:
        ConfigError: it is needed, and no binding of it is installed.
    """
    if geometry == "xtb":
        require_binding("geometry xtb")
    if settings.baseline:
        require_binding("delta learning")
    if "xtb" in settings.inputs:
        require_binding("a model with xtb inputs")


def baseline_energies(graphs: Sequence[Graph]) -> NDArray[np.float64]:
    """``(n,)`` eV: the xTB energies that a delta model learns on top of."""
    return np.array([graph.baseline for graph in graphs], dtype=np.float64)


def build_graph(
    settings: ModelSettings, smiles: str, molecule: Molecule | None, baseline: SinglePoint | None = None
) -> Graph:
    """What the surrogate sees of a molecule: the same in training, screening and prediction.

    Args:
        smiles: all that 2D mode needs.
        molecule: with its geometry; 3D mode only.
        baseline: the single point at that geometry, where the settings need one.

    Raises:
        SurrogateError: a molecule that the surrogate cannot take.
    """
    from surrogate import graph_2d, graph_3d

    if settings.mode == "2d" or molecule is None:
        chemistry = "chemistry" in settings.inputs
        return graph_2d(smiles, cutoff=settings.cutoff, layout=settings.layout, chemistry=chemistry)
    seen = baseline if "xtb" in settings.inputs else None
    below = baseline if settings.baseline else None
    return graph_3d(
        molecule.numbers,
        molecule.positions,
        cutoff=settings.cutoff,
        charges=seen.charges if seen else None,
        bond_orders=seen.bond_orders if seen else None,
        baseline=below.energy if below else 0.0,
        baseline_level=str(below.level) if below else "",
    )
