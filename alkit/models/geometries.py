"""Where molecules get the geometry that 3D mode sees: a named choice, the same in training and screening."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import get_args

from ase import Atoms
from ase.calculators.calculator import CalculationFailed, Calculator

from alkit.baselines.aimnet2 import AIMNet2Calculator
from alkit.baselines.base import BaselineSpec, create_baseline
from alkit.config.words import SmilesGeometry
from alkit.errors import DataError, LabelError
from alkit.molecules.bonds import same_bond_graph
from alkit.molecules.conformers import CONFORMERS, embed, minima
from alkit.molecules.molecule import Molecule
from alkit.simulators.bindings import require_binding
from alkit.simulators.optimizer import relax
from alkit.simulators.xtb import XTBSimulator
from alkit.threads import one_thread

FROM_SMILES = get_args(SmilesGeometry)
"""Geometry sources that need the SMILES alone."""
AIMNET2 = BaselineSpec.of("aimnet2-wb97m")
"""The AIMNet2 that relaxes: its functional has dispersion, which folds a molecule."""
RELAXED_BY = {"xtb": BaselineSpec.of("gfn2"), "gfn2": BaselineSpec.of("gfn2"), "aimnet2": AIMNET2}
"""Those that relax a molecule, and the method that computes its forces."""

# Looser than a label's: an input geometry need not be a minimum to a hair. 0.01 and 0.02 eV/A differ by less
# than 1 meV in energy.
_FMAX, _MAX_STEPS, _MAX_ITERATIONS = 0.02, 300, 250
_TRIED = 3  # conformers that are relaxed, the lowest by a single point


def make_geometry(smiles: str, *, geometry: str, seed: int = 0, conformers: int = CONFORMERS) -> Molecule:
    """A 3D geometry made from the SMILES alone, in Å; the same one for the same seed.

    Args:
        smiles: canonical or not.
        geometry: ``etkdg`` or ``mmff`` (see `alkit.molecules.conformers`); ``xtb``: the lowest MMFF94
            conformer relaxed with GFN2-xTB; ``gfn2``: the lowest of all by GFN2-xTB, relaxed with it;
            ``aimnet2``: the same by AIMNet2 (ωB97M-D3).
        seed: the campaign's.
        conformers: of which the lowest is taken.

    Raises:
        ConfigError: GFN2-xTB or AIMNet2 is needed, and not installed.
        DataError: the SMILES is none that alkit covers, or no such source.
        LabelError: ``embed_failed``, ``mmff_failed``, and where it is relaxed ``unsupported_element``,
            ``unpaired_electrons``, ``scf_not_converged``, ``not_relaxed`` or ``identity_changed``.
    """
    if geometry not in FROM_SMILES:
        raise DataError(
            f"geometry {geometry!r} cannot be made from a SMILES; use one of {', '.join(FROM_SMILES)}"
        )
    if geometry == "xtb":
        return _relaxed(embed(smiles, seed=seed, conformers=conformers), geometry)[1]
    if geometry in ("gfn2", "aimnet2"):
        return _lowest(minima(smiles, seed=seed, conformers=conformers), geometry)
    return embed(smiles, geometry=geometry, seed=seed, conformers=conformers)


@dataclass(frozen=True)
class Placing:
    """A source of geometries for SMILES; it can be sent to a worker.

    Attributes:
        geometry, seed, conformers: see `make_geometry`.
    """

    geometry: str
    seed: int = 0
    conformers: int = CONFORMERS

    @property
    def slow(self) -> bool:
        """Whether a molecule is relaxed, which takes longer than a worker does to start."""
        return self.geometry in RELAXED_BY

    def __call__(self, smiles: str) -> Molecule:
        """Make a geometry; errors are those of `make_geometry`."""
        return make_geometry(smiles, geometry=self.geometry, seed=self.seed, conformers=self.conformers)


def require(geometry: str) -> None:
    """Load what computes the forces of a geometry that is relaxed.

    Raises:
        ConfigError: it is not installed.
    """
    if geometry == "aimnet2":
        create_baseline(AIMNET2)
    elif geometry in RELAXED_BY:
        require_binding(f"geometry {geometry}")


def _lowest(conformers: list[Molecule], geometry: str) -> Molecule:
    """Relax those that are lowest by a single point; the lowest that keeps its bonds."""
    if len(conformers) > 1:
        conformers = sorted(conformers, key=lambda molecule: _energy(molecule, geometry))[:_TRIED]
    found, problems = [], list[LabelError]()
    for molecule in conformers:
        try:
            found.append(_relaxed(molecule, geometry))
        except LabelError as error:
            problems.append(error)
    if not found:
        raise problems[0]
    return min(found, key=lambda pair: pair[0])[1]


def _energy(molecule: Molecule, geometry: str) -> float:
    """eV; infinite where the calculation fails, so that such a conformer comes last."""
    try:
        with one_thread():
            return _atoms(molecule, geometry).get_potential_energy()
    except CalculationFailed:
        return math.inf


def _atoms(molecule: Molecule, geometry: str) -> Atoms:
    calculator: Calculator
    if geometry == "aimnet2":
        calculator = AIMNet2Calculator(create_baseline(AIMNET2), molecule)
    else:
        calculator = XTBSimulator(method="GFN2-xTB", max_iterations=_MAX_ITERATIONS).new_calculator()
    return Atoms(molecule.numbers, molecule.positions, calculator=calculator)


def _relaxed(molecule: Molecule, geometry: str) -> tuple[float, Molecule]:
    """The energy in eV at the minimum that a conformer belongs to, and the molecule there."""
    require(geometry)
    atoms = _atoms(molecule, geometry)
    try:
        with one_thread():
            relax(atoms, fmax=_FMAX, max_steps=_MAX_STEPS)
    except CalculationFailed as error:
        raise LabelError("scf_not_converged", f"{molecule.smiles}: {error}") from error
    if not same_bond_graph(molecule.smiles, atoms.numbers, atoms.positions):
        raise LabelError(
            "identity_changed", f"the relaxed geometry no longer has the bonds of {molecule.smiles}"
        )
    relaxed = Molecule(molecule.smiles, molecule.numbers, atoms.positions.copy(), geometry)
    return float(atoms.get_potential_energy()), relaxed
