"""Import a user's files: all checked rows, or nothing."""

from __future__ import annotations

import csv
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path

import numpy as np

from alkit.datasets.create import Property, Record, create_database, refuse_database
from alkit.datasets.importing.energies import Energies
from alkit.datasets.importing.molecules import Structure, Structures
from alkit.datasets.importing.options import ImportOptions
from alkit.datasets.importing.properties import (
    Column,
    Forces,
    columns_of,
    forces_of,
    length_of,
    without_forces,
)
from alkit.datasets.importing.rows import Row, Source
from alkit.datasets.importing.sources import open_source
from alkit.datasets.importing.spool import Checked, Spool
from alkit.errors import DataError
from alkit.files import is_running
from alkit.molecules.scalars import check_unit, problem_of, problem_of_orbitals

_HEAD = 500  # rows by which a column is judged
_NAMED = 20  # bad rows after which an import without --skip-bad gives up
_EVERY = 200
OnProgress = Callable[[str, int, int | None], None]


@dataclass(frozen=True)
class FilesReport:
    """A report of an import.

    Attributes:
        read: rows of the files.
        written: rows of the database.
        molecules: distinct ones.
        repeated: rows that repeat another, with the same numbers; left out.
        unlabelled: rows whose file says why they have no label; left out.
        higher: geometries of which only the lowest of the molecule is kept.
        bad: why rows could not be used, with their number.
        left_out: table of these rows, where there are any.
        properties: what is stored.
        forces: whether they are.
        without_forces: how many of the first rows have none, where others have: then none are stored.
        geometry: "dataset" or "none".
    """

    read: int
    written: int
    molecules: int
    repeated: int
    unlabelled: int
    higher: int
    bad: dict[str, int]
    left_out: Path | None
    properties: dict[str, Property]
    forces: bool
    without_forces: int
    geometry: str

    def __str__(self) -> str:
        parts = [f"{self.read} rows read, {self.written} written ({self.molecules} molecules)"]
        for count, said in (
            (self.repeated, "repeat another row"),
            (self.unlabelled, "have no label"),
            (self.higher, "are higher conformers"),
            (sum(self.bad.values()), f"could not be used (see {self.left_out})"),
        ):
            if count:
                parts.append(f"{count} {said}")
        return ", ".join(parts)


class _Problems:
    """Rows that cannot be used; without ``skip`` too many of them end the import."""

    def __init__(self, *, skip: bool):
        self._skip = skip
        self.rows: list[tuple[str, str, str]] = []

    def add(self, where: str, smiles: str, reason: str) -> None:
        self.rows.append((where, smiles, reason))
        if not self._skip and len(self.rows) >= _NAMED:
            self.refuse(more=True)

    def refuse(self, *, more: bool = False) -> None:
        """Stop at a bad row, unless bad rows are left out.

        Raises:
            DataError: the row is bad.
        """
        if self._skip or not self.rows:
            return
        named = "; ".join(f"{where}: {reason.rstrip('.')}" for where, _, reason in self.rows[:3])
        rest = f" and {len(self.rows) - 3}{' or more' if more else ''} others" if self.rows[3:] else ""
        raise DataError(
            f"{named}{rest}. Nothing was written; --skip-bad leaves such rows out, and lists them."
        )


def import_files(
    files: Sequence[Path],
    database: Path,
    options: ImportOptions | None = None,
    *,
    on_progress: OnProgress | None = None,
) -> FilesReport:
    """Write a new database from a user's own files; it appears only when complete.

    Args:
        files: tables (.csv, .tsv, .parquet), SD, MOL and MOL2 files, XYZ, extended XYZ, ASE's databases and
            trajectories, arrays (.npz, .mat, .h5); or geometries and one table with their numbers.
        database: file to write, ending in .db; must not exist.
        options: units, kinds, levels and columns, as the user states them.
        on_progress: called now and then with what is done ("reading", "writing"), rows, and rows in all.

    Raises:
        DataError: unreadable files; unit, kind or level that are not known; numbers that molecules cannot
            have; rows that cannot be used, unless ``options.skip_bad``; nothing left to write.
    """
    options = options or ImportOptions()
    options.check()
    refuse_database(database)
    what = ", ".join(str(file) for file in files[:2]) + (" …" if files[2:] else "")
    with _workplace(database) as folder, closing(Spool(folder / "rows.sqlite")) as spool:
        reading = _Reading(files, options, spool, what, on_progress or (lambda *_: None))
        reading.read()
        report = reading.write(folder / database.name, database)
        refuse_database(database)
        (folder / database.name).replace(database)
    return report


