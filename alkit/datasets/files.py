"""Users' own files: lists of SMILES, and tables of SMILES with an energy."""

from __future__ import annotations

import csv
import gzip
import io
import math
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from alkit.errors import DataError
from alkit.molecules.molecule import LONGEST_SMILES, Molecule, canonical_of_any

__all__ = ["Labelled", "open_text", "read_labelled", "read_smiles", "read_structures", "scan_smiles"]

_TABLES = {".csv": ",", ".tsv": "\t"}
_STRUCTURES = (".xyz", ".extxyz", ".db", ".traj")


class Labelled(NamedTuple):
    """Distinct canonical SMILES, their (N,) values, how many lines only repeated an earlier one, how many had
    a reason in place of a value, and the level of theory where `alkit label` wrote it."""

    smiles: list[str]
    values: np.ndarray
    repeated: int
    failed: int = 0
    level: str = ""


def _lines(path: Path) -> Iterator[str]:
    """Lines of a UTF-8 text file, gzipped or not, as they are read. DataError names a file that cannot be."""
    try:
        with Path(path).open("rb") as file:  # once: it may be a pipe
            zipped = file.peek(2)[:2] == b"\x1f\x8b"
            with gzip.open(file, "rb") if zipped else file as plain:
                for line in io.TextIOWrapper(plain, encoding="utf-8-sig"):
                    if "\0" in line:
                        raise DataError(f"{path} is not a UTF-8 text file (it holds NUL bytes).")
                    yield line
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not a UTF-8 text file ({error.reason}).") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is a damaged or incomplete .gz file ({error}).") from error
    except OSError as error:
        raise DataError(f"Cannot read {path}: {error.strerror}.") from error


def open_text(path: Path) -> list[str]:
    """Lines of a UTF-8 text file, gzipped or not. Raises DataError naming the file if it cannot be read."""
    return [line.rstrip("\r\n") for line in _lines(path)]


def scan_smiles(path: Path) -> Iterator[str]:
    """SMILES of a user's file as they are written there, one at a time: files may be larger than memory.

    The formats are those of `read_smiles`; what is no SMILES comes as it is.

    Raises:
        DataError: unreadable file, or one without SMILES.
    """
    return (smiles for _, smiles in _written(path))


def read_smiles(path: Path) -> list[str]:
    """SMILES of a user's file, in its order; lines that repeat a molecule are kept.

    One SMILES a line, with an optional name after it; ``#`` starts a comment line; or a .csv or .tsv table
    with a column ``smiles``; either may be gzipped.

    Returns:
        Canonical SMILES.

    Raises:
        DataError: unreadable or empty file, or a SMILES that RDKit cannot read (file and line are named).
    """
    return [_canonical(path, number, smiles) for number, smiles in _written(path)]


def written_smiles(path: Path) -> list[str]:
    """The same as they are written: what RDKit cannot read as well.

    Raises:
        DataError: unreadable or empty file.
    """
    return [smiles for _, smiles in _written(path)]


def _written(path: Path) -> Iterator[tuple[int, str]]:
    """Line numbers and SMILES, as they are in the file."""
    if (delimiter := _delimiter(path)) is not None:
        written = (
            (number, row["smiles"]) for number, row in _rows(path, _lines(path), delimiter, ["smiles"])
        )
    else:
        words = ((number, line.split()) for number, line in enumerate(_lines(path), 1))
        written = ((number, parts[0]) for number, parts in words if parts and not parts[0].startswith("#"))
    first = next(written, None)
    if first is not None and delimiter is None and first[1].lower() == "smiles":
        first = next(written, None)
    if first is None:
        raise DataError(f"{path} holds no SMILES; write one on each line.")
    yield from chain([first], written)


def holds_structures(path: Path) -> bool:
    """Whether a file is one of molecules with their geometry."""
    return path.suffix.lower() in _STRUCTURES


def read_structures(path: Path) -> list[Molecule]:
    """Molecules of a file that ASE reads (.xyz, .extxyz, .db, .traj), in Å, in its order.

    A molecule goes by the ``smiles`` that the file has for it, else by its place in the file and its formula.

    Raises:
        DataError: unreadable or empty file, a periodic cell, or a molecule that is charged or magnetic.
    """
    molecules = []
    for number, (atoms, properties) in enumerate(_structures(path), 1):
        if atoms.pbc.any():
            raise DataError(f"{path}: structure {number} is periodic; molecules have no cell.")
        moments = atoms.get_initial_magnetic_moments()
        if properties.get("charge") or atoms.get_initial_charges().sum() or moments.any():
            raise DataError(
                f"{path}: structure {number} is charged or magnetic; alkit knows neutral closed shells alone."
            )
        name = str(properties.get("smiles") or f"{number} {atoms.get_chemical_formula()}")
        if not atoms.numbers.all():
            raise DataError(f"{path}: structure {number} has an atom that is no element.")
        try:
            molecules.append(Molecule(name, atoms.numbers, atoms.positions, "given"))
        except DataError as error:
            raise DataError(f"{path}, structure {number}: {error}.") from None
    if not molecules:
        raise DataError(f"{path} holds no structures.")
    return molecules


