"""Molecules with geometry and labels in an ASE SQLite database.

The file is an ordinary ``ase.db`` database (``ase db file.db`` works on it) with the metadata that
schnetpack's ``ASEAtomsData`` asks for. Energies are in eV, lengths in Å. Each row holds

* the atoms: numbers, and positions in Å (NaN where the source has labels but no geometry, so that a
  calculation on them by mistake gives NaN and not a plausible number);
* key-value pairs: ``smiles`` (the molecule's identity: canonical, with stereo marks if the source has them)
  and ``gdb_id`` (0 where unknown);
* data: the labels, each an array of shape (1,), under schnetpack's names of QM9's properties.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, overload

import numpy as np

from alkit.errors import DataError
from alkit.molecules.energies import ATOMIZATION_ENERGIES, check_energies
from alkit.molecules.molecule import canonical_of_any

__all__ = ["ALIASES", "GEOMETRIES", "Dataset", "Record", "create_database"]

ALIASES = {
    "u0": "energy_U0",
    "u298": "energy_U",
    "h298": "enthalpy_H",
    "g298": "free_energy",
    "mu": "dipole_moment",
    "alpha": "isotropic_polarizability",
    "r2": "electronic_spatial_extent",
    "cv": "heat_capacity",
    "A": "rotational_constant_A",
    "B": "rotational_constant_B",
    "C": "rotational_constant_C",
}
"""QM9's own short names and schnetpack's; both are understood wherever a property is named."""

GEOMETRIES = ("dataset", "none")
_FORMAT = 1
_MAX_Z = 100  # schnetpack's atomrefs are lists indexed by atomic number


@dataclass(frozen=True, eq=False)
class Record:
    """One molecule on its way into a database.

    Attributes:
        smiles: canonical SMILES.
        numbers: (n,) atomic numbers.
        positions: (n, 3) Å, or None.
        labels: value of each property, in the database's units.
        gdb_id: QM9's index, from 1; 0 if unknown.
    """

    smiles: str
    numbers: np.ndarray
    positions: np.ndarray | None
    labels: Mapping[str, float] = field(default_factory=dict)
    gdb_id: int = 0


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
) -> int:
    """Write a new database at ``path``, which must not exist; returns the number of rows.

    Args:
        units: name and unit of every property; each record must have them all.
        level: level of theory of the labels and, unless ``geometry`` is "none", of the geometry.
        geometry: "dataset" if the records have positions, "none" if they do not.
        source: where the data come from, for people.
        atomrefs: property -> atomic number -> value of the isolated atom at the same level, in the
        property's unit.
        atomization: the labels are energies less those of the isolated atoms.

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
                "_property_unit_dict": dict(units),
                "_distance_unit": "Ang",
                "atomrefs": {
                    name: _by_number(values) for name, values in (atomrefs or {}).items() if name in units
                },
                "alkit": {
                    "format": _FORMAT,
                    "level": level,
                    "geometry": geometry,
                    "source": source,
                    "atomization": atomization,
                },
            }
            for record in records:
                _write_record(database, record, units)
                written += 1
    except (OSError, sqlite3.Error) as error:
        raise DataError(f"Cannot write the database {path}: {error}.") from error
    return written


def _write_record(database: Any, record: Record, units: Mapping[str, str]) -> None:
    from ase import Atoms

    positions = record.positions
    if positions is None:
        positions = np.full((len(record.numbers), 3), np.nan)
    if missing := [name for name in units if name not in record.labels]:
        raise DataError(f"{record.smiles} has no {', '.join(missing)}; every row needs all labels.")
    database.write(
        Atoms(numbers=record.numbers, positions=positions),
        key_value_pairs={"smiles": record.smiles, "gdb_id": int(record.gdb_id)},
        data={name: np.array([record.labels[name]], dtype=np.float64) for name in units},
    )


def _by_number(values: Mapping[int, float]) -> list[float]:
    return [float(values.get(z, 0.0)) for z in range(_MAX_Z)]


