"""Common parts of xtb-python and tblite, the bindings of GFN methods: methods, solvents, names, atoms.

GFN2-xTB: doi:10.1021/acs.jctc.8b01176; GFN1-xTB: doi:10.1021/acs.jctc.7b00118; GFN-FF:
doi:10.1002/anie.202004239. Solvation by GBSA and ALPB: doi:10.1021/acs.jctc.1c00471.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from typing import ClassVar

from ase import Atoms

from alkit.molecules.molecule import Molecule
from alkit.simulators.orbitals import observables
from alkit.simulators.references import atom_energies
from alkit.simulators.simulator import RelaxingSimulator

METHODS = ("GFN2-xTB", "GFN1-xTB")
# Solvents that both bindings have parameters for with both methods, and the name that both understand.
SOLVENTS = {
    "acetone": "acetone",
    "acetonitrile": "acetonitrile",
    "chloroform": "chcl3",
    "carbon disulfide": "cs2",
    "dichloromethane": "ch2cl2",
    "dmso": "dmso",
    "ether": "ether",
    "methanol": "methanol",
    "thf": "thf",
    "toluene": "toluene",
    "water": "h2o",
}


@dataclass(kw_only=True)
class GFNSimulator(RelaxingSimulator):
    """Labels by a method of the GFN family.

    Other settings are those of `RelaxingSimulator`.

    Args:
        method: "GFN2-xTB" or "GFN1-xTB".
        solvent: one of `SOLVENTS`, "" for the gas phase; the free atoms stay in the gas phase.
        max_iterations: of one SCF.
    """

    method: str = "GFN2-xTB"
    solvent: str = ""
    max_iterations: int = 250

    methods: ClassVar[tuple[str, ...]] = METHODS

    def __post_init__(self) -> None:
        super().__post_init__()
        self.choose("method", self.methods)
        self.choose("solvent", ("", *SOLVENTS))
        self.count("max_iterations", 1)
        self.check_installed()

    @property
    def targets(self) -> tuple[str, ...]:
        """The usual properties, frontier orbitals (eV) and dipole moment (Debye)."""
        return (*super().targets, "homo", "lumo", "gap", "mu")

    def observed(self, atoms: Atoms) -> dict[str, float]:
        """HOMO, LUMO and gap (eV) and dipole moment (Debye) of atoms that were just computed."""
        return observables(atoms)

    @property
    def binding(self) -> str:
        """The package that computes."""
        return self.engine

    @property
    def version(self) -> str:
        """The package that computes, with its version."""
        return f"{self.binding} {version(self.binding)}"

    @property
    def equal_versions(self) -> tuple[str, ...]:
        """Other packages that give the same labels: what a cache has of them is of use."""
        return ()

    def check_installed(self) -> None:
        """Check that a package is installed that can compute this.

        Raises:
            ConfigError: none is.
        """
        if find_spec(self.binding) is None:
            raise self.error(
                f"it needs the package {self.binding}, which is not installed: pip install {self.binding}"
            )

    def method_name(self) -> str:
        """The method, with the solvent and its model unless it is the gas phase."""
        return f"{self.method} {self.solvation_name()}({self.solvent})" if self.solvent else self.method

    def solvation_name(self) -> str:
        """Name of the model of the solvent."""
        return "GBSA"

    def free_atoms(self, molecule: Molecule) -> float:
        """Total energy of the free atoms in the gas phase by the same method, eV."""
        return atom_energies(self.method, molecule.numbers, molecule.smiles)
