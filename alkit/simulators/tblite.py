"""Labels by GFN2-xTB and GFN1-xTB through tblite's ASE calculator: the same numbers as xtb-python's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from ase import Atoms

from alkit.simulators.gfn import SOLVENTS, GFNSimulator

_SOLVATION = {"gbsa": "GBSA", "alpb": "ALPB", "cpcm": "CPCM"}


@dataclass(kw_only=True)
class TBLiteSimulator(GFNSimulator):
    """GFN labels by tblite.

    Other settings are those of `GFNSimulator`.

    Args:
        solvation: the model of the solvent: "gbsa" (as xtb-python has it), "alpb" or "cpcm" (the dielectric
            alone).
    """

    solvation: str = "gbsa"

    engine: ClassVar[str] = "tblite"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.choose("solvation", tuple(_SOLVATION))

    def solvation_name(self) -> str:
        """Name of the model of the solvent, as the level of theory has it."""
        return _SOLVATION[self.solvation]

    def new_calculator(self) -> Any:
        """A calculator of tblite with this method and solvent."""
        return calculator(method=self.method, max_iterations=self.max_iterations, solvation=self._solvation())

    def bond_orders(self, atoms: Atoms) -> np.ndarray | None:
        """Wiberg bond orders ``(n, n)`` of atoms that were just computed."""
        return bond_orders(atoms)

    def _solvation(self) -> tuple[str, ...] | None:
        if not self.solvent:
            return None
        name = SOLVENTS[self.solvent]
        return ("ddX", name, "cpcm") if self.solvation == "cpcm" else (self.solvation, name)


def calculator(*, method: str, max_iterations: int, solvation: tuple[str, ...] | None = None) -> Any:
    """Make a calculator of tblite.

    The import is here so that the library loads after a worker has set its threads.
    """
    from tblite.ase import TBLite

    return TBLite(method=method, max_iterations=max_iterations, solvation=solvation, verbosity=0)


def bond_orders(atoms: Atoms) -> np.ndarray:
    """Wiberg bond orders ``(n, n)`` of atoms that tblite's calculator has just computed."""
    return np.asarray(atoms.calc.results["bond-orders"]).sum(axis=-1)  # over the spins
