"""Rows of SD files, XYZ files and ASE's files."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from alkit.datasets.formats import Kind
from alkit.datasets.importing.rows import Row, Source, smiles_in
from alkit.datasets.records import geometry_of, has_geometry, read_records
from alkit.datasets.structures import reading_by_ase
from alkit.datasets.xyz import properties_of, read_frames
from alkit.errors import DataError

ASE_UNITS = {"energy": "eV", "free_energy": "eV", "forces": "eV/Ang"}  # of its calculators' results


def records(path: Path, kind: Kind) -> Source:
    """Rows of an SD, MOL or MOL2 file: its data items are the numbers."""
    rows = (_of_record(path, one) for one in read_records(path, kind))
    first = next(rows, None)
    if first is None:
        raise DataError(f"{path} holds no molecules.")
    return Source(_again(first, rows), tuple(first.values))


def _of_record(path: Path, one: Any) -> Row:
    where = f"{path}, {one.where}"
    if one.problem:
        return Row(where, {}, problem=one.problem)
    if not has_geometry(one.mol):
        return Row(where, one.data, one.smiles, name=one.name)
    numbers, positions = geometry_of(one.mol)
    return Row(where, one.data, one.smiles, numbers, positions, name=one.name)


def frames(path: Path) -> Source:
    """Rows of an XYZ file, extended or not: what the comment says by name, and per-atom columns."""
    rows = (
        _row(f"{path}, line {frame.line}", frame.numbers, frame.positions, frame.properties)
        for frame in read_frames(path)
    )
    first = next(rows, None)
    if first is None:
        raise DataError(f"{path} holds no structures.")
    return Source(_again(first, rows), tuple(first.values), _ase_units(first.values))


def trajectory(path: Path) -> Source:
    """Rows of an ASE trajectory."""
    from ase.io import iread

    def rows() -> Iterator[Row]:
        with reading_by_ase(path):
            for number, atoms in enumerate(iread(path, index=":"), 1):
                if atoms.pbc.any():
                    raise DataError(f"{path}: structure {number} is periodic; molecules have no cell.")
                where = f"{path}, structure {number}"
                yield _row(where, atoms.numbers, atoms.positions, properties_of(atoms))

    source = rows()
    first = next(source, None)
    if first is None:
        raise DataError(f"{path} holds no structures.")
    return Source(_again(first, source), tuple(first.values), _ase_units(first.values))


def _again(first: Row, rows: Iterator[Row]) -> Iterator[Row]:
    yield first
    yield from rows


def _ase_units(values: Mapping[str, Any]) -> dict[str, str]:
    return {name: unit for name, unit in ASE_UNITS.items() if name in values}


def _row(where: str, numbers: np.ndarray, positions: np.ndarray, values: Mapping[str, Any]) -> Row:
    charge: Any = values.get("charge") or values.get("total_charge") or 0
    return Row(
        where,
        values,
        smiles_in(values),
        np.asarray(numbers),
        np.asarray(positions),
        charge=float(charge) if isinstance(charge, int | float | np.number) else 1,
        name=str(values.get("name", "")),
    )


def database(path: Path) -> Source:
    """Rows of an ASE database, schnetpack's or plain, read past ``ase.db``, which would write to the file.

    Raises:
        DataError: not an ASE database, or one that alkit made.
    """
    if not path.is_file():
        raise DataError(f"There is no file {path}.")
    try:
        db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        total = db.execute("SELECT count(*) FROM systems").fetchone()[0]
        row = db.execute("SELECT value FROM information WHERE name = 'metadata'").fetchone()
        metadata = json.loads(row[0]) if row else {}
        known = {name for _, name, *_ in db.execute("PRAGMA table_info(systems)")}
    except (sqlite3.Error, ValueError, TypeError) as error:
        raise DataError(f"{path} is not an ASE SQLite database ({error}).") from error
    if not isinstance(metadata, dict):
        raise DataError(f"{path} is damaged: its metadata are no table.")
    if "alkit" in metadata:
        raise DataError(f"{path} is alkit's own database already; use it as it is.")
    if not total:
        raise DataError(f"{path} holds no molecules.")
    rows = _of_database(path, db, known)
    first = next(rows)
    units = {str(k): str(v) for k, v in (metadata.get("_property_unit_dict") or {}).items()}
    atoms = {
        name: {z: float(value) for z, value in enumerate(values) if value}
        for name, values in (metadata.get("atomrefs") or {}).items()
        if any(values)
    }
    names = [name for name in first.values if name in units or not units]
    return Source(
        _again(first, rows),
        tuple(names),
        units or _ase_units(first.values),
        atoms=atoms,
        length=str(metadata.get("_distance_unit", "")),
        total=total,
    )


_COLUMNS = ("numbers", "positions", "pbc", "energy", "free_energy", "forces", "initial_magmoms",
            "initial_charges", "charge", "key_value_pairs", "data")  # fmt: skip


def _of_database(path: Path, db: sqlite3.Connection, known: set[str]) -> Iterator[Row]:
    names = [name for name in _COLUMNS if name in known]
    with closing(db):
        cursor = db.execute(f"SELECT {', '.join(names)} FROM systems ORDER BY id")
        for number, row in enumerate(cursor, 1):
            where = f"{path}, row {number}"
            try:
                yield _of_system(where, dict(zip(names, row, strict=True)))
            except DataError:
                raise
            except Exception as error:  # damaged blobs raise whatever they hold
                yield Row(where, {}, problem=f"it is damaged ({type(error).__name__}: {error})")


def _of_system(where: str, system: dict[str, Any]) -> Row:
    numbers = np.frombuffer(system["numbers"], dtype="<i4").astype(np.int64)
    positions = np.frombuffer(system["positions"], dtype="<f8").reshape(-1, 3)
    if system.get("pbc"):
        raise DataError(f"{where}: the structure is periodic; molecules have no cell.")
    values: dict[str, Any] = {}
    for name in ("energy", "free_energy"):
        if system.get(name) is not None:
            values[name] = system[name]
    if system.get("forces") is not None:
        values["forces"] = np.frombuffer(system["forces"], dtype="<f8").reshape(-1, 3)
    values |= _object(system.get("key_value_pairs")) | _object(system.get("data"))
    magnetic = any(
        system.get(name) is not None and np.frombuffer(system[name], dtype="<f8").any()
        for name in ("initial_magmoms", "initial_charges")
    )
    row = _row(where, numbers, positions, values)
    return row if row.charge or not magnetic else row._replace(charge=1)


def _object(stored: Any) -> dict[str, Any]:
    """An object that ASE keeps as text or, with arrays, in its own binary form."""
    from ase.db.core import bytes_to_object
    from ase.io.jsonio import decode

    if not stored:
        return {}
    return dict(bytes_to_object(stored) if isinstance(stored, bytes) else decode(stored))
