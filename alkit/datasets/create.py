"""Molecules with geometry and labels in an ASE SQLite database.

The file is an ordinary ``ase.db`` database (``ase db file.db`` works on it) with the metadata that
schnetpack's ``ASEAtomsData`` asks for. Energies are in eV, lengths in Å. Each row holds

* the atoms: numbers, and positions in Å. They are NaN where the source has no geometry: a calculation on them
  by mistake gives no plausible number;
* key-value pairs: ``smiles`` (the molecule's identity: canonical, with stereo marks if the source has them)
  and ``gdb_id`` (0 where unknown);
* data: the labels, each an array of shape (1,), under schnetpack's names of QM9's properties; ``forces``,
  where the source has them, of shape (n, 3), eV/Å.

The metadata say of each property what it is: unit, kind and level of theory.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from alkit.datasets.database_rows import FORCES, MAX_Z
from alkit.errors import DataError
from alkit.properties import TABLE

ALIASES = {name: one.stored for one in TABLE for name in (one.name, *one.also) if name != one.stored}
"""QM9's own short names and schnetpack's; both are understood wherever a property is named."""

GEOMETRIES = ("dataset", "none")
_FORCES_UNIT = "eV/Ang"
FITTED = "fitted to the data"  # `Property.references` of atoms that are estimated
FORMAT, READABLE = 2, (1, 2)  # 1: one row a molecule, and no word on each property


@dataclass(frozen=True)
class Property:
    """The meaning of one property's numbers.

    Attributes:
        unit: that they are stored in; eV of energies.
        kind: ``total`` or ``atomization`` energies, or another number: ``extensive``, ``intensive``, or
            ``scalar`` where nobody says which of these two.
        level: level of theory.
        references: where the energies of the isolated atoms come from, in words; empty where there are none.
    """

    unit: str
    kind: str
    level: str
    references: str = ""

    @property
    def full_level(self) -> str:
        """The level's name; energies from fitted atoms are a level of their own."""
        return f"{self.level} (atoms fitted)" if self.references == FITTED else self.level

    @property
    def is_energy(self) -> bool:
        """Whether it has an atomization energy."""
        return self.kind in ("total", "atomization")


@dataclass(frozen=True, eq=False)
class Record:
    """One molecule on its way into a database.

    Attributes:
        smiles: canonical SMILES.
        numbers: (n,) atomic numbers.
        positions: (n, 3) Å, or None.
        labels: value of each property, in the database's units.
        gdb_id: QM9's index, from 1; 0 if unknown.
        forces: (n, 3) eV/Å, or None.
    """

    smiles: str
    numbers: np.ndarray
    positions: np.ndarray | None
    labels: Mapping[str, float] = field(default_factory=dict)
    gdb_id: int = 0
    forces: np.ndarray | None = None


def refuse_database(database: Path) -> None:
    """Check that a new database can be written here.

    Raises:
        DataError: it cannot.
    """
    if database.suffix != ".db":
        raise DataError(f"The database {database} must end in .db: ASE and schnetpack tell it by that.")
    if database.exists():
        raise DataError(f"{database} is already there; move it away or name another file.")
    if not database.parent.is_dir():
        raise DataError(f"There is no folder {database.parent} to write {database.name} to.")


def create_database(
    path: Path,
    records: Iterable[Record],
    *,
    units: Mapping[str, str],
    level: str,
    geometry: str,
    source: str,
    atomrefs: Mapping[str, Mapping[int, float]] | None = None,
    atomization: bool = False,
    properties: Mapping[str, Property] | None = None,
    forces_of: str = "",
) -> int:
    """Write a new database at ``path``, which must not exist; returns the number of rows.

    Args:
        path: of the file; it must not exist.
        records: one a row.
        units: name and unit of every property; each record must have them all.
        level: level of theory of the labels and, unless ``geometry`` is "none", of the geometry.
        geometry: "dataset" if the records have positions, "none" if they do not.
        source: where the data come from, for people.
        atomrefs: property -> atomic number -> value of the isolated atom at the same level, in the property's
            unit.
        atomization: the labels are energies less those of the isolated atoms.
        properties: what each of ``units`` is, where they differ.
        forces_of: the energy whose negative gradient the records' forces are; empty where they have none.

    Raises:
        DataError: the file cannot be written, or a record lacks a property.
    """
    from ase.db import connect

    if geometry not in GEOMETRIES:
        raise DataError(f"geometry is {geometry!r}; it must be one of {', '.join(GEOMETRIES)}.")
    written = 0
    try:
        # One transaction for all rows: a commit for each would take minutes.
        with connect(str(path), type="db", append=False, use_lock_file=False) as database:
            database.metadata = {
                "_property_unit_dict": dict(units) | ({FORCES: _FORCES_UNIT} if forces_of else {}),
                "_distance_unit": "Ang",
                "atomrefs": {
                    name: _by_number(values) for name, values in (atomrefs or {}).items() if name in units
                },
                "alkit": {
                    "format": FORMAT,
                    "level": level,
                    "geometry": geometry,
                    "source": source,
                    "atomization": atomization,
                    "properties": {name: asdict(one) for name, one in (properties or {}).items()},
                    "forces_of": forces_of,
                },
            }
            for record in records:
                _write_record(database, record, units, with_forces=bool(forces_of))
                written += 1
    except (OSError, sqlite3.Error) as error:
        raise DataError(f"Cannot write the database {path}: {error}.") from error
    return written


def _write_record(database: Any, record: Record, units: Mapping[str, str], *, with_forces: bool) -> None:
    from ase import Atoms

    positions = record.positions
    if positions is None:
        positions = np.full((len(record.numbers), 3), np.nan)
    if missing := [name for name in units if name not in record.labels]:
        raise DataError(f"{record.smiles} has no {', '.join(missing)}; every row needs all labels.")
    data = {name: np.array([record.labels[name]], dtype=np.float64) for name in units}
    if with_forces:
        if record.forces is None:
            raise DataError(f"{record.smiles} has no forces; every row needs them.")
        data[FORCES] = np.asarray(record.forces, dtype=np.float64)
    database.write(
        Atoms(numbers=record.numbers, positions=positions),
        key_value_pairs={"smiles": record.smiles, "gdb_id": int(record.gdb_id)},
        data=data,
    )


def _by_number(values: Mapping[int, float]) -> list[float]:
    return [float(values.get(z, 0.0)) for z in range(MAX_Z)]
