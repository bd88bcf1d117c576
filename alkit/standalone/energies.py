"""Energies of people's own tables, in any unit and counted from anywhere, as atomization energies in eV."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alkit.config.words import Energy
from alkit.datasets.qm9 import ATOMREFS
from alkit.datasets.qm9 import LEVEL as QM9_LEVEL
from alkit.errors import DataError
from alkit.molecules.energies import Reading, check_energies, unit_of
from alkit.simulators.references import ATOM_ENERGIES

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
        name: "QM9" (U0 at B3LYP/6-31G(2df,p)), a method that alkit has atoms of ("GFN2-xTB"), or a JSON file
            of energies by element symbol, ``{"H": -0.5, "C": -37.8}``.
        unit: eV in the unit of the file's energies.

    Raises:
        DataError: no such table, or a file that is none.
    """
    if name.upper() == QM9_NAME:
        return dict(ATOMREFS["energy_U0"])
    for method, energies in ATOM_ENERGIES.items():
        if name.lower() == method.lower():
            return dict(energies)
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


def as_atomization(
    values: NDArray[np.float64],
    compositions: list[NDArray[np.int64]],
    *,
    unit: str | None,
    kind: Energy | None,
    references: str | None,
    what: str,
    names: list[str],
    charges: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Atomization energies ``(n,)`` in eV of a table's ``values``.

    Args:
        values: ``(n,)`` in ``unit``.
        compositions: ``n`` arrays of atomic numbers.
        unit: of `alkit.molecules.energies.UNITS`; eV where the user names none.
        kind: "total" energies count from separate nuclei and electrons, and need ``references``.
        references: see `read_references`.
        what: names file and column in messages.
        names: ``n`` SMILES, for messages.
        charges: ``(n,)``.

    Raises:
        DataError: energies that no molecule has, with what they look like; references that are missing.
    """
    factor = unit_of(unit or "eV")
    energies = np.asarray(values, dtype=np.float64) * factor
    if kind != "total" and references:
        raise DataError("--references are the atoms of total energies; give --kind total, or leave them out.")
    if kind == "total":
        if not references:
            raise DataError(
                f"--kind total needs the energies of the isolated atoms at the same level: --references "
                f"{QM9_NAME}, {', '.join(ATOM_ENERGIES)}, or a JSON file such as "
                '{"H": -0.5, "C": -37.8} in the same unit.'
            )
        atoms = read_references(references, factor)
        if missing := sorted({int(z) for numbers in compositions for z in numbers} - set(atoms)):
            raise DataError(f"--references {references} has no energy of the element with Z = {missing[0]}.")
        energies = energies - [sum(atoms[int(z)] for z in numbers) for numbers in compositions]
    check_energies(energies, compositions, what, names=names, charges=charges, advice=_advice(unit, kind))
    return energies


def _advice(unit: str | None, kind: Energy | None) -> Any:
    def advice(reading: Reading) -> str:
        if kind == "total":
            return " Are the references those of the same level?"
        if unit is not None and reading.kind == "atomization" and unit_of(unit) != 1.0:
            return f" They were taken to be in {unit}."
        options = [] if reading.unit == "eV" else [f"--unit {reading.unit}"]
        if reading.kind == "total":
            options.append("--kind total --references FILE")
        if reading.kind in ("of the other sign", "per atom"):
            return " Bound molecules have negative energies, of the whole molecule; change the column."
        return f" Give {' '.join(options)}."

    return advice


def _atomic_number(symbol: str) -> int:
    from ase.data import atomic_numbers

    if symbol not in atomic_numbers:
        raise ValueError(f"{symbol!r} is no element")
    return int(atomic_numbers[symbol])


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
        raise ValueError(f"{value!r:.40} is no energy")
    return float(value)
