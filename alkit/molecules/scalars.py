"""Properties that are no energies of atomization: their units, and the values that a molecule can have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from ase import units
from numpy.typing import NDArray

from alkit.errors import DataError
from alkit.molecules.energies import UNITS as ENERGY_UNITS
from alkit.molecules.energies import Numbers, unit_of
from alkit.properties import known, short_name

_DEBYE, _BOHR = units.Debye, units.Bohr  # e Å, Å
_IN_EV = ("homo", "lumo", "gap", "zpve")
# By property, units by name: what one of them is in the property's own unit.
_UNITS: dict[str, Mapping[str, float]] = {
    **dict.fromkeys(_IN_EV, ENERGY_UNITS),
    **{name: {"GHz": 1.0, "MHz": 1e-3, "cm-1": units._c * 1e-7} for name in ("A", "B", "C")},
    "mu": {"Debye": 1.0, "D": 1.0, "e*Ang": 1 / _DEBYE, "e Ang": 1 / _DEBYE, "e*a0": _BOHR / _DEBYE,
           "a.u.": _BOHR / _DEBYE},
    "alpha": {"a0 a0 a0": 1.0, "a0^3": 1.0, "a.u.": 1.0, "Ang^3": _BOHR**-3},
    "r2": {"a0 a0": 1.0, "a0^2": 1.0, "a.u.": 1.0, "Ang^2": _BOHR**-2},
    "cv": {"cal/mol/K": 1.0, "J/mol/K": units.kJ / units.kcal},
}  # fmt: skip
# Values that a molecule can have, in the property's unit, however odd it is: a sign, and a size that no unit
# mix-up upwards leaves.
_BOUNDS = {
    "A": (0.0, np.inf), "B": (0.0, np.inf), "C": (0.0, np.inf), "mu": (0.0, 100.0), "alpha": (0.0, 1e5),
    "homo": (-40.0, 10.0), "lumo": (-40.0, 40.0), "gap": (0.0, 60.0), "r2": (0.0, np.inf),
    "zpve": (0.0, 1e3), "cv": (0.0, 1e5),
}  # fmt: skip
# Values of nine in ten molecules, in the property's unit; an atom's share of what grows with the molecule.
_TYPICAL = {"gap": (0.9, 30.0), "homo": (-30.0, -1.5), "zpve": (0.02, 0.5), "alpha": (1.0, 40.0)}
_PER_ATOM = ("zpve", "alpha")
_MOSTLY, _FEW = 0.9, 5
_ABOVE = 1e-6  # eV: rounding, by which a LUMO may lie below its HOMO


def stored_unit(name: str, unit: str) -> tuple[float, str]:
    """The factor to the unit that alkit keeps a property in, and that unit.

    A property of the user's own is kept as it is, but in eV where its unit is one of energy.

    Raises:
        DataError: a unit that the property does not have, or none.
    """
    choice = ", ".join(units_of(name))
    if not unit:
        raise DataError(f"the unit of {name} is not known; give it{f': {choice}' if known(name) else ''}")
    if (named := known(name)) is None or named.name not in _UNITS or named.name in _IN_EV:
        try:
            return unit_of(unit), "eV"
        except DataError:
            if named is None:
                return 1.0, unit
            raise DataError(f"{unit!r} is no unit of {name}; it is in one of {choice}") from None
    for written, factor in _UNITS[named.name].items():
        if _plain(written) == _plain(unit):
            return factor, named.unit
    raise DataError(f"{unit!r} is no unit of {name}; it is in one of {choice}")


def units_of(name: str) -> tuple[str, ...]:
    """Names of the units that a property may be in; of one that alkit does not know, those of energies."""
    return tuple(_UNITS.get(short_name(name), ENERGY_UNITS))


def split_column(name: str) -> tuple[str, str]:
    """Property and unit of a column such as ``gap_eV``; a column that names no unit is its own property."""
    for k, letter in enumerate(name):
        head, tail = name[:k], name[k + 1 :]
        if letter == "_" and known(head) is not None and tail:
            try:
                stored_unit(head, tail)
            except DataError:
                continue
            return head, tail.replace("_", " ")
    return name, ""


def problem_of(name: str, value: float) -> str:
    """Why a molecule cannot have this ``value``, in the property's own unit; empty where it can."""
    if not np.isfinite(value):
        return f"{name} is {value}, not a finite number"
    low, high = _BOUNDS.get(short_name(name), (-np.inf, np.inf))
    if low <= value <= high:
        return ""
    unit = "" if (named := known(name)) is None else f" {named.unit}"
    side = f"less than {low:g}" if value < low else f"more than {high:g}"
    return f"{name} is {value:.6g}{unit}, {side}, which no molecule has"


def problem_of_orbitals(values: Mapping[str, float]) -> str:
    """Why these values, eV by property, cannot be of one molecule; empty where they can."""
    homo, lumo = values.get("homo"), values.get("lumo")
    if homo is None or lumo is None or homo <= lumo + _ABOVE:
        return ""
    return f"homo is {homo:.6g} eV, above lumo, {lumo:.6g} eV"


def check_values(
    name: str,
    values: NDArray[np.float64],
    compositions: Sequence[Numbers],
    what: str,
    *,
    names: Sequence[str],
    factor: float = 1.0,
) -> None:
    """Refuse values of a property that molecules cannot have, or that are in another unit than is said.

    Args:
        name: of the property.
        values: ``(n,)``, in its own unit.
        compositions: ``n`` arrays of atomic numbers.
        what: names the values in the message, such as the file and the column.
        names: of the molecules, ``n``.
        factor: by which they came from the unit that they are said to be in.

    Raises:
        DataError: a molecule cannot have its value, all have the same, or all look like another unit.
    """
    values = np.asarray(values, dtype=np.float64)
    for value, molecule in zip(values.tolist(), names, strict=True):
        if problem := problem_of(name, value):
            raise DataError(f"{what}: of {molecule}, {problem}.")
    if len(values) >= _FEW and np.ptp(values) == 0:
        raise DataError(f"{what}: all {len(values)} values are {values[0]:.6g}; there is nothing to learn.")
    check_unit(name, values, compositions, what, factor=factor)


def check_unit(
    name: str,
    values: NDArray[np.float64],
    compositions: Sequence[Numbers],
    what: str,
    *,
    factor: float = 1.0,
) -> None:
    """Refuse values that look like those of another unit than is said.

    That is where hardly one of them is a usual value of the property, and nine in ten would be in that unit.

    Args:
        name: of the property.
        values: ``(n,)`` in the property's own unit.
        compositions: atomic numbers of each molecule.
        what: names the values in messages.
        factor: by which they came from the unit that they are said to be in.

    Raises:
        DataError: hardly a value is usual for the property, and nine in ten would be in the other unit.
    """
    short = short_name(name)
    if short not in _TYPICAL or len(values) < _FEW:
        return
    low, high = _TYPICAL[short]
    sizes = [len(numbers) if short in _PER_ATOM else 1 for numbers in compositions]
    shares = np.asarray(values, dtype=np.float64) / sizes

    def usual(numbers: NDArray[np.float64]) -> float:
        return float(((low <= numbers) & (numbers <= high)).mean())

    if usual(shares) > 1 - _MOSTLY:
        return
    for unit, other in _UNITS[short].items():
        if usual(shares / factor * other) >= _MOSTLY:
            raise DataError(
                f"{what}: the values look like {name} in {unit}, and were taken to be in another unit; give "
                "that unit, or the property another name."
            )


def _plain(unit: str) -> str:
    return unit.lower().replace("_", " ").replace("^", "").replace("å", "ang").strip()
