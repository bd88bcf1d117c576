"""A molecule with its numbers as a file has them, and a file as a source of such rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from alkit.datasets.formats import SMILES_HEADERS
from alkit.datasets.tables import USUAL, Columns


class Row(NamedTuple):
    """One molecule of a file.

    Attributes:
        where: file and place, such as "mine.csv, line 3".
        values: numbers, texts and arrays by the names that the file has for them.
        smiles: as it is written; empty where there is none.
        numbers: ``(n,)`` atomic numbers, or None.
        positions: ``(n, 3)`` in the file's unit, or None.
        charge: in e, or another mark of an ion or a magnetic molecule.
        name: of the molecule.
        problem: why it cannot be read.
        unlabelled: why it has no label, where the file says so itself.
    """

    where: str
    values: Mapping[str, Any]
    smiles: str = ""
    numbers: np.ndarray | None = None
    positions: np.ndarray | None = None
    charge: float = 0
    name: str = ""
    problem: str = ""
    unlabelled: str = ""


@dataclass(frozen=True)
class Source:
    """Rows, and what is known of them beforehand.

    Attributes:
        rows: read as they are asked for.
        names: of their numbers, as far as they are known.
        units, kinds, levels: of these, where the file itself says it.
        atoms: energies of the isolated atoms by property and atomic number, in its unit.
        length: unit of the positions, where the file itself says it.
        total: number of rows, where it is known.
        default: column and property to import where the user names none.
    """

    rows: Iterator[Row]
    names: tuple[str, ...] = ()
    units: Mapping[str, str] = field(default_factory=dict)
    kinds: Mapping[str, str] = field(default_factory=dict)
    levels: Mapping[str, str] = field(default_factory=dict)
    atoms: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    length: str = ""
    total: int | None = None
    default: str = ""


class Wanted(NamedTuple):
    """The columns and arrays to look for in a file.

    Attributes:
        columns: of a table.
        names: of the numbers that are wanted.
        positions, numbers: arrays that hold them, where they have no usual name.
        groups: pattern of the groups of an HDF5 file.
    """

    columns: Columns = USUAL
    names: tuple[str, ...] = ()
    positions: str = ""
    numbers: str = ""
    groups: str = ""


def smiles_in(values: Mapping[str, Any]) -> str:
    """The SMILES that stands among named values, by its usual names in any case."""
    for name, value in values.items():
        if name.lower() in SMILES_HEADERS and isinstance(value, str):
            return value.strip()
    return ""
