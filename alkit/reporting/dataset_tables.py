"""The content of a data set, as tables on the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.table import Table

from alkit.datasets.create import Property
from alkit.errors import DataError

if TYPE_CHECKING:
    from alkit.datasets import Dataset


def properties_table(properties: Mapping[str, Property]) -> Table:
    """Each property with its unit, kind, level and isolated atoms."""
    table = Table(title="properties", title_justify="left")
    for name in ("property", "unit", "kind", "level", "isolated atoms"):
        table.add_column(name)
    for name, one in properties.items():
        table.add_row(name, one.unit, one.kind, one.level, one.references or "–")
    return table


def info_tables(data: Dataset) -> Iterator[Any]:
    """Counts, elements, sizes, properties with their ranges, and repetitions."""
    molecules = Counter(data.smiles)
    atoms = np.array([len(data.numbers(i)) for i in range(len(data))])
    heavy = np.array([int((data.numbers(i) > 1).sum()) for i in range(len(data))])
    table = Table(title=f"{data.path}", title_justify="left", show_header=False)
    table.add_column("")
    table.add_column("")
    several = [smiles for smiles, count in molecules.items() if count > 1]
    table.add_row("rows; molecules", f"{len(data)}; {len(molecules)}")
    most = molecules.most_common(1)[0]
    table.add_row(
        "with several geometries", f"{len(several)}, at most {most[1]} ({most[0]:.60})" if several else "none"
    )
    table.add_row("elements", _elements(data))
    table.add_row("atoms", _range(atoms, "d"))
    table.add_row("heavy atoms", _range(heavy, "d"))
    table.add_row("geometries", "the data set's own" if data.geometry == "dataset" else "none")
    table.add_row("forces", f"of {data.forces_of}, eV/Å" if data.forces_of else "none")
    table.add_row("level", data.level)
    table.add_row("from", data.source)
    table.add_row("equal numbers", _equal(data))
    yield table
    yield properties_table(data.properties)
    yield _ranges(data)


def _elements(data: Dataset) -> str:
    from ase.data import chemical_symbols

    counts: Counter[str] = Counter()
    for i in range(len(data)):
        counts.update({chemical_symbols[z] for z in data.numbers(i).tolist()})
    return ", ".join(f"{symbol} in {count}" for symbol, count in counts.most_common())


def _range(values: np.ndarray, form: str) -> str:
    middle = np.median(values)
    return f"{values.min():{form}} to {values.max():{form}}, median {middle:g}"


def _equal(data: Dataset) -> str:
    """Rows of other molecules that share all their numbers: copies, or a column that is constant."""
    rows = np.stack([np.asarray(data.target(name)) for name in data.units], axis=1)
    _, counts = np.unique(rows, axis=0, return_counts=True)
    shared = int(counts[counts > 1].sum())
    return f"{shared} rows share all their numbers with another" if shared else "none"


def _ranges(data: Dataset) -> Table:
    table = Table(title="ranges", title_justify="left")
    for name in ("property", "least", "mean", "most", "deviation", "unit"):
        table.add_column(name, justify="left" if name in ("property", "unit") else "right")
    for name, one in data.properties.items():
        _add_range(table, name, np.asarray(data.target(name)), one.unit)
        if one.kind == "total":
            try:
                _add_range(table, f"{name}, less the atoms", data.atomization(name), "eV")
            except DataError as error:
                table.add_row(f"{name}, less the atoms", "–", "–", "–", "–", str(error))
    if data.forces_of:
        sizes = np.concatenate([np.linalg.norm(data.forces(i), axis=1) for i in range(len(data))])
        _add_range(table, "force on an atom", sizes, "eV/Å")
    return table


def _add_range(table: Table, name: str, values: np.ndarray, unit: str) -> None:
    numbers = (values.min(), values.mean(), values.max(), values.std())
    table.add_row(name, *(f"{number:.4f}" for number in numbers), unit)
