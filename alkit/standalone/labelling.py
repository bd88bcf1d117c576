"""Label a file of molecules."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, NamedTuple

from alkit import datasets
from alkit.datasets.records import geometry_of, has_geometry
from alkit.datasets.tables import USUAL, Columns
from alkit.engines import create_engine
from alkit.errors import DataError, LabelError, words_of
from alkit.files import output
from alkit.molecules.conformers import Unplaced
from alkit.molecules.molecule import Molecule, canonical
from alkit.properties import column
from alkit.reporting.progress import CampaignProgress
from alkit.simulators.base import Label, Level, SimulatorSpec


class _Wanted(NamedTuple):
    """One molecule of the file: what to label, its name there, and why it cannot be labelled, if so."""

    smiles: str
    name: str = ""
    geometry: Molecule | None = None
    problem: str = ""


def label_file(
    molecules: Path,
    out: Path | None,
    *,
    simulator: SimulatorSpec,
    workers: int,
    timeout: float,
    seed: int,
    progress: CampaignProgress,
    columns: Columns = USUAL,
    strict: bool = False,
    length: float = 1.0,
) -> tuple[int, int]:
    """Write a CSV of labels: a row for each molecule of the file, in its order.

    A SMILES that comes again is computed once; each geometry of a molecule is labelled.

    Args:
        molecules: SMILES, a table or structures.
        out: the CSV to write; standard output by default.
        simulator: computes the labels.
        workers: processes.
        timeout: seconds that a label may take.
        seed: of start geometries.
        progress: shows the labels.
        columns: of a table.
        strict: the first molecule that cannot be read is an error; else it is a row with its reason.
        length: Å in the unit of structures.

    Returns:
        How many rows have a label, and how many do not.

    Raises:
        DataError: a file that cannot be read, or, if ``strict``, a molecule in it.
    """
    wanted = _read(molecules, columns, length, strict=strict)
    with (
        create_engine(simulator, workers=workers, timeout=timeout) as engine,
        output(out) as file,
        progress,
        progress.steps(f"labelling at {engine.level}", len(wanted)) as advance,
    ):
        rows = _Rows(file, wanted, engine.level, advance)
        places: dict[Molecule | Unplaced, list[int]] = {}
        for number, one in enumerate(wanted):
            if one.problem:
                rows.settle([number], one.problem)
            else:
                places.setdefault(one.geometry or Unplaced(one.smiles, seed), []).append(number)
        for item, outcome in engine.label_all(list[Any](places)):
            rows.settle(places[item], outcome)
    return rows.labelled, len(wanted) - rows.labelled


class _Rows:
    """The table's rows, in the file's order: one that is ready waits for those before it."""

    def __init__(self, file: IO[str], wanted: list[_Wanted], level: Level, advance: Callable[[int], None]):
        self.labelled = 0
        self._file, self._wanted, self._method, self._advance = file, wanted, level.method, advance
        self._named = any(one.name for one in wanted)
        self._ready: dict[int, tuple[str, ...]] = {}
        self._next = 0
        self._rows = csv.writer(file)
        header = ["smiles", column(level.property, level.unit), "method", "seconds", "reason", "detail"]
        self._rows.writerow([*header, "name"] if self._named else header)

    def settle(self, numbers: list[int], outcome: Label | LabelError | str) -> None:
        """Write what is complete from the file's beginning on."""
        for number in numbers:
            self._ready[number] = _cells(outcome)
        self.labelled += len(numbers) * isinstance(outcome, Label)
        self._advance(len(numbers))
        while self._next in self._ready:
            one, (value, seconds, *why) = self._wanted[self._next], self._ready.pop(self._next)
            row = [one.smiles, value, self._method, seconds, *why]
            self._rows.writerow([*row, one.name] if self._named else row)
            self._next += 1
        self._file.flush()


def _cells(outcome: Label | LabelError | str) -> tuple[str, ...]:
    """Value, seconds, reason and detail."""
    if isinstance(outcome, Label):
        return f"{outcome.value:.6f}", f"{outcome.seconds:.2f}", "", ""
    return ("", "", outcome, "") if isinstance(outcome, str) else ("", "", *words_of(outcome))


def _read(path: Path, columns: Columns, length: float, *, strict: bool) -> list[_Wanted]:
    """The file's molecules, in its order."""
    wanted = []
    if datasets.holds_structures(path):
        for structure in datasets.read_structures(path, length):
            one = _of_structure(structure)
            if strict and one.problem:
                raise DataError(f"{path}: {structure.smiles}: {one.problem}")
            wanted.append(one)
        return wanted
    for entry in datasets.scan_molecules(path, columns):
        name = " ".join(entry.name.split())
        try:
            one = _of_entry(entry, name, length)
        except DataError as error:
            if strict:
                raise DataError(f"{path}, {entry.where}: {error}.") from None
            one = _Wanted(" ".join(entry.smiles.split())[:200], name, problem=str(error))
        wanted.append(one)
    return wanted


def _of_entry(entry: datasets.Entry, name: str, length: float) -> _Wanted:
    """A molecule to label, in its own geometry where it has one."""
    if entry.problem:
        raise DataError(entry.problem)
    key = canonical(entry.smiles, ions=True)
    if entry.mol is None or not has_geometry(entry.mol):
        return _Wanted(key, name)
    numbers, positions = geometry_of(entry.mol)
    return _Wanted(key, name, Molecule(key, numbers, positions * length, "given"))


def _of_structure(structure: Molecule) -> _Wanted:
    smiles = datasets.perceived_smiles(structure.numbers, structure.positions)
    if smiles is None:
        return _Wanted(structure.smiles, problem="RDKit finds no neutral molecule in this geometry")
    try:
        key = canonical(smiles, ions=True)
    except DataError as error:
        return _Wanted(structure.smiles, problem=str(error))
    name = "" if structure.smiles[:1].isdigit() else structure.smiles
    return _Wanted(key, name, Molecule(key, structure.numbers, structure.positions, "given"))