class Dataset:
    """A database opened for reading. All of it is in memory and never changes: safe in threads, cheap to
    pickle.

    Use :meth:`open`. Molecules are numbered from 0 in the order of the file.

    Attributes:
        path: the file.
        smiles: canonical SMILES of each molecule, distinct.
        gdb_ids: (N,) QM9's indices, 0 where unknown.
        level: level of theory of the labels, such as "B3LYP/6-31G(2df,p)".
        geometry: "dataset" if the file holds geometries, "none" if it holds labels only.
        units: property -> unit.
        atomrefs: property -> (100,) values of the isolated atoms by atomic number.
    """

    def __init__(self, path: Path, metadata: Mapping[str, Any], rows: Sequence[tuple[Any, ...]]):
        self.path = path
        self.units: dict[str, str] = dict(metadata["_property_unit_dict"])
        self.level: str = metadata["alkit"]["level"]
        self.geometry: str = metadata["alkit"]["geometry"]
        self.source: str = metadata["alkit"]["source"]
        self._atomization: bool = metadata["alkit"].get("atomization", False)
        if not isinstance(self.level, str) or self.geometry not in GEOMETRIES:
            raise ValueError(f"its level is {self.level!r} and its geometry {self.geometry!r}")
        self.atomrefs = {
            name: np.array(values, dtype=np.float64) for name, values in metadata["atomrefs"].items()
        }
        pairs = [json.loads(row[2]) for row in rows]
        self.smiles: list[str] = [pair["smiles"] for pair in pairs]
        self.gdb_ids = np.array([pair["gdb_id"] for pair in pairs], dtype=np.int64)
        self._index = {smiles: i for i, smiles in enumerate(self.smiles)}
        self._numbers = np.frombuffer(b"".join(row[0] for row in rows), dtype="<i4").astype(np.int64)
        self._positions = np.frombuffer(b"".join(row[1] for row in rows), dtype="<f8").reshape(-1, 3)
        self._ends = np.cumsum([len(row[0]) // 4 for row in rows], dtype=np.int64)
        self._labels = decode_labels([row[3] for row in rows], list(self.units))
        check_rows(rows)
        if not all(isinstance(smiles, str) for smiles in self.smiles):
            raise ValueError("a SMILES is no text")
        if any(len(values) <= self._numbers.max() for values in self.atomrefs.values()):
            raise ValueError(f"there is no energy of the isolated atom {self._numbers.max()}")
        if self.geometry != "none" and not np.isfinite(self._positions).all():
            raise ValueError("a position is not a finite number")
        if not np.isfinite(self._labels).all():
            raise ValueError(f"the label of {self.smiles[_first_bad(self._labels)]} is not a finite number")
        for array in (self._numbers, self._labels, self.gdb_ids, *self.atomrefs.values()):
            array.flags.writeable = False

    @classmethod
    def open(cls, path: Path) -> Dataset:
        """Read a database that :func:`create_database` or :func:`alkit.datasets.import_qm9` wrote.

        Raises:
            DataError: no such file, not such a database, or damaged.
        """
        path = Path(path)
        metadata, rows = read_rows(path)
        if not isinstance(metadata.get("alkit"), dict):
            raise DataError(f"{path} is an ASE database without SMILES and level of theory; import it first.")
        if metadata["alkit"].get("format") != _FORMAT:
            raise DataError(
                f"{path} has format {metadata['alkit'].get('format')}; this alkit reads {_FORMAT}."
            )
        if not rows:
            raise DataError(f"{path} holds no molecules.")
        try:
            return cls(path, metadata, rows)
        except (KeyError, ValueError, TypeError, IndexError, AttributeError, RecursionError) as error:
            raise DataError(f"{path} is damaged ({error}); import the data set again.") from error

    def __len__(self) -> int:
        return len(self.smiles)

    def __contains__(self, smiles: object) -> bool:
        return isinstance(smiles, str) and self._find(smiles) is not None

    def __repr__(self) -> str:
        return f"<Dataset {self.path.name}: {len(self)} molecules, {self.level}, geometry {self.geometry}>"

    def index(self, smiles: str) -> int:
        """Number of the molecule; any SMILES of it will do. Raises KeyError if it is not there."""
        position = self._find(smiles)
        if position is None:
            raise KeyError(smiles)
        return position

    def _find(self, smiles: str) -> int | None:
        if smiles in self._index:
            return self._index[smiles]
        canonical = canonical_of_any(smiles)
        return None if canonical is None else self._index.get(canonical)

    def _atoms(self, i: int) -> slice:
        i = range(len(self))[i]  # negative from the end; IndexError beyond
        return slice(int(self._ends[i - 1]) if i else 0, int(self._ends[i]))

    def numbers(self, i: int) -> np.ndarray:
        """(n,) int64 atomic numbers, in the order of :meth:`positions`."""
        return self._numbers[self._atoms(i)]

    def positions(self, i: int) -> np.ndarray:
        """(n, 3) float64 Å: the data set's own geometry. Raises DataError if it has none."""
        if self.geometry == "none":
            raise DataError(
                f"{self.path} holds labels without geometries, so the geometry 'dataset' is not available; "
                "choose one that is made from the SMILES: etkdg, mmff or xtb."
            )
        return self._positions[self._atoms(i)]

    def property_name(self, name: str) -> str:
        """The property's full name; DataError if the database does not have it."""
        full = name if name in self.units else ALIASES.get(name, name)
        if full not in self.units:
            raise DataError(f"{self.path} has no property {name!r}; it has {', '.join(self.units)}.")
        return full

    @overload
    def target(self, name: str) -> np.ndarray: ...
    @overload
    def target(self, name: str, i: int) -> float: ...
    @overload
    def target(self, name: str, i: Sequence[int] | np.ndarray) -> np.ndarray: ...
    def target(self, name: str, i: int | Sequence[int] | np.ndarray | None = None) -> float | np.ndarray:
        """Labels in the property's unit (energies: eV): one float, or (len(i),), or (N,) without ``i``.

        Raises DataError if the database does not have the property.
        """
        values = self._labels[:, list(self.units).index(self.property_name(name))]
        if i is None:
            return values
        return float(values[i]) if isinstance(i, int | np.integer) else values[np.asarray(i, dtype=np.int64)]

    def atomization(self, name: str = "u0") -> np.ndarray:
        """(N,) eV: the energy minus that of the isolated atoms at the same level; negative means bound.

        Raises:
            DataError: the database has no isolated atoms' values of the property, or of one of its elements;
                or an energy that no molecule has.
        """
        full = self.property_name(name)
        energies = self._atomized(full, name)
        if full.removeprefix("energy_").lower() in ATOMIZATION_ENERGIES:
            compositions = [self.numbers(i) for i in range(len(self))]
            check_energies(
                energies, compositions, f"{self.path}, {full}", names=self.smiles, charges=self._charges()
            )
        return energies

    def _charges(self) -> np.ndarray:
        """(N,) of the SMILES."""
        from rdkit import Chem

        marked = [any(mark in smiles for mark in ("+", "-")) for smiles in self.smiles]
        return np.array(
            [
                Chem.GetFormalCharge(Chem.MolFromSmiles(smiles)) if mark else 0
                for smiles, mark in zip(self.smiles, marked, strict=True)
            ]
        )

    def _atomized(self, full: str, name: str) -> np.ndarray:
        if self._atomization and self.units[full] == "eV":
            return self.target(full)
        references = self.atomrefs.get(full)
        if references is None or self.units[full] != "eV" or not references.any():
            raise DataError(f"{self.path} has no energies of isolated atoms for {name!r}.")
        if unknown := sorted(set(self._numbers[references[self._numbers] == 0.0].tolist())):
            raise DataError(f"{self.path} has no energy of the isolated atom for atomic number(s) {unknown}.")
        starts = np.concatenate([[0], self._ends[:-1]])
        return self.target(full) - np.add.reduceat(references[self._numbers], starts)


def read_rows(path: Path) -> tuple[dict[str, Any], list[tuple[Any, ...]]]:
    """Metadata and (numbers, positions, key_value_pairs, data) of every row of an ASE database, undecoded.

    Read past ``ase.db``, which builds an Atoms object for each row and takes many times longer.

    Raises:
        DataError: no such file, or not an ASE database.
    """
    if not path.is_file():
        raise DataError(f"There is no file {path}.")
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            row = connection.execute("SELECT value FROM information WHERE name = 'metadata'").fetchone()
            query = "SELECT numbers, positions, key_value_pairs, data FROM systems ORDER BY id"
            rows = connection.execute(query).fetchall()
        metadata = json.loads(row[0]) if row else {}
    except (sqlite3.Error, ValueError, TypeError, RecursionError) as error:
        raise DataError(f"{path} is not an ASE SQLite database ({error}).") from error
    if (
        not isinstance(metadata, dict)
        or "_distance_unit" not in metadata
        or not isinstance(units := metadata.get("_property_unit_dict"), dict)
        or not all(isinstance(unit, str) for unit in units.values())
    ):
        raise DataError(f"{path} does not say the units of its properties, so its numbers cannot be used.")
    return metadata, rows


def check_rows(rows: Sequence[tuple[Any, ...]]) -> None:
    """Raises ValueError for a row whose atoms and positions do not fit together, or are no atoms."""
    for number, row in enumerate(rows, 1):
        if not row[0] or 6 * len(row[0]) != len(row[1]):
            raise ValueError(f"row {number} has {len(row[0])} bytes of atoms and {len(row[1])} of positions")
        numbers = np.frombuffer(row[0], dtype="<i4")
        if numbers.min() < 1 or numbers.max() >= _MAX_Z:
            raise ValueError(f"row {number} has atomic number {numbers.min()} or {numbers.max()}")


def _first_bad(values: np.ndarray) -> int:
    return int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])


def decode_labels(blobs: Sequence[Any], names: Sequence[str]) -> np.ndarray:
    """(N, len(names)) float64 from the rows' data. Rows have few layouts, so each is parsed once."""
    values = np.empty((len(blobs), len(names)))
    layouts: dict[bytes, list[tuple[int, str]]] = {}
    for row, blob in enumerate(blobs):
        if isinstance(blob, str):
            raise ValueError("written by an ASE older than 3.19")
        end = int.from_bytes(blob[:8], "little")
        tail = blob[end:]
        if tail not in layouts:
            described = json.loads(tail)
            layouts[tail] = [_place(described[name]["__ndarray__"]) for name in names]
        values[row] = [np.frombuffer(blob, dtype, 1, offset)[0] for offset, dtype in layouts[tail]]
    return values


def _place(described: Sequence[Any]) -> tuple[int, str]:
    """Offset and type of one number, from ASE's (shape, type, offset) of an array."""
    shape, dtype, offset = described
    if int(np.prod(shape)) != 1:
        raise ValueError(f"a label of shape {shape} where one number belongs")
    return offset, dtype
