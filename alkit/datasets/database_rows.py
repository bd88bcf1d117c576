"""Rows of an ASE database, read past ``ase.db``: their atoms and the numbers in their data."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from alkit.errors import DataError

FORCES = "forces"  # schnetpack's name, too
MAX_Z = 100  # schnetpack's atomrefs are lists indexed by atomic number


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
        raise DataError(
            f"{path} is not an ASE SQLite database ({error}); `alkit data import` makes one of files of "
            "your own."
        ) from error
    if (
        not isinstance(metadata, dict)
        or "_distance_unit" not in metadata
        or not isinstance(units := metadata.get("_property_unit_dict"), dict)
        or not all(isinstance(unit, str) for unit in units.values())
    ):
        raise DataError(
            f"{path} does not say the units of its properties, so its numbers cannot be used as they are; "
            "`alkit data import` asks for them."
        )
    return metadata, rows


def decode_forces(blobs: Sequence[Any], ends: np.ndarray) -> np.ndarray:
    """(M, 3) float64 from the rows' data, one after the other; ``ends`` (N,): where a row's atoms end."""
    forces = np.empty((int(ends[-1]), 3))
    start = 0
    for blob, end in zip(blobs, ends.tolist(), strict=True):
        offset_of_names = int.from_bytes(blob[:8], "little")
        shape, dtype, offset = json.loads(blob[offset_of_names:])[FORCES]["__ndarray__"]
        if list(shape) != [end - start, 3]:
            raise ValueError(f"forces of shape {shape} for {end - start} atoms")
        forces[start:end] = np.frombuffer(blob, dtype, 3 * (end - start), offset).reshape(-1, 3)
        start = end
    return forces


def check_rows(rows: Sequence[tuple[Any, ...]]) -> None:
    """Check the atoms and positions of rows.

    Raises:
        ValueError: a row whose atoms and positions do not fit together, or are no atoms.
    """
    for number, row in enumerate(rows, 1):
        if not row[0] or 6 * len(row[0]) != len(row[1]):
            raise ValueError(f"row {number} has {len(row[0])} bytes of atoms and {len(row[1])} of positions")
        numbers = np.frombuffer(row[0], dtype="<i4")
        if numbers.min() < 1 or numbers.max() >= MAX_Z:
            raise ValueError(f"row {number} has atomic number {numbers.min()} or {numbers.max()}")


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
