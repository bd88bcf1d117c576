"""Energies of the isolated atoms at a level of theory: alkit's tables, QM9's, or a user's file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from alkit.datasets.qm9_forms import ATOMREFS
from alkit.datasets.qm9_forms import LEVEL as QM9_LEVEL
from alkit.errors import DataError
from alkit.molecules.free_atoms import ATOM_ENERGIES

QM9_NAME = "QM9"


def atom_energies(level: str) -> dict[int, float]:
    """Tabulated energies of the isolated atoms in eV, by atomic number.

    Args:
        level: of a model's labels, such as "GFN2-xTB u0 [eV]".

    Raises:
        DataError: alkit has no table for that level.
    """
    for method, energies in ATOM_ENERGIES.items():
        if level.startswith(f"{method} "):
            return dict(energies)
    if level.startswith(f"{QM9_LEVEL} u0"):
        return dict(ATOMREFS["energy_U0"])
    raise DataError(
        f"There is no table of atom energies for {level}; tables: {', '.join(ATOM_ENERGIES)}, "
        f"{QM9_LEVEL} u0. Export atomization energies instead."
    )


def read_references(name: str, unit: float) -> dict[int, float]:
    """Energies of the isolated atoms in eV, by atomic number.

    Args:
        name: "QM9" (U0 at B3LYP/6-31G(2df,p)), a method that alkit has atoms of ("GFN2-xTB"), or a JSON file.
            The file has energies by element symbol, ``{"H": -0.5, "C": -37.8}``.
        unit: eV in the unit of the file's energies.

    Raises:
        DataError: no such table, or a file that is none.
    """
    if name.upper() == QM9_NAME:
        return dict(ATOMREFS["energy_U0"])
    for method, energies in ATOM_ENERGIES.items():
        if name.lower() == method.lower():
            return dict(energies)
    if name.lower() == "fit":
        raise DataError(
            "--references fit is for `alkit data import`: import the table first, then learn from it."
        )
    path = Path(name)
    if not path.is_file():
        raise DataError(
            f"--references {name} is neither a file nor a table of alkit's; tables: {QM9_NAME}, "
            f"{', '.join(ATOM_ENERGIES)}."
        )
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        return {_atomic_number(symbol): _number(energy) * unit for symbol, energy in table.items()}
    except (OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise DataError(
            f"{path} is no table of atom energies ({error}); it is JSON of energies by element symbol, "
            'such as {"H": -0.5, "C": -37.8}.'
        ) from error


def _atomic_number(symbol: str) -> int:
    from ase.data import atomic_numbers

    if symbol not in atomic_numbers:
        raise ValueError(f"{symbol!r} is no element")
    return int(atomic_numbers[symbol])


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
        raise ValueError(f"{value!r:.40} is no energy")
    return float(value)
