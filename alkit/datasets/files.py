"""Users' own files: lists of SMILES, and tables of SMILES with an energy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from alkit.datasets.formats import SMILES_HEADERS, Kind, kind_of, lines
from alkit.datasets.records import read_records
from alkit.datasets.tables import USUAL, Columns, parse_number, table_rows
from alkit.errors import DataError
from alkit.molecules.molecule import LONGEST_SMILES, canonical_of_any
from alkit.molecules.scalars import split_column


class Labelled(NamedTuple):
    """Distinct molecules of a table with their values.

    Attributes:
        smiles: canonical.
        values: ``(n,)``.
        repeated: how many lines only repeated an earlier one.
        failed: how many had a reason in place of a value.
        level: of theory, where `alkit label` wrote it.
        problems: a sentence on each line that was left out.
    """

    smiles: list[str]
    values: np.ndarray
    repeated: int
    failed: int = 0
    level: str = ""
    problems: Sequence[str] = ()


def open_text(path: Path) -> list[str]:
    """Lines of a UTF-8 text file, gzipped or not. Raises DataError naming the file if it cannot be read."""
    return [line.rstrip("\r\n") for line in lines(path)]


class Entry(NamedTuple):
    """One molecule as a file has it.

    Attributes:
        where: such as "line 3".
        smiles: as it is written.
        problem: why there is no molecule, where that is known already.
        mol: RDKit's, of a record that may have a geometry.
    """

    where: str
    smiles: str
    name: str = ""
    problem: str = ""
    mol: Any = None


def scan_molecules(path: Path, columns: Columns = USUAL) -> Iterator[Entry]:
    """Molecules of a user's file, one at a time: it may be larger than memory.

    A SMILES a line, with a name after or before it, and ``#`` for comments; a table with a column of SMILES;
    SD, MOL and MOL2 files; each may be gzipped.

    Yields:
        Entries as they are written; a text that is no SMILES too.

    Raises:
        DataError: unreadable file, a kind that alkit does not read, or one without molecules.
    """
    kind = kind_of(path)
    if kind == "table" or (columns.delimiter and kind == "smiles"):
        entries = _of_table(path, columns)
    elif kind in ("sdf", "mol", "mol2"):
        entries = _of_records(path, kind)
    elif kind == "smiles":
        entries = _of_lines(path)
    else:
        raise DataError(f"{path} is a file of structures; a file of SMILES is expected here.")
    first = next(entries, None)
    if first is None:
        raise DataError(f"{path} holds no SMILES; write one on each line.")
    yield from chain([first], entries)


def scan_smiles(path: Path, columns: Columns = USUAL) -> Iterator[str]:
    """The SMILES of `scan_molecules`."""
    return (entry.smiles for entry in scan_molecules(path, columns))


def read_smiles(path: Path, columns: Columns = USUAL) -> list[str]:
    """Canonical SMILES of a user's file, in its order; lines that repeat a molecule are kept.

    Raises:
        DataError: unreadable or empty file, or a SMILES that RDKit cannot read (file and line are named).
    """
    return [
        _canonical(path, entry.where, entry.smiles, entry.problem) for entry in scan_molecules(path, columns)
    ]


def readable_smiles(
    path: Path, columns: Columns = USUAL, *, strict: bool = False
) -> tuple[list[str], list[str]]:
    """Canonical SMILES of the lines that can be read, and a sentence on each of the others.

    Args:
        path: of a SMILES file or a table.
        columns: names of a table's columns.
        strict: the first line that cannot be read is an error.

    Raises:
        DataError: see `read_smiles`; or no line can be read.
    """
    smiles, problems = list[str](), list[str]()
    for entry in scan_molecules(path, columns):
        try:
            smiles.append(_canonical(path, entry.where, entry.smiles, entry.problem))
        except DataError as error:
            if strict:
                raise
            problems.append(str(error))
    if not smiles:
        raise DataError(problems[0])
    return smiles, problems


def written_smiles(path: Path) -> list[str]:
    """The same as they are written: what RDKit cannot read as well.

    Raises:
        DataError: unreadable or empty file.
    """
    return list(scan_smiles(path))


def _of_lines(path: Path) -> Iterator[Entry]:
    words = ((number, _words(line)) for number, line in enumerate(lines(path), 1))
    filled: Iterator[tuple[int, list[str]]]
    filled = ((number, parts) for number, parts in words if parts and not parts[0].startswith("#"))
    first = next(filled, None)
    if first is None:
        return
    column = _smiles_first(first[1])
    if not any(word.lower() in SMILES_HEADERS for word in first[1][:2]):
        filled = chain([first], filled)
    for number, parts in filled:
        at = column if column < len(parts) else 0
        rest = parts[:at] + parts[at + 1 :]
        yield Entry(f"line {number}", parts[at], " ".join(rest))


def _of_records(path: Path, kind: Kind) -> Iterator[Entry]:
    for one in read_records(path, kind):
        yield Entry(one.where, one.smiles, one.name, one.problem, one.mol)


def _words(line: str) -> list[str]:
    """The words of a line.

    The first may be in quotes, or parted from its name by a comma: neither mark is part of any SMILES.
    """
    first, *rest = line.split() or [""]
    head, comma, tail = first.strip("\"'").partition(",")
    return [word for word in (head, tail.strip("\"'") if comma else "") if word] + rest


def _smiles_first(words: list[str]) -> int:
    """The one of the first two columns with the SMILES: 1 where an identifier stands before them."""
    header = [word.lower() in SMILES_HEADERS for word in words[:2]]
    if any(header):
        return header.index(True)
    if len(words) < 2 or canonical_of_any(words[0]) is not None:
        return 0
    return 1 if canonical_of_any(words[1]) is not None else 0


def _of_table(path: Path, columns: Columns) -> Iterator[Entry]:
    for number, row, found in table_rows(path, columns):
        name = row[found.name].strip() if found.name else ""
        yield Entry(f"line {number}", row[found.smiles].strip(), name)


def read_labelled(
    path: Path, target_column: str, columns: Columns = USUAL, *, strict: bool = True
) -> Labelled:
    """A table (.csv or .tsv, may be gzipped) of SMILES with a value.

    A molecule that comes again with the same value is left out and counted; with another value it is an
    error, because no choice between the two would be right. Rows without a value that give a ``reason``, as
    `alkit label` writes them, are left out and counted.

    Args:
        path: of the table.
        target_column: with the value.
        columns: names of the others.
        strict: a SMILES that RDKit cannot read is an error; else its line is left out, with a sentence.

    Raises:
        DataError: unreadable or empty file, missing column, a value that is not finite, two values for one
            molecule (file and line are named).
    """
    failed = 0
    first: dict[str, tuple[float, int]] = {}
    levels: set[str] = set()
    repeated = 0
    problems: list[str] = []
    for number, row, found in table_rows(path, columns, target_column):
        if not row[target_column] and row.get("reason"):
            failed += 1
            continue
        levels.add(row.get("method") or "")
        try:
            smiles = _canonical(path, f"line {number}", row[found.smiles].strip())
        except DataError as error:
            if strict:
                raise
            problems.append(str(error))
            continue
        where = f"{path}, line {number}, column {target_column}"
        value = parse_number(row[target_column], where, decimal_comma=found.delimiter == ";")
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
    return Labelled(
        list(first), np.array([value for value, _ in first.values()]), repeated, failed, level, problems
    )


def _level(method: str, column: str) -> str:
    """The level of theory of a table as `alkit label` writes it; empty for others."""
    name, unit = split_column(column)
    if not unit and column.endswith("_eV"):
        name, unit = column.removesuffix("_eV"), "eV"
    return f"{method} {name} [{unit}]" if method and name and unit else ""


def is_table(path: Path) -> bool:
    """Whether a file is a table of columns."""
    return kind_of(path) == "table"


def _canonical(path: Path, where: str, smiles: str, problem: str = "") -> str:
    if problem:
        raise DataError(f"{path}, {where}: {problem}.")
    canonical = canonical_of_any(smiles)
    if canonical is None:
        most = f" (alkit reads up to {LONGEST_SMILES} characters)" if len(smiles) > LONGEST_SMILES else ""
        raise DataError(f"{path}, {where}: {smiles!r:.80} is not a SMILES that RDKit can read{most}.")
    return canonical
