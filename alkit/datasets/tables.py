"""Tables as people have them: any delimiter, headers in any case, decimal commas."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from alkit.datasets.formats import delimiter_of, ending, lines, smiles_header
from alkit.errors import DataError

_NAME_HEADERS = ("name", "id", "cid", "mol_id", "title", "identifier", "compound", "chembl_id", "zinc_id")
DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")


class Columns(NamedTuple):
    """How a table's columns are found: by their usual names, in any case, where nothing is said."""

    smiles: str | None = None
    name: str | None = None
    delimiter: str | None = None


USUAL = Columns()


def parse_number(text: str | None, where: str, *, decimal_comma: bool = False) -> float:
    """A finite float, or a DataError that names ``where``."""
    written = (text or "").strip()
    if decimal_comma and DECIMAL_COMMA.fullmatch(written):
        written = written.replace(",", ".")
    try:
        value = float(written)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(f"{where}: {text!r:.80} is not a finite number.")
    return value


class Found(NamedTuple):
    """The columns of a table: their names as its header has them, and the delimiter.

    ``smiles`` is empty where none is needed and there is none.
    """

    smiles: str
    name: str | None
    delimiter: str
    repeated: frozenset[str] = frozenset()  # names that the header has twice


def table_rows(
    path: Path, columns: Columns = USUAL, *others: str, needs_smiles: bool = True
) -> Iterator[tuple[int, dict[str, str], Found]]:
    """Read (line number, row, columns) of a table with the columns ``others``.

    It must have SMILES if it ``needs_smiles``.
    """
    if columns.delimiter is not None and len(columns.delimiter) != 1:
        raise DataError(
            f"--delimiter is {columns.delimiter!r:.40}; one character is expected, such as ',', ';' or a tab."
        )
    source = lines(path)
    header = next(source, "")
    if ending(path) in (".tsv", ".tab"):
        delimiter = columns.delimiter or "\t"
    else:
        delimiter = columns.delimiter or delimiter_of(header)
    reader = csv.DictReader(chain([header], source), delimiter=delimiter, restval="", skipinitialspace=True)
    try:
        names = [name.strip() for name in reader.fieldnames or []]
        reader.fieldnames = names
        found = _found(path, names, columns, delimiter, needs_smiles=needs_smiles)
        refuse_repeated(path, found, found.smiles, *others)
        if missing := [column for column in others if column not in names]:
            raise DataError(
                f"{path} has no column {missing[0]!r}; its header names {', '.join(names) or 'nothing'}."
            )
        for row in reader:
            yield reader.line_num, row, found
    except csv.Error as error:
        raise DataError(
            f"{path}, line {reader.line_num}: not a table ({error}); is a quote not closed?"
        ) from error


def _found(path: Path, names: list[str], columns: Columns, delimiter: str, *, needs_smiles: bool) -> Found:
    smiles = columns.smiles or smiles_header(names)
    for option, name in (("--smiles-column", columns.smiles), ("--name-column", columns.name)):
        if name is not None and name not in names:
            raise DataError(
                f"{path} has no column {name!r} ({option}); its header names {', '.join(names) or 'nothing'}."
            )
    if smiles is None and needs_smiles:
        raise DataError(
            f"{path} has no column 'smiles'; its header names {', '.join(names) or 'nothing'}. Name the "
            "column with --smiles-column."
        )
    usual = next((name for name in names if name.lower() in _NAME_HEADERS), None)
    repeated = frozenset(name for name in names if name and names.count(name) > 1)
    return Found(smiles or "", columns.name or usual, delimiter, repeated)


def refuse_repeated(path: Path, found: Found, *names: str) -> None:
    """Check that no column is there twice: no choice between two would be right.

    Raises:
        DataError: one is.
    """
    if twice := [name for name in names if name in found.repeated]:
        raise DataError(f"{path}: its header names the column {twice[0]!r} twice; keep one.")
