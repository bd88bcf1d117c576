"""Frontier orbitals and dipole moments of neutral closed-shell molecules, from what an ASE calculator has."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError
from ase.units import Debye, Hartree


def observables(atoms: Atoms) -> dict[str, float]:
    """What a calculator says of a molecule that it has just computed, besides its energy.

    Returns:
        ``homo``, ``lumo`` and ``gap`` (eV), ``mu`` (Debye): those that it has.
    """
    found: dict[str, float] = {}
    if (frontier := _frontier(atoms.calc)) is not None:
        found |= {"homo": frontier[0], "lumo": frontier[1], "gap": frontier[1] - frontier[0]}
    if (dipole := atoms.calc.results.get("dipole")) is not None:  # e Å
        found["mu"] = float(np.linalg.norm(dipole)) / Debye
    return found


def _frontier(calculator: Any) -> tuple[float, float] | None:
    """HOMO and LUMO in eV; None where the calculator does not say them, or has no empty orbital."""
    results = calculator.results
    if "homo" in results and "lumo" in results:  # eV, as all of ASE's energies
        return float(results["homo"]), float(results["lumo"])
    # xtb-python's and tblite's calculators keep what else they know to themselves.
    result: Any = getattr(calculator, "_res", None)
    if hasattr(result, "get_orbital_eigenvalues"):
        try:
            return _of_levels(result.get_orbital_eigenvalues(), result.get_orbital_occupations())
        except Exception:  # xtb-python has no orbitals of a force field, and raises its own error
            return None
    if hasattr(result, "get"):
        return _of_levels(result.get("orbital-energies"), result.get("orbital-occupations"))
    if hasattr(calculator, "get_homo_lumo"):  # GPAW's, eV
        try:
            homo, lumo = calculator.get_homo_lumo()
        except (PropertyNotImplementedError, NotImplementedError):
            return None
        return float(homo), float(lumo)
    return None


def _of_levels(energies: Any, occupations: Any) -> tuple[float, float] | None:
    """HOMO and LUMO of a closed shell in eV: smearing moves electrons between orbitals, not their number.

    Args:
        energies: ``(k,)`` Hartree, ascending.
        occupations: ``(k,)`` electrons.
    """
    levels = np.asarray(energies, dtype=np.float64) * Hartree
    pairs = round(float(np.sum(occupations)) / 2)
    if not 0 < pairs < len(levels):
        return None
    return float(levels[pairs - 1]), float(levels[pairs])
