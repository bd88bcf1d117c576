"""Energies of a file's rows: what they count from, and whether their molecules can have them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from alkit.datasets.create import FITTED
from alkit.datasets.importing.fitted_atoms import AtomFit
from alkit.datasets.importing.options import ImportOptions
from alkit.datasets.importing.properties import Column
from alkit.datasets.importing.rows import Source
from alkit.datasets.importing.spool import Checked
from alkit.datasets.references import QM9_NAME, read_references
from alkit.errors import DataError
from alkit.molecules.energies import (
    UNITS,
    Reading,
    electrons_of,
    problem_of,
    problem_of_total,
    read_as,
    unit_of,
)
from alkit.molecules.free_atoms import ATOM_ENERGIES

FIT = "fit"
_MOSTLY = 0.5  # of the first rows have to be wrong before the column is, and not the rows


class Energies:
    """The energies of an import.

    Args:
        columns: all numbers of a row, in its order.
        source: what the file says of the isolated atoms.
        options: what the user says of them.
        head: the first rows.
        what: names the files in messages.

    Raises:
        DataError: no isolated atoms for total energies; or a column that is something else than it is said to
            be.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        source: Source,
        options: ImportOptions,
        head: Sequence[Checked],
        what: str,
    ):
        self._columns = columns
        self._checked = [k for k, column in enumerate(columns) if column.property.is_energy]
        self.atoms: dict[str, dict[int, float]] = {}
        self.references: dict[str, str] = {}
        self._fits: dict[int, tuple[AtomFit, str]] = {}
        for k in self._checked:
            column = columns[k]
            if column.property.kind == "total":
                self._find_atoms(column, source, options)
            elif options.references and all(c.property.kind != "total" for c in columns):
                raise DataError(
                    "--references are the atoms of total energies; give --kind total, or leave them out."
                )
            self._check_column(k, head, f"{what}, {column.column}")

    def _find_atoms(self, column: Column, source: Source, options: ImportOptions) -> None:
        known = next((m for m in ATOM_ENERGIES if column.property.level.lower() == m.lower()), "")
        own = source.atoms.get(column.column)
        name = options.references
        if name == FIT:
            self.references[column.name] = FITTED
        elif name:
            self.atoms[column.name] = read_references(name, unit_of(column.unit))
            self.references[column.name] = name
        elif own:
            self.atoms[column.name] = {z: value * column.factor for z, value in own.items()}
            self.references[column.name] = "the file's own"
        elif known:
            self.atoms[column.name] = dict(ATOM_ENERGIES[known])
            self.references[column.name] = known
        else:
            raise DataError(
                f"--kind total needs the energies of the isolated atoms at {column.property.level}; "
                f"give --references {QM9_NAME}, {', '.join(ATOM_ENERGIES)} or a JSON file such as "
                '{"H": -0.5, "C": -37.8} in the same unit; or --references fit, which estimates them from '
                "these energies: models learn from them as well."
            )

    def _check_column(self, k: int, head: Sequence[Checked], what: str) -> None:
        """Refuse a column whose first rows look like something else than what it is said to be."""
        column = self._columns[k]
        values = np.array([row.labels[k] for row in head])
        compositions = [row.numbers for row in head]
        if len(values) >= 5 and np.ptp(values) == 0 and len({len(one) for one in compositions}) > 1:
            raise DataError(f"{what}: all energies are {values[0]:.6g} eV; different molecules differ.")
        if column.property.kind == "total":
            electrons = electrons_of(values, compositions)
            self._fits[k] = (AtomFit(electrons), electrons)
        wrong = [(row, problem) for row in head if (problem := self.problem(row, k, first=True))]
        if len(wrong) <= _MOSTLY * len(head):
            return
        reading = read_as(values / column.factor, compositions)
        has = f"{wrong[0][0].smiles} has {wrong[0][1]}"
        declared = Reading(_spelled(column.unit), column.property.kind)
        if reading is None or reading == declared:
            said = " Are the references those of the same level?" if column.property.kind == "total" else ""
            raise DataError(
                f"{what}: {len(wrong)} of the first {len(head)} molecules cannot have their energy: {has}."
                f"{said}"
            )
        raise DataError(
            f"{what}: {has}; the numbers look like {reading}, and were taken to be {declared}."
            f"{_advice(reading)}"
        )

    def problem(self, row: Checked, k: int | None = None, *, first: bool = False) -> str:
        """Why a molecule cannot have its energies; empty where it can.

        Total energies of unknown atoms are added to the fit of these.
        """
        for index in self._checked if k is None else [k]:
            column, value = self._columns[index], float(row.labels[index])
            if column.property.kind == "atomization":
                problem = problem_of(value, row.numbers)
            elif (atoms := self.atoms.get(column.name)) is not None:
                problem = _problem_from(value, row.numbers, atoms)
            else:
                fit, electrons = self._fits[index]
                problem = problem_of_total(value, row.numbers, electrons) if electrons else ""
                if first and not electrons and _is_tabulated(row.numbers):
                    problem = f"{value:.6g} eV, which is no total energy of its atoms"
                if not problem and not first:
                    fit.add(row.numbers, value)
            if problem:
                return f"its {column.column} is {problem}" if k is None else problem
        return ""

    def fit(self) -> None:
        """The isolated atoms that nobody has computed, from all rows seen."""
        for k, (fit, _) in self._fits.items():
            if self._columns[k].name not in self.atoms:
                self.atoms[self._columns[k].name] = fit.atoms()

    @property
    def fitted(self) -> list[Column]:
        """Total energies whose atoms are estimated."""
        return [self._columns[k] for k in self._fits if self.references[self._columns[k].name] == FITTED]

    def outliers(self, rows: Iterable[tuple[int, Checked]]) -> Iterable[tuple[int, Checked, str]]:
        """Rows whose total energy is out of line with the atoms that fit all: of another unit, or damaged."""
        fitted = {column.name: column for column in self.fitted}
        for number, row in rows if fitted else ():
            for k, column in enumerate(self._columns):
                if column.name in fitted and (
                    problem := _problem_from(float(row.labels[k]), row.numbers, self.atoms[column.name])
                ):
                    yield (
                        number,
                        row,
                        f"its {column.column}, less the atoms that fit all rows, is {problem}",
                    )
                    break


def _problem_from(value: float, numbers: np.ndarray, atoms: Mapping[int, float]) -> str:
    missing = sorted({int(z) for z in numbers} - set(atoms))
    if missing:
        return f"a total, and the energy of the isolated atom with Z = {missing[0]} is unknown"
    problem = problem_of(value - sum(atoms[int(z)] for z in numbers), numbers)
    return problem and f"{value:.6g} eV, less the isolated atoms {problem}"


def _is_tabulated(numbers: np.ndarray) -> bool:
    return problem_of_total(0.0, numbers, "all") != ""


def _spelled(unit: str) -> str:
    """A unit as `Reading` names it."""
    return next(name for name, factor in UNITS.items() if factor == unit_of(unit))


def _advice(reading: Reading) -> str:
    if reading.kind in ("of the other sign", "per atom"):
        return " Bound molecules have negative energies, of the whole molecule; change the column."
    return f" Give --unit {reading.unit} --kind {reading.kind}."
