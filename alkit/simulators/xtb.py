"""Labels by GFN2-xTB, GFN1-xTB and the force field GFN-FF, by tblite or by xtb-python.

Where both are installed, tblite computes GFN2-xTB and GFN1-xTB: the same numbers, sooner.

A gradient of 16 atoms on one thread takes xtb-python 6 ms in a fresh API object. It takes 3 ms in a kept
one, whose SCF restarts from the last density. With as many OpenMP threads as cores on a busy machine it
takes 100 times that, so labels use one thread.
"""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any, ClassVar, get_args

import numpy as np
from ase import Atoms
from ase.units import Bohr

from alkit.config.words import GFNMethod
from alkit.errors import LabelError
from alkit.molecules.molecule import Molecule
from alkit.simulators import tblite
from alkit.simulators.bindings import BINDINGS, installed_binding
from alkit.simulators.electrons import FROM_SMILES, Electrons
from alkit.simulators.gfn import SOLVENTS, GFNSimulator
from alkit.simulators.simulator import RELAXED


@dataclass(kw_only=True)
class XTBSimulator(GFNSimulator):
    """GFN labels by xtb-python, or by tblite where only that is installed.

    Other settings are those of `GFNSimulator`. GFN-FF takes its bonds from the geometry that it starts from,
    and its energy counts from free atoms. It has neither charge nor spin nor solvent here.

    Args:
        method: also "GFN-FF".
        solvent: by GBSA.
    """

    engine: ClassVar[str] = "xtb"
    methods: ClassVar[tuple[str, ...]] = get_args(GFNMethod)

    def __post_init__(self) -> None:
        super().__post_init__()
        set_ones = {self.charge, self.unpaired} - {0, FROM_SMILES}
        if self.method == "GFN-FF" and (set_ones or self.solvent):
            raise self.error("GFN-FF is for neutral closed-shell molecules in the gas phase here")

    def check_electrons(self, molecule: Molecule, electrons: Electrons) -> None:
        """Refuse charges and unpaired electrons for GFN-FF.

        Raises:
            LabelError: "unsupported".
        """
        if self.method == "GFN-FF" and (electrons.charge or electrons.unpaired):
            raise LabelError(
                "unsupported", f"{molecule.smiles}: GFN-FF is for neutral closed-shell molecules here"
            )

    @property
    def targets(self) -> tuple[str, ...]:
        """The properties of GFN methods; GFN-FF has no orbitals and no dipole moment."""
        return RELAXED if self.method == "GFN-FF" else super().targets

    def observed(self, atoms: Atoms) -> dict[str, float]:
        """Frontier orbitals (eV) and dipole moment (Debye); none for GFN-FF."""
        return {} if self.method == "GFN-FF" else super().observed(atoms)

    @property
    def binding(self) -> str:
        """The package that computes; empty if none is installed."""
        if self.method == "GFN-FF" and find_spec("xtb") is not None:
            return "xtb"
        return installed_binding()

    @property
    def equal_versions(self) -> tuple[str, ...]:
        """Other installed packages that give the same labels."""
        if self.method == "GFN-FF":
            return ()
        others = (name for name in BINDINGS if name != self.binding and find_spec(name) is not None)
        return tuple(f"{name} {version(name)}" for name in others)

    def check_installed(self) -> None:
        """Check that a package is installed that has the method.

        Raises:
            ConfigError: none is.
        """
        if not self.binding:
            raise self.error("it needs tblite or xtb, and neither is installed: pip install tblite")
        if self.method == "GFN-FF" and self.binding != "xtb":
            raise self.error(
                "GFN-FF needs the package xtb, which is not installed; pip has it for Python 3.11"
            )

    def new_calculator(self) -> Any:
        """A calculator of the installed package, with this method and solvent."""
        solvent = SOLVENTS.get(self.solvent, "none")
        if self.binding == "tblite":
            solvation = ("gbsa", solvent) if self.solvent else None
            return tblite.calculator(
                method=self.method, max_iterations=self.max_iterations, solvation=solvation
            )
        return calculator(method=self.method, max_iterations=self.max_iterations, solvent=solvent)

    def bond_orders(self, atoms: Atoms) -> np.ndarray | None:
        """Wiberg bond orders ``(n, n)`` of atoms that were just computed; None for GFN-FF."""
        if self.binding == "tblite":
            return tblite.bond_orders(atoms)
        result = atoms.calc._res  # the ASE calculator does not pass them on
        return result.get_bond_orders() if self.method != "GFN-FF" else None


def calculator(*, method: str, max_iterations: float, solvent: str = "none") -> Any:
    """xtb-python's calculator; imported here so that the library loads after a worker has set its threads."""
    from xtb.ase.calculator import XTB

    settings = {"method": method, "max_iterations": int(max_iterations), "solvent": solvent}
    return XTB(**settings) if method != "GFN-FF" else _quiet_force_field()(**settings)


def _quiet_force_field() -> Any:
    """A calculator that keeps to itself: the library prints GFN-FF's topology and leaves files behind."""
    from xtb.ase.calculator import XTB
    from xtb.interface import Calculator
    from xtb.libxtb import VERBOSITY_MUTED
    from xtb.utils import get_method

    class Quiet(Calculator):
        def _load(self, param: Any) -> None:
            # It writes where it runs, whatever the settings say.
            with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
                self.set_output("log")
                super()._load(param)
                self.release_output()

    class ForceField(XTB):
        def _create_api_calculator(self) -> Any:
            api = Quiet(get_method("GFN-FF"), self.atoms.numbers, self.atoms.positions / Bohr)
            api.set_verbosity(VERBOSITY_MUTED)
            return api

    return ForceField
