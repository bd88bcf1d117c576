"""Rows of CSV, TSV and Parquet tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from alkit.datasets.formats import smiles_header
from alkit.datasets.importing.rows import Row, Source, Wanted
from alkit.datasets.tables import DECIMAL_COMMA, Found, refuse_repeated, table_rows
from alkit.errors import DataError
from alkit.properties import TABLE, column

NUMBERS = ("atomic_numbers", "numbers", "nuclear_charges", "species", "z")
POSITIONS = ("positions", "coordinates", "coords", "conformations", "geometry", "xyz", "pos", "r")
_BATCH = 1000  # rows of a Parquet file that are in memory
_LABELLED = {column(one.name, one.unit): one for one in TABLE}  # columns of `alkit label`


def text_table(path: Path, wanted: Wanted, *, needs_smiles: bool = True) -> Source:
    """Rows of a CSV or TSV file.

    Raises:
        DataError: unreadable file, or no column of SMILES although it ``needs_smiles``.
    """
    rows = table_rows(path, wanted.columns, needs_smiles=needs_smiles)
    first = next(rows, None)
    if first is None:
        raise DataError(f"{path} holds no molecules below its header.")
    refuse_repeated(path, first[2], *wanted.names)
    names = tuple(name for name in first[1] if name)
    own = next((name for name in _LABELLED if name in names and "method" in names), "")
    labelled = _LABELLED.get(own)
    return Source(
        (_of_text(path, *one, own=own) for one in _again(first, rows)),
        names,
        units={own: labelled.unit} if labelled else {},
        kinds={own: "atomization" if labelled.kind == "energy" else labelled.kind} if labelled else {},
        levels={own: first[1]["method"]} if own else {},
        default=f"{own}={labelled.name}" if labelled else "",
    )


def _again(first: Any, rows: Iterator[Any]) -> Iterator[Any]:
    yield first
    yield from rows


def _of_text(path: Path, number: int, row: dict[str, Any], found: Found, *, own: str) -> Row:
    where = f"{path}, line {number}"
    if None in row:  # DictReader's place for cells beyond the header
        return Row(where, {}, problem=f"it has more cells than the header ({len(row) - 1})")
    values = {name: text.strip() for name, text in row.items()}
    if found.delimiter == ";":
        values = {
            name: text.replace(",", ".") if DECIMAL_COMMA.fullmatch(text) else text
            for name, text in values.items()
        }
    reason = values.get("reason", "") if own and not values[own] else ""
    name = values[found.name] if found.name else ""
    return Row(where, values, values.get(found.smiles, ""), name=name, unlabelled=reason)


def parquet(path: Path, wanted: Wanted) -> Source:
    """Rows of a Parquet file; columns may hold SMILES, or lists: atomic numbers and positions.

    Raises:
        DataError: unreadable file.
    """
    import pyarrow
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(path)
    except (OSError, pyarrow.ArrowException) as error:
        raise DataError(f"{path} is not a readable Parquet file ({str(error).splitlines()[0]}).") from error
    names = tuple(file.schema_arrow.names)
    for option, name in (
        ("--smiles-column", wanted.columns.smiles),
        ("--positions", wanted.positions),
        ("--numbers", wanted.numbers),
    ):
        if name and name not in names:
            raise DataError(f"{path} has no column {name!r} ({option}); it has {', '.join(names)}.")

    def rows() -> Iterator[Row]:
        number = 0
        try:
            for batch in file.iter_batches(batch_size=_BATCH):
                for values in batch.to_pylist():
                    number += 1
                    yield _of_values(f"{path}, row {number}", values, wanted)
        except (OSError, pyarrow.ArrowException) as error:
            raise DataError(
                f"{path} is damaged after row {number} ({str(error).splitlines()[0]})."
            ) from error

    return Source(rows(), names, total=file.metadata.num_rows)


def _of_values(where: str, values: Mapping[str, Any], wanted: Wanted) -> Row:
    smiles = values.get(wanted.columns.smiles or smiles_header(list(values)) or "") or ""
    numbers = values.get(wanted.numbers or usual(values, NUMBERS))
    positions = values.get(wanted.positions or usual(values, POSITIONS))
    try:
        return Row(
            where,
            values,
            str(smiles).strip(),
            None if numbers is None or positions is None else atomic_numbers(numbers),
            None if positions is None else np.asarray(positions, dtype=np.float64).reshape(-1, 3),
        )
    except (ValueError, TypeError) as error:
        return Row(where, values, problem=f"its atoms cannot be read ({error})")


def usual(names: Mapping[str, Any], usual_names: tuple[str, ...]) -> str:
    """The first of the usual names, in any case, that is there; empty where there is none."""
    by_lower = {name.lower(): name for name in names}
    return next((by_lower[name] for name in usual_names if name in by_lower), "")


def atomic_numbers(atoms: Any) -> np.ndarray:
    """``(n,)`` atomic numbers of numbers or symbols. Raises ValueError for what is no element."""
    from ase.data import atomic_numbers as by_symbol

    array = np.asarray(atoms)
    if array.dtype.kind in "OSU":
        symbols = [one.decode() if isinstance(one, bytes) else str(one) for one in array.tolist()]
        if unknown := [one for one in symbols if not by_symbol.get(one)]:
            raise ValueError(f"{unknown[0]!r:.20} is no element")
        return np.array([by_symbol[one] for one in symbols])
    if array.dtype.kind not in "iuf" or not np.array_equal(array, array.astype(np.int64)):
        raise ValueError("atomic numbers are whole numbers")
    return array.astype(np.int64)
