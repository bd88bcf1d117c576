"""Atomization energies that a molecule can have, and what numbers that cannot be are instead.

An atomization energy is the molecule's energy less that of its free atoms: negative where it is bound. Each
element has a least and a most, wide enough for every bonding and level of theory. QM9 at B3LYP, GFN1- and
GFN2-xTB, F2, N2 and CO2 alike lie inside, by a factor of 1.5 or more at the weak end. An energy in another
unit, or of another kind, lies outside by a factor of 2 or more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import units
from numpy.typing import NDArray

from alkit.errors import DataError
from alkit.properties import ENERGIES

Numbers = NDArray[np.integer[Any]] | Sequence[int]

UNITS = {  # eV
    "eV": 1.0,
    "hartree": units.Hartree,
    "kcal/mol": units.kcal / units.mol,
    "kJ/mol": units.kJ / units.mol,
    "meV": units.eV / 1000,
}
_ALIASES = {"ha": "hartree", "eh": "hartree", "a.u.": "hartree", "au": "hartree"}
ATOMIZATION_ENERGIES = frozenset(ENERGIES)  # properties with bounds

# eV that an atom adds to the size of an atomization energy, at least and at most.
_LEAST = {
    1: 1.2,
    5: 3.0,
    6: 3.5,
    7: 1.8,
    8: 1.5,
    9: 0.7,
    14: 2.2,
    15: 2.0,
    16: 1.5,
    17: 0.7,
    35: 0.6,
    53: 0.5,
}
_MOST = {
    1: 4.0,
    5: 10.0,
    6: 11.5,
    7: 10.0,
    8: 10.0,
    9: 6.5,
    14: 9.0,
    15: 9.5,
    16: 8.5,
    17: 5.5,
    35: 5.0,
    53: 4.5,
}
_LEAST_OF_OTHERS, _MOST_OF_OTHERS = 0.2, 12.0
_PER_CHARGE = 16.0  # eV: ions count from neutral atoms, so an ionisation energy or electron affinity is in it
# Total energies of free atoms in eV, to recognise total energies by; functionals differ by less than 2 %.
_ALL_ELECTRONS = {
    1: -13.6, 5: -670.9, 6: -1029.9, 7: -1485.3, 8: -2042.6, 9: -2713.5, 14: -7875.0, 15: -9287.0,
    16: -10834.0, 17: -12522.0, 35: -70030.0,
}  # fmt: skip
_VALENCE_ELECTRONS = {
    1: -10.7, 5: -25.9, 6: -48.8, 7: -70.9, 8: -102.5, 9: -125.7, 14: -42.8, 15: -64.6, 16: -85.6, 17: -122.0,
    35: -110.2, 53: -102.8,
}  # fmt: skip
TOTALS = {"all": _ALL_ELECTRONS, "valence": _VALENCE_ELECTRONS}
_TOTAL = (0.97, 1.35)  # of the free atoms' energies; the bonds of a molecule add a few percent to them
_MOSTLY = 0.9  # of the molecules have to agree before a column is called something else
_ELEMENTS = 120
_FEW = 5  # molecules whose energies may by chance be equal


def unit_of(name: str) -> float:
    """The size of a unit in eV, by its name in any case; "Ha" and "Eh" are Hartree.

    Raises:
        DataError: no such unit.
    """
    written = _ALIASES.get(name.lower(), name)
    for unit, value in UNITS.items():
        if unit.lower() == written.lower():
            return value
    raise DataError(f"{name!r} is no unit of energy that alkit knows; use one of {', '.join(UNITS)}.")


def bounds(compositions: Sequence[Numbers], charges: NDArray | int = 0) -> tuple[NDArray, NDArray]:
    """The lowest and the highest atomization energies, ``(n,)`` eV each, of molecules by atomic numbers.

    That of a single neutral atom is 0, within half an eV.

    Args:
        compositions: ``n`` arrays of atomic numbers.
        charges: ``(n,)``, or one for all.
    """
    extra = _PER_CHARGE * np.abs(charges)
    least, most = _sums(_LEAST, _LEAST_OF_OTHERS, compositions), _sums(_MOST, _MOST_OF_OTHERS, compositions)
    atom = np.array([len(numbers) < 2 for numbers in compositions])
    return np.where(atom, -0.5, -most) - extra, np.where(atom, 0.5, -least) + extra


def problem_of(value: float, numbers: Numbers, charge: int = 0) -> str:
    """Why ``value``, eV, cannot be the atomization energy of these atoms; empty where it can."""
    (low,), (high,) = bounds([numbers], charge)
    if low <= value <= high:
        return ""
    return f"{value:.6g} eV, where its {len(numbers)} atoms can have {low:.3g} to {high:.3g} eV"


@dataclass(frozen=True)
class Reading:
    """A guess at the unit and kind of a column of numbers.

    Attributes:
        unit: of `UNITS`.
        kind: "atomization" or "total" energies, or atomization energies "of the other sign" or "per atom".
    """

    unit: str
    kind: str

    def __str__(self) -> str:
        energies = "total energies" if self.kind == "total" else "atomization energies"
        fault = "" if self.kind in ("atomization", "total") else f" {self.kind}"
        return f"{energies}{fault} in {'Hartree' if self.unit == 'hartree' else self.unit}"


def read_as(values: NDArray, compositions: Sequence[Numbers]) -> Reading | None:
    """A guess at what ``(n,)`` numbers of these molecules are, if nine in ten agree."""
    low, high = bounds(compositions)
    sizes = np.array([len(numbers) for numbers in compositions])

    def fits(energies: NDArray) -> bool:
        return bool(((low <= energies) & (energies <= high)).mean() >= _MOSTLY)

    tests: dict[str, Callable[[NDArray], bool]] = {
        "atomization": fits,
        "total": lambda energies: _are_totals(energies, compositions),
        "of the other sign": lambda energies: fits(-energies),
        "per atom": lambda energies: fits(energies * sizes),
    }
    for kind, test in tests.items():
        for unit, factor in UNITS.items():
            if test(np.asarray(values, dtype=np.float64) * factor):
                return Reading(unit, kind)
    return None


def check_energies(
    values: NDArray,
    compositions: Sequence[Numbers],
    what: str,
    *,
    names: Sequence[str],
    charges: NDArray | int = 0,
    advice: Callable[[Reading], str] = lambda reading: "",
) -> None:
    """Refuse atomization energies that molecules cannot have.

    Args:
        values: ``(n,)`` eV.
        compositions: ``n`` arrays of atomic numbers.
        what: names the values in the message, such as the file and the column.
        names: of the molecules, ``n``.
        charges: ``(n,)``, or one for all.
        advice: what is to be done about numbers that look like something else.

    Raises:
        DataError: a molecule cannot have its value, or all have the same; says what the numbers look like.
    """
    values = np.asarray(values, dtype=np.float64)
    if len(values) >= _FEW and np.ptp(values) == 0 and len({len(numbers) for numbers in compositions}) > 1:
        raise DataError(
            f"{what}: all {len(values)} energies are {values[0]:.6g} eV; different molecules differ."
        )
    low, high = bounds(compositions, charges)
    wrong = np.flatnonzero(~((low <= values) & (values <= high)))
    if not len(wrong):
        return
    first = int(wrong[0])
    reading = read_as(values, compositions)
    raise DataError(
        f"{what}: {names[first]} has {values[first]:.6g}, and an atomization energy of it lies between "
        f"{low[first]:.3g} and {high[first]:.3g} eV; "
        + (
            f"{len(wrong)} of {len(values)} molecules have an energy that they cannot have."
            if reading is None or (reading.unit, reading.kind) == ("eV", "atomization")
            else f"the numbers look like {reading}.{advice(reading)}"
        )
    )


def _sums(table: Mapping[int, float], others: float, compositions: Sequence[Numbers]) -> NDArray[np.float64]:
    """``(n,)``, the sum of every molecule's atoms."""
    if not len(compositions):
        return np.zeros(0)
    atoms = np.array([table.get(z, others) for z in range(_ELEMENTS)])
    starts = np.cumsum([0, *(len(numbers) for numbers in compositions[:-1])])
    return np.add.reduceat(atoms[np.concatenate(compositions).astype(np.int64)], starts)


