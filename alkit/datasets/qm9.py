"""QM9 into alkit's database, from whichever published form is at hand."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rdkit import Chem

from alkit.datasets.create import Record, create_database, refuse_database
from alkit.datasets.qm9_forms import (
    ATOMREFS,
    LEVEL,
    N_QM9,
    N_UNCHARACTERIZED,
    UNITS,
    Form,
    RawMolecule,
    read_uncharacterized,
    recognise,
)
from alkit.datasets.structures import perceived_smiles
from alkit.errors import DataError
from alkit.molecules.energies import problem_of
from alkit.molecules.molecule import canonical_of_any

__all__ = ["ATOMREFS", "LEVEL", "ImportReport", "import_qm9"]

_BESIDE = ("uncharacterized.txt", "qm9_uncharacterized_ids.txt", "3195404")
_EVERY = 500


@dataclass(frozen=True)
class ImportReport:
    """A report of an import: ``read == written + sum(skipped.values())``.

    Reasons in ``skipped``:

    - ``uncharacterized``: listed as such by QM9,
    - ``duplicate``: a molecule whose canonical SMILES came before,
    - ``unparsable``: no SMILES that RDKit can read,
    - ``composition_mismatch``: SMILES and geometry hold different atoms,
    - ``other_elements``: not H, C, N, O, F.
    """

    form: str
    geometry: str
    read: int
    written: int
    skipped: dict[str, int]
    uncharacterized: Path | None

    def __str__(self) -> str:
        skipped = ", ".join(f"{count} {reason}" for reason, count in sorted(self.skipped.items())) or "none"
        listed = self.uncharacterized.name if self.uncharacterized else "no list of uncharacterized ids"
        return f"{self.form}: {self.read} read, {self.written} written, skipped: {skipped} ({listed})"


def import_qm9(
    source: Path,
    database: Path,
    *,
    limit: int | None = None,
    uncharacterized: Path | None = None,
    on_progress: Callable[[int, int | None], None] | None = None,
) -> ImportReport:
    """Write a new database from QM9; it appears only when complete.

    SMILES are those of the relaxed geometry. Schnetpack's database has none: there they are perceived from
    the geometry. The first of molecules with one canonical SMILES is kept.

    Args:
        source: dsgdb9nsd.xyz.tar.bz2, a folder of its .xyz files or one of them, schnetpack's qm9.db,
            MoleculeNet's qm9.csv, or the .npz of alkit's development data. The .csv has labels without
            geometry: rows have the atoms of ``Chem.AddHs`` and no positions.
        database: file to write, ending in .db; must not exist.
        limit: stop after so many molecules are written.
        uncharacterized: list of the ids that failed QM9's consistency check, to leave out. Without it, a file
            of the usual names beside the source is used, and the report says so.
        on_progress: called now and then with (molecules read, molecules in all or None if not known).

    Raises:
        DataError: unknown or broken source (naming file and line), numbers in other units, ``database``
            exists or cannot be written, nothing to write.
    """
    source, database = Path(source), Path(database)
    refuse_database(database)
    if limit is not None and limit < 1:
        raise DataError(f"limit is {limit}; it must be at least 1.")
    form = recognise(source)
    listed = uncharacterized or _beside(source)
    excluded = read_uncharacterized(listed) if listed else frozenset()
    counts = _Counts()
    records = _records(_numbered(form, excluded), form, excluded, limit, counts, on_progress)
    partial = database.with_name(f".{database.name}.{os.getpid()}.part")
    try:
        written = create_database(
            partial,
            records,
            units={name: UNITS[name] for name in form.properties},
            level=LEVEL,
            geometry=form.geometry,
            source=f"QM9 (DOI 10.1038/sdata.2014.22), {form.name} {source.name}",
            atomrefs=ATOMREFS,
        )
        if not written:
            raise DataError(f"{source} gave no molecules; skipped: {dict(counts.skipped) or 'none'}.")
        refuse_database(database)
        partial.replace(database)
    finally:
        for left in (partial, partial.with_name(partial.name + "-journal")):
            left.unlink(missing_ok=True)
    return ImportReport(form.name, form.geometry, counts.read, written, dict(counts.skipped), listed)


class _Counts:
    def __init__(self) -> None:
        self.read = 0
        self.skipped: Counter[str] = Counter()


def _beside(source: Path) -> Path | None:
    folders = [source, source.parent] if source.is_dir() else [source.parent]
    return next((folder / name for folder in folders for name in _BESIDE if (folder / name).is_file()), None)


def _numbered(form: Form, excluded: frozenset[int]) -> Iterator[RawMolecule]:
    # schnetpack drops the uncharacterized molecules from its database on request and keeps no ids; with the
    # list at hand the row numbers give them back.
    left_out = form.name == "schnetpack database" and form.total == N_QM9 - N_UNCHARACTERIZED
    if not left_out or len(excluded) != N_UNCHARACTERIZED:
        yield from form.molecules
        return
    ids = (i for i in range(1, N_QM9 + 1) if i not in excluded)
    for gdb_id, raw in zip(ids, form.molecules, strict=True):
        yield replace(raw, gdb_id=gdb_id)


def _records(
    molecules: Iterator[RawMolecule],
    form: Form,
    excluded: frozenset[int],
    limit: int | None,
    counts: _Counts,
    on_progress: Callable[[int, int | None], None] | None,
) -> Iterator[Record]:
    seen: set[str] = set()
    for raw in molecules:
        counts.read += 1
        if on_progress is not None and counts.read % _EVERY == 0:
            on_progress(counts.read, form.total)
        outcome = "uncharacterized" if raw.gdb_id in excluded else _record(raw)
        if isinstance(outcome, Record) and outcome.smiles in seen:
            outcome = "duplicate"
        if isinstance(outcome, str):
            counts.skipped[outcome] += 1
            continue
        seen.add(outcome.smiles)
        yield outcome
        if len(seen) == limit:
            break
    if on_progress is not None:
        on_progress(counts.read, form.total)


def _record(raw: RawMolecule) -> Record | str:
    """The molecule ready to be written, or the reason why it is skipped."""
    smiles = _smiles(raw)
    if smiles is None:
        return "unparsable"
    molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
    from_smiles = np.array([atom.GetAtomicNum() for atom in molecule.GetAtoms()])
    numbers = from_smiles if raw.numbers is None else raw.numbers
    if not np.array_equal(np.sort(numbers), np.sort(from_smiles)):
        return "composition_mismatch"
    references = ATOMREFS["energy_U0"]
    if not set(numbers.tolist()) <= set(references):
        return "other_elements"
    bound = raw.labels["energy_U0"] - sum(references[z] for z in numbers.tolist())
    if problem := problem_of(bound, numbers, Chem.GetFormalCharge(molecule)):
        raise DataError(
            f"{raw.where}: U0 of {smiles}, less its isolated atoms at {LEVEL}, is {problem}; the source must "
            "hold total energies, QM9's own files in Hartree."
        )
    return Record(smiles, numbers, raw.positions, raw.labels, raw.gdb_id)


def _smiles(raw: RawMolecule) -> str | None:
    if raw.smiles is not None:
        return canonical_of_any(raw.smiles)
    if raw.numbers is None or raw.positions is None:
        return None
    return perceived_smiles(raw.numbers, raw.positions)
