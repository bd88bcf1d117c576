"""The meaning of a file's numbers: property, unit, kind and level of theory, stated or asked for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from ase.units import Bohr

from alkit.datasets.create import ALIASES, FORCES, Property
from alkit.datasets.importing.options import KINDS, ImportOptions, of_each
from alkit.datasets.importing.rows import Row, Source
from alkit.errors import DataError
from alkit.molecules.energies import ATOMIZATION_ENERGIES, UNITS, Reading, read_as, unit_of
from alkit.molecules.scalars import stored_unit, units_of
from alkit.properties import known

_LENGTHS = {"ang": 1.0, "angstrom": 1.0, "å": 1.0, "a": 1.0, "bohr": Bohr, "a0": Bohr}
_LOOK = 200  # rows that are looked at to say what numbers look like


@dataclass(frozen=True)
class Column:
    """One number of a file and what becomes of it.

    Attributes:
        column: its name in the file.
        name: its name in the database.
        short: its name as the user says it.
        unit: in the file.
        factor: from it to the unit that is stored.
        property: what is stored.
    """

    column: str
    name: str
    short: str
    unit: str
    factor: float
    property: Property

    def of(self, row: Row) -> float:
        """The number of a row, as it will be stored.

        Raises:
            DataError: there is none, or it is not finite.
        """
        return as_number(row.values.get(self.column), self.column) * self.factor


class Forces(NamedTuple):
    """The column or array with the forces of a file, and its factor to eV/Å, negative for gradients."""

    column: str
    factor: float

    def of(self, row: Row) -> np.ndarray:
        """``(n, 3)`` eV/Å. Raises DataError where they are missing or damaged."""
        values = row.values.get(self.column)
        if values is None or row.numbers is None:
            raise DataError(f"it has no {self.column}")
        try:
            forces = np.asarray(values, dtype=np.float64).reshape(-1, 3) * self.factor
        except (ValueError, TypeError):
            raise DataError(f"its {self.column} are not three numbers an atom") from None
        if len(forces) != len(row.numbers):
            raise DataError(f"it has {len(row.numbers)} atoms and {self.column} of {len(forces)}")
        if not np.isfinite(forces).all():
            raise DataError(f"a number of its {self.column} is not finite")
        return forces


def as_number(value: Any, name: str) -> float:
    """A finite float of a number, an array of one or a text. Raises DataError."""
    if value is None or (isinstance(value, str) and not value.strip()):
        raise DataError(f"it has no {name}")
    try:
        number = float(np.asarray(value).item()) if not isinstance(value, str) else float(value.split()[0])
        if isinstance(value, str) and len(value.split()) > 1:
            number = math.nan
    except (ValueError, TypeError):
        number = math.nan
    if not math.isfinite(number):
        raise DataError(f"its {name} is {str(value)!r:.60}, not a finite number")
    return number


def full_name(name: str) -> str:
    """The database's name of a property."""
    return ALIASES.get(name, name)


def columns_of(
    source: Source, options: ImportOptions, head: Sequence[tuple[Row, Any]], what: str
) -> list[Column]:
    """The columns to import, with all that must be known of them.

    Args:
        source: the files, opened.
        options: of the import.
        head: the first rows with their ``(n,)`` atomic numbers.
        what: names the files in messages.

    Raises:
        DataError: no such column; unit, kind or level are not known: says what the numbers look like.
    """
    given = options.properties or ((source.default,) if source.default else _usual(source, what))
    pairs = [_pair(text) for text in given]
    if len({full_name(name) for _, name in pairs}) < len(pairs):
        raise DataError("--property names a property twice; each needs a name of its own.")
    names = tuple(name for _, name in pairs)
    stated = {
        "--unit": of_each(options.units, names, "--unit"),
        "--kind": of_each(options.kinds, names, "--kind"),
        "--level": of_each(options.levels, names, "--level"),
    }
    found = []
    for column, name in pairs:
        if not any(column in row.values for row, _ in head):
            has = ", ".join(source.names) or ", ".join(
                dict.fromkeys(k for row, _ in head for k in row.values)
            )
            raise DataError(f"{what} has no {column!r} (--property); it has {has or 'no numbers'}.")
        unit = stated["--unit"].get(name) or source.units.get(column, "")
        kind = stated["--kind"].get(name) or source.kinds.get(column, "") or _usual_kind(name, unit)
        level = stated["--level"].get(name) or source.levels.get(column, "")
        _check(column, name, unit, kind, level, head, what)
        factor, stored = _stored(name, unit, kind)
        found.append(Column(column, full_name(name), name, unit, factor, Property(stored, kind, level)))
    return found


def _usual(source: Source, what: str) -> tuple[str, ...]:
    """The properties to import where the user names none: those with a known unit, or the energy."""
    known = [name for name in source.units if name != FORCES and not name.endswith("forces")]
    if "energy" in known and "free_energy" in known:  # ASE's: equal, but for a smeared occupation
        known.remove("free_energy")
    if known:
        return tuple(known)
    raise DataError(
        f"{what}: say which of its numbers is which property with --property COLUMN=NAME, such as --property "
        f"E=u0 (with zero-point energy) or E=energy (electronic); it has {', '.join(source.names) or 'none'}."
    )