def _structures(path: Path) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Atoms, and what the file says of them by name."""
    from ase.db import connect
    from ase.io import iread

    try:
        if not path.is_file():
            raise FileNotFoundError(2, "No such file or directory")
        if path.suffix.lower() == ".db":  # ase.io leaves out the key-value pairs
            yield from ((row.toatoms(), row.key_value_pairs) for row in connect(path).select())
        else:
            yield from ((atoms, atoms.info) for atoms in iread(path, index=":"))
    except OSError as error:
        raise DataError(f"Cannot read {path}: {error.strerror or error}.") from error
    except Exception as error:  # ASE's readers raise whatever a damaged line makes them
        raise DataError(f"{path} holds no structures that ASE can read ({error}).") from error


def read_labelled(path: Path, target_column: str, smiles_column: str = "smiles") -> Labelled:
    """A table (.csv or .tsv, may be gzipped) of SMILES with a value.

    A molecule that comes again with the same value is left out and counted; with another value it is an
    error, because no choice between the two would be right. Rows without a value that give a ``reason``, as
    `alkit label` writes them, are left out and counted.

    Raises:
        DataError: unreadable or empty file, missing column, a SMILES that RDKit cannot read, a value that
            is not a finite number, two values for one molecule (file and line are named).
    """
    delimiter = _delimiter(path) or ","
    failed = 0
    first: dict[str, tuple[float, int]] = {}
    levels: set[str] = set()
    repeated = 0
    for number, row in _rows(path, _lines(path), delimiter, [smiles_column, target_column]):
        if not row[target_column] and row.get("reason"):
            failed += 1
            continue
        levels.add(row.get("method") or "")
        smiles = _canonical(path, number, row[smiles_column])
        value = parse_number(row[target_column], f"{path}, line {number}, column {target_column}")
        if smiles not in first:
            first[smiles] = (value, number)
            continue
        if first[smiles][0] != value:
            raise DataError(
                f"{path}, line {number}: {smiles} has the value {value}, and {first[smiles][0]} on line "
                f"{first[smiles][1]}; keep one of the two."
            )
        repeated += 1
    if not first:
        raise DataError(f"{path} holds no molecules below its header.")
    if len(levels) > 1:
        raise DataError(
            f"{path} has labels of several methods ({', '.join(sorted(levels))}), which never mix; keep one."
        )
    level = _level(levels.pop(), target_column)
    return Labelled(list(first), np.array([value for value, _ in first.values()]), repeated, failed, level)


def _level(method: str, column: str) -> str:
    """The level of theory of a table as `alkit label` writes it; empty for others."""
    name, _, unit = column.rpartition("_")
    return f"{method} {name} [{unit}]" if method and name and unit == "eV" else ""


def is_table(path: Path) -> bool:
    """Whether a file's name says that it is a table: .csv or .tsv, gzipped or not."""
    return _delimiter(path) is not None


def parse_number(text: str | None, where: str) -> float:
    """A finite float, or a DataError that names ``where``."""
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(f"{where}: {text!r:.80} is not a finite number.")
    return value


def _delimiter(path: Path) -> str | None:
    suffixes = [suffix.lower() for suffix in Path(path).suffixes if suffix.lower() != ".gz"]
    return _TABLES.get(suffixes[-1]) if suffixes else None


def _rows(
    path: Path, lines: Iterable[str], delimiter: str, columns: list[str]
) -> Iterator[tuple[int, dict[str, str]]]:
    """(line number, row) of a table that must have ``columns``."""
    reader = csv.DictReader(lines, delimiter=delimiter, restval="")
    try:
        names = reader.fieldnames or []
        if missing := [column for column in columns if column not in names]:
            raise DataError(
                f"{path} has no column {missing[0]!r}; its header names {', '.join(names) or 'nothing'}."
            )
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        raise DataError(
            f"{path}, line {reader.line_num}: not a table ({error}); is a quote not closed?"
        ) from error


def _canonical(path: Path, number: int, smiles: str) -> str:
    canonical = canonical_of_any(smiles)
    if canonical is None:
        most = f" (alkit reads up to {LONGEST_SMILES} characters)" if len(smiles) > LONGEST_SMILES else ""
        raise DataError(f"{path}, line {number}: {smiles!r:.80} is not a SMILES that RDKit can read{most}.")
    return canonical
