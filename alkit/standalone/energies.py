"""Energies of people's own tables, in any unit and counted from anywhere, as atomization energies in eV."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from alkit.config.words import Energy
from alkit.datasets.references import QM9_NAME, read_references
from alkit.errors import DataError
from alkit.molecules.energies import Reading, check_energies, unit_of
from alkit.molecules.free_atoms import ATOM_ENERGIES


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
                f"--kind total needs the energies of the isolated atoms at the same level; give --references "
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
