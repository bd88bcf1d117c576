"""Baselines through ASE: the force field GFN-FF, and any calculator of the user's."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import CalculationFailed

from alkit.baselines.base import Baseline, Reading
from alkit.errors import ConfigError, LabelError
from alkit.molecules.energies import problem_of
from alkit.molecules.molecule import Molecule
from alkit.simulators.ase_calculator import ASESimulator
from alkit.simulators.base import Level
from alkit.simulators.simulator import RelaxingSimulator
from alkit.simulators.xtb import XTBSimulator
from alkit.threads import one_thread

_METHANE = Molecule(
    "C",
    np.array([6, 1, 1, 1, 1]),
    0.6291 * np.array([[0, 0, 0], [1, 1, 1], [-1, -1, 1], [-1, 1, -1], [1, -1, -1]]),
    "given",
)


class _Calculator(Baseline):
    """A single point by the calculator of a simulator, which has its settings and free atoms."""

    simulator: RelaxingSimulator

    @property
    def level(self) -> Level:
        return Level(f"{self.simulator.method_name()} (unrelaxed)", "energy", "eV")

    @property
    def version(self) -> str:
        return str(getattr(self.simulator, "version", ""))

    def read(self, molecule: Molecule) -> Reading:
        """Compute the baseline.

        Raises:
            LabelError: "unsupported_element", "unpaired_electrons", "calculation_failed" or "not_finite".
        """
        if int(np.sum(molecule.numbers)) % 2:
            raise LabelError("unpaired_electrons", f"{molecule.smiles}: a baseline is for closed shells")
        atoms = Atoms(molecule.numbers, molecule.positions)
        free = self.simulator.free_atoms(molecule)
        atoms.calc = self.simulator.new_calculator()
        try:
            with one_thread():
                energy = float(atoms.get_potential_energy())
        except LabelError:
            raise
        except CalculationFailed as error:
            raise LabelError("scf_not_converged", f"{molecule.smiles}: {error}") from error
        except Exception as error:  # a calculator of the user's may raise anything
            problem = " ".join(f"{type(error).__name__}: {error}".split())
            raise LabelError("calculation_failed", f"{molecule.smiles}: {problem:.200}") from error
        return self.reading(energy - free, molecule=molecule)

    def check(self) -> str:
        """A known value is not there; what methane has must be an atomization energy in eV."""
        try:
            energy = self.read(_METHANE).energy
        except LabelError as error:
            raise ConfigError(f"baseline {self.level.method}: {error}") from None
        if problem := problem_of(energy, _METHANE.numbers):
            raise ConfigError(
                f"baseline {self.level.method}: methane has {energy:.4f} eV, which no atomization energy "
                f"can be ({problem}); its unit must be eV, and its free atoms of the same method"
            )
        return f"methane {energy:.4f} eV, a possible atomization energy; {self.version}"


class GFNFF(_Calculator):
    """The force field GFN-FF, https://doi.org/10.1002/anie.202004239; its bonds come from the geometry."""

    tier = "force field"

    def __init__(self) -> None:
        self.simulator = XTBSimulator(method="GFN-FF")


class ASEBaseline(_Calculator):
    """An ASE calculator by its import path.

    Args:
        calculator: "module:Class".
        arguments: of that class.
        tier: what a result on top of it is called, such as "semi-empirical" or "pretrained".
        learned_from: what a pretrained method has learned from.
        atom_energies: eV, total energies of free atoms by symbol; asked of the calculator by default.
        method: the name of its level of theory; made of class and arguments by default.
    """

    tier: ClassVar[str] = "a calculator of one's own"

    def __init__(
        self,
        calculator: str,
        arguments: dict[str, Any] | None = None,
        tier: str = "",
        learned_from: str = "",
        atom_energies: dict[str, float] | None = None,
        method: str = "",
    ):
        self.simulator = ASESimulator(
            calculator=calculator, arguments=arguments or {}, atom_energies=atom_energies or {}, method=method
        )
        # This object's, in place of the class's own.
        self.__dict__["tier"] = tier or self.tier
        self.__dict__["learned_from"] = learned_from
