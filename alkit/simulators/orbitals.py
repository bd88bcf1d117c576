"""Frontier orbitals and dipole moments of neutral closed-shell molecules, from what an ASE calculator has."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from ase import Atoms
from ase.units import Debye, Hartree


def observables(atoms: Atoms) -> dict[str, float]:
    """Properties of a molecule that a calculator has just computed, besides its energy.

    Returns:
        ``homo``, ``lumo`` and ``gap`` (eV), ``mu`` (Debye): those that it has as finite numbers.
    """
    found: dict[str, float] = {}
    if (frontier := _frontier(atoms.calc)) is not None:
        found |= {"homo": frontier[0], "lumo": frontier[1], "gap": frontier[1] - frontier[0]}
    if np.shape(dipole := atoms.calc.results.get("dipole")) == (3,):  # e Å
        found["mu"] = float(np.linalg.norm(dipole)) / Debye
    return {name: value for name, value in found.items() if math.isfinite(value)}


def _frontier(calculator: Any) -> tuple[float, float] | None:
    """HOMO and LUMO in eV; None where the calculator does not say them, or has no empty orbital."""
    own = [calculator.results.get(name) for name in ("homo", "lumo")]  # eV, as all of ASE's energies
    if all(isinstance(one, int | float | np.number) for one in own):
        return float(own[0]), float(own[1])
    # xtb-python's and tblite's calculators keep their orbitals to themselves.
    package, result = type(calculator).__module__.partition(".")[0], getattr(calculator, "_res", None)
    if package == "xtb" and result is not None:
        return _of_levels(result.get_orbital_eigenvalues(), result.get_orbital_occupations())
    if package == "tblite" and result is not None:
        return _of_levels(result.get("orbital-energies"), result.get("orbital-occupations"))
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