@contextmanager
def _workplace(database: Path) -> Iterator[Path]:
    """A folder beside the database for what is not complete; those that killed imports have left go first."""
    for left in database.parent.glob(f".{database.name}.*.part"):
        found = re.fullmatch(r".*\.(\d+)\.part", left.name)
        if found and left.is_dir() and not left.is_symlink() and not is_running(int(found[1])):
            shutil.rmtree(left, ignore_errors=True)
    folder = database.with_name(f".{database.name}.{os.getpid()}.part")
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Reading:
    """One import under way."""

    def __init__(
        self, files: Sequence[Path], options: ImportOptions, spool: Spool, what: str, on_progress: OnProgress
    ):
        self._files, self._options, self._spool, self._what = files, options, spool, what
        self._on_progress = on_progress
        self._problems = _Problems(skip=options.skip_bad)
        self._count = self._repeated = self._unlabelled = 0

    def read(self) -> None:
        """Check all rows into the spool, then what only all of them can say."""
        source = open_source(self._files, self._options.wanted(self._options.properties))
        self._structures = Structures(self._options.smiles, length_of(source, self._options))
        self._total = source.total
        rows = islice(source.rows, self._options.limit)
        head = self._begin(source, rows)
        for checked in chain(head, self._checked(rows)):
            if problem := self._energies.problem(checked):
                self._problems.add(checked.place, checked.smiles, problem)
            else:
                self._keep(checked)
        self._on_progress("reading", self._count, self._count)
        self._energies.fit()
        bad = []
        for number, row, problem in self._energies.outliers(self._spool):
            bad.append(number)
            self._problems.add(row.place, row.smiles, problem)
        for number in bad:
            self._spool.leave_out(number)
        self._problems.refuse()

    def _begin(self, source: Source, rows: Iterator[Row]) -> list[Checked]:
        """Look at the first rows: what their numbers are, and whether they can be that."""
        first: list[tuple[Row, Structure]] = []
        for row in rows:
            if (structure := self._structure(row)) is not None:
                first.append((row, structure))
            if len(first) >= _HEAD:
                break
        if not first:
            self._problems.refuse()
            reasons = "; ".join(f"{where}: {why}" for where, _, why in self._problems.rows[:3])
            raise DataError(f"{self._what} gave no molecules{f' ({reasons})' if reasons else ''}.")
        named = [(row, structure.numbers) for row, structure in first]
        self._columns: list[Column] = columns_of(source, self._options, named, self._what)
        self._forces: Forces | None = forces_of(source, self._options, self._columns, named)
        self._without_forces = 0 if self._forces else without_forces(source, named)
        self._geometry = any(structure.positions is not None for _, structure in first)
        self._levels = {c.property.level for c in self._columns if c.column in source.levels}
        head = [checked for row, structure in first if (checked := self._check(row, structure)) is not None]
        self._energies = Energies(self._columns, source, self._options, head, self._what)
        self._check_scalars(head)
        return head

    def _check_scalars(self, head: Sequence[Checked]) -> None:
        """Refuse a column that is no energy and whose first rows look like something else than it is said."""
        for k, column in enumerate(self._columns):
            if not column.property.is_energy:
                values = np.array([row.labels[k] for row in head])
                compositions = [row.numbers for row in head]
                what = f"{self._what}, {column.column}"
                check_unit(column.short, values, compositions, what, factor=column.factor)

    def _structure(self, row: Row) -> Structure | None:
        """A row's molecule; None where it has none, or no label."""
        self._count += 1
        if self._count % _EVERY == 0:
            self._on_progress("reading", self._count, self._total)
        if row.unlabelled:
            self._unlabelled += 1
            return None
        try:
            return self._structures.of(row)
        except DataError as error:
            self._problems.add(row.where, row.smiles, str(error))
            return None

    def _check(self, row: Row, structure: Structure) -> Checked | None:
        try:
            if self._geometry and structure.positions is None:
                raise DataError("it has no geometry, and others have one")
            for level in self._levels:
                if row.values.get("method", level) != level:
                    raise DataError(f"its method is {row.values['method']!r}, and others' is {level!r}")
            labels = np.array([column.of(row) for column in self._columns])
            if problem := _problem_of_scalars(self._columns, labels):
                raise DataError(problem)
            forces = self._forces.of(row) if self._forces else None
        except DataError as error:
            self._problems.add(row.where, structure.smiles, str(error))
            return None
        positions = structure.positions if self._geometry else None
        return Checked(row.where, structure.smiles, structure.numbers, positions, labels, forces)

    def _checked(self, rows: Iterator[Row]) -> Iterator[Checked]:
        for row in rows:
            structure = self._structure(row)
            checked = self._check(row, structure) if structure is not None else None
            if checked is not None:
                yield checked

    def _keep(self, row: Checked) -> None:
        """Keep a row; a repetition is counted, and of two that contradict each other neither is kept."""
        for number, other in self._spool.same(row):
            if np.allclose(other.labels, row.labels, rtol=1e-9, atol=1e-6):
                self._repeated += 1
                return
            if self._options.conformers == "lowest" and row.positions is None:
                continue
            self._spool.leave_out(number)
            for place, one, another in ((other.place, other, row), (row.place, row, other)):
                self._problems.add(
                    place,
                    row.smiles,
                    f"{row.smiles} has {_said(one)} here and {_said(another)} at {another.place}"
                    + ("" if row.positions is None else ", in one geometry"),
                )
            return
        self._spool.add(row)

    def write(self, partial: Path, database: Path) -> FilesReport:
        """Write the kept rows, and the table of those that were left out."""
        higher = 0
        if self._options.conformers == "lowest":
            higher = self._keep_lowest()
        total = len(self._spool)
        if not total:
            reasons = "; ".join(f"{where}: {why}" for where, _, why in self._problems.rows[:3])
            raise DataError(f"{self._what} gave no molecules ({reasons}).")
        properties = {
            c.name: replace(c.property, references=self._energies.references.get(c.name, ""))
            for c in self._columns
        }
        energies = [c for c in self._columns if c.property.is_energy]
        forces_of = energies[0].name if self._forces else ""
        written = create_database(
            partial,
            self._records(total),
            units={name: one.unit for name, one in properties.items()},
            level=", ".join(dict.fromkeys(one.full_level for one in properties.values())),
            geometry="dataset" if self._geometry else "none",
            source=", ".join(Path(file).name for file in self._files),
            atomrefs=self._energies.atoms,
            properties=properties,
            forces_of=forces_of,
        )
        self._on_progress("writing", written, total)
        return FilesReport(
            self._count,
            written,
            self._spool.molecules(),
            self._repeated,
            self._unlabelled,
            higher,
            dict(Counter(reason for _, _, reason in self._problems.rows)),
            self._list_left_out(database),
            properties,
            bool(self._forces),
            self._without_forces,
            "dataset" if self._geometry else "none",
        )

    def _keep_lowest(self) -> int:
        """Leave out all geometries of a molecule but that of the lowest energy; how many they were."""
        energies = (k for k, column in enumerate(self._columns) if column.property.is_energy)
        if (energy := next(energies, None)) is not None:
            return self._spool.keep_lowest(energy)
        if self._spool.molecules() < len(self._spool):
            raise DataError(
                "--conformers lowest goes by an energy; there are several rows of a molecule, and no "
                "--property is an energy."
            )
        return 0

    def _records(self, total: int) -> Iterator[Record]:
        names = [column.name for column in self._columns]
        for number, (_, row) in enumerate(self._spool):
            if number % _EVERY == 0:
                self._on_progress("writing", number, total)
            labels = dict(zip(names, row.labels.tolist(), strict=True))
            yield Record(row.smiles, row.numbers, row.positions, labels, forces=row.forces)

    def _list_left_out(self, database: Path) -> Path | None:
        """The table of rows that could not be used, beside the database."""
        if not self._problems.rows:
            return None
        path = database.with_suffix(".left_out.csv")
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("where", "smiles", "reason"), *self._problems.rows])
        return path


def _problem_of_scalars(columns: Sequence[Column], labels: np.ndarray) -> str:
    """Why a molecule cannot have its numbers that are no energies; empty where it can."""
    values = {
        column.short: float(value)
        for column, value in zip(columns, labels, strict=True)
        if not column.property.is_energy
    }
    problems = (problem_of(name, value) for name, value in values.items())
    return next((problem for problem in problems if problem), "") or problem_of_orbitals(values)


def _said(row: Checked) -> str:
    return ", ".join(f"{value:.6g}" for value in row.labels)