def _pair(text: str) -> tuple[str, str]:
    column, sign, name = text.rpartition("=")
    if not sign:
        return text, text
    if not column or not name:
        raise DataError(f"--property is {text!r}; COLUMN=NAME is expected, such as E=u0.")
    return column, name


def _usual_kind(name: str, unit: str) -> str:
    """The kind of a property that is no energy, where alkit knows it; an energy's must be said."""
    if (named := known(name)) is not None:
        return "" if named.kind == "energy" else named.kind
    return "scalar" if unit and not _is_energy_unit(unit) else ""


def _is_energy_unit(unit: str) -> bool:
    try:
        return bool(unit_of(unit))
    except DataError:
        return False


def _check(
    column: str, name: str, unit: str, kind: str, level: str, head: Sequence[tuple[Row, Any]], what: str
) -> None:
    if kind and kind not in KINDS:
        raise DataError(f"--kind of {name} is {kind!r}; it is one of {', '.join(KINDS)}.")
    energy = kind in ("total", "atomization")
    if name.removeprefix("energy_").lower() in ATOMIZATION_ENERGIES and kind and not energy:
        raise DataError(f"--kind of {name} is {kind}, and {name} is an energy: total or atomization.")
    if energy and (named := known(name)) is not None and named.kind != "energy":
        raise DataError(
            f"--kind of {name} is {kind}, and {name}, the {named.what}, is {named.kind}; leave out --kind."
        )
    if energy and unit and not _is_energy_unit(unit):
        raise DataError(f"--unit of {name} is {unit!r}; a {kind} energy is in one of {', '.join(UNITS)}.")
    missing = []
    if not unit:
        missing.append(f"--unit ({', '.join(units_of(name))})")
    if not kind:
        missing.append("--kind (total, atomization; extensive or intensive for what is no energy)")
    if not level:
        missing.append('--level (such as "PBE0/def2-TZVP")')
    if missing:
        looks = reading_of(column, head)
        seems = f" The numbers look like {looks}: --unit {looks.unit} --kind {looks.kind}." if looks else ""
        if looks and looks.kind not in KINDS:
            seems = f" The numbers look like {looks}."
        raise DataError(f"{what}, {column}: give {', '.join(missing)}.{seems}")


def reading_of(column: str, head: Sequence[tuple[Row, Any]]) -> Reading | None:
    """A guess at what the numbers of a column are."""
    values, compositions = [], []
    for row, numbers in head[:_LOOK]:
        try:
            values.append(as_number(row.values.get(column), column))
            compositions.append(numbers)
        except DataError:
            continue
    return read_as(np.array(values), compositions) if values else None


def _stored(name: str, unit: str, kind: str) -> tuple[float, str]:
    """The factor to the unit that is stored, and its name: eV of everything that is an energy."""
    if kind in ("total", "atomization"):
        return unit_of(unit), "eV"
    try:
        return stored_unit(name, unit)
    except DataError as error:
        raise DataError(f"--unit: {error}.") from None


def forces_of(
    source: Source, options: ImportOptions, columns: Sequence[Column], head: Sequence[tuple[Row, Any]]
) -> Forces | None:
    """The forces of a file: those that the user names, or those that it calls so with their unit.

    Raises:
        DataError: there is no energy that they could belong to, or an unknown unit.
    """
    energies = [column for column in columns if column.property.is_energy]
    name = options.forces or options.gradients
    if name is None:
        everywhere = head and all(FORCES in row.values for row, _ in head)
        if FORCES not in source.units or not everywhere or not energies:
            return None
        name = FORCES
    if not energies:
        raise DataError("Forces are the gradient of an energy, and no --property is one.")
    if not any(name in row.values for row, _ in head):
        raise DataError(f"There is no {name!r} (--{'forces' if options.forces else 'gradients'}).")
    default = f"{energies[0].unit}/{'bohr' if length_of(source, options) != 1.0 else 'Ang'}"
    factor = force_unit(options.forces_unit or source.units.get(name) or default)
    return Forces(name, -factor if options.gradients else factor)


def without_forces(source: Source, head: Sequence[tuple[Row, Any]]) -> int:
    """How many of the first rows have no forces, where others have some that the file says the unit of."""
    missing = sum(FORCES not in row.values for row, _ in head)
    return missing if FORCES in source.units and missing < len(head) else 0


def force_unit(unit: str) -> float:
    """eV/Å in one ``unit``, such as "kcal/mol/Ang" or "hartree/bohr". Raises DataError."""
    energy, slash, length = unit.rpartition("/")
    if not slash or length.lower() not in _LENGTHS:
        raise DataError(
            f"--forces-unit is {unit!r}; ENERGY/Ang or ENERGY/bohr is expected, such as hartree/bohr."
        )
    return unit_of(energy) / _LENGTHS[length.lower()]


def length_of(source: Source, options: ImportOptions) -> float:
    """Å in the unit of the positions.

    Raises:
        DataError: the file has another unit.
    """
    if not source.length:
        return float(Bohr) if options.length == "bohr" else 1.0
    if source.length.lower() not in _LENGTHS:
        raise DataError(f"Lengths are in {source.length!r}; alkit reads Å and Bohr.")
    return float(_LENGTHS[source.length.lower()])


def described(columns: Sequence[Column]) -> Mapping[str, str]:
    """Units by property, as the database names them."""
    return {column.name: column.property.unit for column in columns}
