"""Isolated atoms: what a total energy is counted from to make an atomization energy."""

from __future__ import annotations

import numpy as np

from alkit.errors import LabelError
from alkit.molecules.free_atoms import ATOM_ENERGIES

# Unpaired electrons of the ground state.
UNPAIRED = {1: 1, 5: 1, 6: 2, 7: 3, 8: 2, 9: 1, 14: 2, 15: 3, 16: 2, 17: 1, 35: 1, 53: 1}


def atom_energies(method: str, numbers: np.ndarray, smiles: str) -> float:
    """Sum of the isolated atoms' energies in eV; `LabelError` "unsupported_element" where one is unknown."""
    known = ATOM_ENERGIES[method]
    if unknown := sorted({int(z) for z in numbers} - set(known)):
        raise LabelError("unsupported_element", f"{smiles}: no {method} atom energy for Z = {unknown}")
    return float(sum(known[int(z)] for z in numbers))