def _are_totals(energies: NDArray, compositions: Sequence[Numbers]) -> bool:
    return bool(electrons_of(energies, compositions))


def electrons_of(energies: NDArray, compositions: Sequence[Numbers]) -> str:
    """Whose total energies ``(n,)`` eV are, if nine molecules in ten agree.

    They are "all" electrons', or the "valence" electrons' alone (semi-empirical methods); empty where
    neither.
    """
    for electrons, atoms in TOTALS.items():
        ratios = np.asarray(energies) / _sums(atoms, np.nan, compositions)
        if ((ratios > _TOTAL[0]) & (ratios < _TOTAL[1])).mean() >= _MOSTLY:
            return electrons
    return ""


def problem_of_total(value: float, numbers: Numbers, electrons: str) -> str:
    """Why a value cannot be the total energy of these atoms.

    Empty where it can, or where an element is not tabulated.

    Args:
        value: eV.
        numbers: atomic numbers.
        electrons: see `electrons_of`.
    """
    atoms = float(_sums(TOTALS[electrons], np.nan, [numbers])[0])
    if np.isnan(atoms) or _TOTAL[0] < value / atoms < _TOTAL[1]:
        return ""
    low, high = atoms * _TOTAL[1], atoms * _TOTAL[0]
    return f"{value:.6g} eV, where its {len(numbers)} atoms have a total of {low:.6g} to {high:.6g} eV"


def typical_atomization(numbers: Numbers) -> float:
    """eV, the middle of what these atoms can have."""
    (low,), (high,) = bounds([numbers])
    return float(low + high) / 2
