"""Label a file of molecules."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from alkit import datasets
from alkit.datasets.records import geometry_of, has_geometry
from alkit.datasets.tables import USUAL, Columns
from alkit.engines import create_engine
from alkit.errors import DataError, words_of
from alkit.files import output
from alkit.molecules.conformers import Unplaced
from alkit.molecules.molecule import Molecule, canonical
from alkit.reporting.progress import CampaignProgress
from alkit.simulators.base import Label, SimulatorSpec


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
    """Write a CSV of labels in the file's order; returns how many molecules have one, and how many do not.

    Args:
        strict: the first molecule that cannot be read is an error; else it is a row with its reason.
        columns, length: of a table, and Å in the unit of structures.

    Raises:
        DataError: a file that cannot be read, or, if ``strict``, a molecule in it.
    """
    wanted = _read(molecules, columns, length, strict=strict)
    named = any(one.name for one in wanted.values())
    done = failed = 0
    with (
        create_engine(simulator, workers=workers, timeout=timeout) as engine,
        output(out) as file,
        progress,
        progress.steps(f"labelling at {engine.level}", len(wanted)) as advance,
    ):
        rows = csv.writer(file)
        header = ["smiles", f"{engine.level.property}_eV", "method", "seconds", "reason", "detail"]
        rows.writerow([*header, "name"] if named else header)
        finished: dict[str, tuple[str, ...]] = {}
        left = iter(wanted.values())
        current = next(left, None)

        def keep(smiles: str, value: str, seconds: str, reason: str = "", detail: str = "") -> None:
            """Write what is complete from the file's beginning on."""
            nonlocal current
            finished[smiles] = value, seconds, reason, detail
            advance(1)
            while current is not None and current.smiles in finished:
                value, seconds, reason, detail = finished.pop(current.smiles)
                row = [current.smiles, value, engine.level.method, seconds, reason, detail]
                rows.writerow([*row, current.name] if named else row)
                current = next(left, None)
            file.flush()

        def readable() -> Iterator[Any]:
            nonlocal failed
            for one in wanted.values():
                if one.problem:
                    failed += 1
                    keep(one.smiles, "", "", one.problem)
                else:
                    yield one.geometry or Unplaced(one.smiles, seed)

        for molecule, outcome in engine.label_all(readable()):
            if isinstance(outcome, Label):
                done += 1
                keep(molecule.smiles, f"{outcome.value:.6f}", f"{outcome.seconds:.2f}")
            else:
                failed += 1
                keep(molecule.smiles, "", "", *words_of(outcome))
    return done, failed


def _read(path: Path, columns: Columns, length: float, *, strict: bool) -> dict[str, _Wanted]:
    """The file's different molecules, in its order; of one that comes again the first name counts."""
    wanted: dict[str, _Wanted] = {}
    if datasets.holds_structures(path):
        for structure in datasets.read_structures(path, length):
            one = _of_structure(structure)
            if strict and one.problem:
                raise DataError(f"{path}: {structure.smiles}: {one.problem}")
            wanted.setdefault(one.smiles, one)
        return wanted
    for entry in datasets.scan_molecules(path, columns):
        name = " ".join(entry.name.split())
        try:
            one = _of_entry(entry, name, length)
        except DataError as error:
            if strict:
                raise DataError(f"{path}, {entry.where}: {error}.") from None
            one = _Wanted(" ".join(entry.smiles.split())[:200], name, problem=str(error))
        wanted.setdefault(one.smiles, one)
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
