"""Labels that come by hand, as they are written: tables, SD files, XYZ files, or rows of Python.

Every reader yields `LabelRow`; whether a row is right is for `alkit.campaign.telling` to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from alkit.datasets.formats import kind_of
from alkit.datasets.records import geometry_of, has_geometry, read_records
from alkit.datasets.tables import refuse_repeated, table_rows
from alkit.datasets.xyz import read_frames
from alkit.errors import DataError
from alkit.molecules.scalars import stored_unit
from alkit.properties import column as column_name
from alkit.properties import is_energy

_USUAL = ("label", "value")  # names of columns of labels
_USUAL_OF_ENERGIES = (*_USUAL, "energy")


class LabelRow(NamedTuple):
    """One row.

    Attributes:
        where: such as "labels.csv, line 3".
        cells: what it says by name, in small letters.
        decimal_comma: whether "1,5" is a number.
        numbers, positions: ``(n,)`` and ``(n, 3)`` Å of its geometry, where it has one.
        problem: why it cannot be read.
    """

    where: str
    cells: Mapping[str, Any]
    decimal_comma: bool = False
    numbers: np.ndarray | None = None
    positions: np.ndarray | None = None
    problem: str = ""


def read_label_rows(path: Path) -> Iterator[LabelRow]:
    """The rows of a file: .csv, .tsv, .sdf, .xyz or .extxyz, gzipped or not.

    Raises:
        DataError: unreadable file, or one of another kind.
    """
    kind = kind_of(path)
    if kind == "table":
        return _of_table(path)
    if kind == "sdf":
        return _of_records(path)
    if kind == "xyz":
        return _of_frames(path)
    raise DataError(f"{path}: labels are expected in a table (.csv, .tsv), an SD file, or .xyz and .extxyz.")


def rows_of_frame(frame: Any) -> Iterator[LabelRow]:
    """The rows of a pandas frame, of a dictionary of columns, or a list of dictionaries.

    An ``atoms`` among them is a geometry, as ASE's `Atoms`.

    Raises:
        DataError: it is none of these.
    """
    rows = frame.to_dict("records") if hasattr(frame, "to_dict") else frame
    if isinstance(rows, Mapping):
        columns = {name: list(values) for name, values in rows.items()}
        if len({len(values) for values in columns.values()}) > 1:
            raise DataError("The columns of the labels differ in length.")
        rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    if isinstance(rows, str) or not isinstance(rows, Iterable):
        raise DataError(f"Labels are a frame or a list of rows, not {type(frame).__name__}.")
    return (_of_mapping(number, row) for number, row in enumerate(rows, 1))


def _of_mapping(number: int, row: Any) -> LabelRow:
    if not isinstance(row, Mapping):
        raise DataError(f"Row {number} of the labels is a {type(row).__name__}; a dictionary is expected.")
    cells = {str(name).strip().lower(): None if _is_nan(value) else value for name, value in row.items()}
    atoms = cells.pop("atoms", None)
    geometry = () if atoms is None else (np.asarray(atoms.numbers), np.asarray(atoms.positions))
    return LabelRow(f"row {number}", cells, False, *geometry)


def _is_nan(value: Any) -> bool:
    """Whether a cell is empty to pandas."""
    return isinstance(value, float) and bool(np.isnan(value))


def is_empty(value: Any) -> bool:
    """Whether a cell holds nothing."""
    return value is None or (isinstance(value, str) and not value.strip())


def text_of(value: Any) -> str:
    """The text of a cell, on one line."""
    return "" if is_empty(value) else " ".join(str(value).split())


def whole_number(text: str) -> int:
    """A number of the ledger, also as spreadsheets write it ("17.0"); -1, which none has, for other texts."""
    try:
        number = float(text)
        return int(number) if number.is_integer() else -1
    except (ValueError, OverflowError):
        return -1


def names_a_label(names: Sequence[str], target: str) -> bool:
    """Whether any of these columns may hold labels of ``target``."""
    return bool(_columns(names, target))


def _columns(names: Sequence[str], target: str) -> list[str]:
    """The columns that may hold labels of ``target``, the likeliest first."""
    own, usual = target.lower(), _USUAL_OF_ENERGIES if is_energy(target) else _USUAL
    found = [name for name in names if name == own or name.startswith(f"{own}_")]
    found += [name for name in names if name.startswith(f"atomization_{own}")]  # of `alkit campaign ledger`
    return found + [name for name in usual if name in names]


def value_column(names: Sequence[str], target: str, unit: str, column: str | None, what: str) -> str:
    """The name of the column that holds labels, in small letters.

    Args:
        names: in small letters.
        target: of the campaign.
        unit: that the numbers are read in; a column that names another is refused.
        column: as the user has it.
        what: names the labels in messages.

    Raises:
        DataError: there is none.
    """
    if column is not None and column.lower() not in names:
        raise DataError(f"{what} has no column {column!r}; it has {', '.join(names) or 'none'}.")
    found = column.lower() if column else next(iter(_columns(names, target)), None)
    if found is None:
        raise DataError(
            f"{what} has no column {column_name(target, unit)}; it has {', '.join(names) or 'none'}. Name "
            "the column with --column."
        )
    _check_unit(found, target, unit, what)
    return found


def _check_unit(name: str, target: str, unit: str, what: str) -> None:
    """Refuse a column such as u0_hartree where numbers are read as eV."""
    written = name.removeprefix("atomization_").removeprefix(f"{target.lower()}_").replace("_", " ")
    try:
        factor = stored_unit(target, written)[0] if written != name else None
    except DataError:
        return
    if factor is not None and factor != stored_unit(target, unit)[0]:
        raise DataError(
            f"{what}: the column {name} is in {written}, and read in {unit}; give --unit {written}."
        )


def _of_table(path: Path) -> Iterator[LabelRow]:
    for number, row, found in table_rows(path, needs_smiles=False):
        refuse_repeated(path, found, *found.repeated)
        names = [name for name in row if name is not None]
        cells = {"smiles" if name == found.smiles else name.lower(): row[name] for name in names if name}
        if len(cells) < sum(1 for name in names if name):
            raise DataError(f"{path}: its header names a column twice; keep one.")
        problem = f"it has more than {len(names)} cells" if len(names) < len(row) else ""
        yield LabelRow(f"{path}, line {number}", cells, found.delimiter == ";", problem=problem)


def _of_records(path: Path) -> Iterator[LabelRow]:
    for record in read_records(path, "sdf"):
        where, cells = f"{path}, {record.where}", {name.lower(): text for name, text in record.data.items()}
        if record.problem:
            yield LabelRow(where, cells, problem=record.problem)
            continue
        named = {"id": record.name} if record.name.isdigit() else {}
        geometry = geometry_of(record.mol) if has_geometry(record.mol) else ()
        yield LabelRow(where, {"smiles": record.smiles} | named | cells, False, *geometry)


def _of_frames(path: Path) -> Iterator[LabelRow]:
    for frame in read_frames(path):
        cells = {str(name).lower(): value for name, value in frame.properties.items()}
        yield LabelRow(f"{path}, line {frame.line}", cells, False, frame.numbers, frame.positions)
