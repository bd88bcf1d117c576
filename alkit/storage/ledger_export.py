"""The ledger as files that other programs read: tables of all candidates, structures of all labels."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

from alkit.datasets.create import Property, Record, create_database
from alkit.errors import CampaignError, DataError
from alkit.files import by_ending
from alkit.plugins import nearest
from alkit.properties import ENERGIES, column, kind_of
from alkit.simulators.base import Label, Level
from alkit.storage.label_rows import read_attempts
from alkit.storage.ledger import Ledger, Status

TABLES = (".csv", ".parquet")


def export(ledger: Ledger, out: Path, *, name: str) -> int:
    """Write the ledger in the format of ``out``'s ending; returns the number of rows or structures.

    ``.csv`` and ``.parquet`` have every candidate, one a row, in the order of proposal. ``.db`` and
    ``.extxyz`` have every label of the campaign with its geometry (Å): atomization energies in eV, or another
    property in its unit. ``.db`` is ASE's database, as schnetpack reads it, and as ``dataset`` of another
    campaign.

    Args:
        ledger: of the campaign.
        out: the file to write; it must not exist.
        name: of the campaign.

    Raises:
        DataError: another ending, or the file exists.
        CampaignError: no label yet.
    """
    writers: dict[str, Callable[[Ledger, Path, str], int]] = {
        ".csv": _csv,
        ".parquet": _parquet,
        ".db": _database,
        ".extxyz": _extxyz,
    }
    write = by_ending(out, writers)
    if out.suffix.lower() not in TABLES:
        next(labels(ledger))  # before there is a file
    return write(ledger, out, name)


def rows(ledger: Ledger, *, status: str | None = None) -> Iterator[dict[str, Any]]:
    """Every candidate as a row of a table: ``attempts`` reads "as given: not_relaxed (2.1 s), …".

    Yields:
        Rows in the order of proposal.

    Raises:
        DataError: there is no such ``status``.
    """
    if status is not None and status not in get_args(Status):
        raise DataError(f"There is no status {status!r}; {nearest(status, get_args(Status))}.")
    for row in ledger.histories():
        if status not in (None, row["status"]):
            continue
        tries = read_attempts(row["attempts"] or "[]")  # NULL where no label was asked for
        attempts = ", ".join(f"{t.strategy}: {t.reason or 'label'} ({t.seconds:.2f} s)" for t in tries)
        yield row | {"attempts": attempts, "tries": len(tries)}


def labels(ledger: Ledger) -> Iterator[Label]:
    """The campaign's labels, each molecule once.

    Yields:
        Labels in the order of proposal.

    Raises:
        CampaignError: there is none yet.
    """
    level, labelled = ledger.level, set[str]()
    for candidate in ledger.candidates(status=("labelled",)):
        label = ledger.label(candidate.smiles, level) if level and candidate.smiles not in labelled else None
        if label is not None:
            labelled.add(candidate.smiles)
            yield label
    if not labelled:
        raise CampaignError(f"{ledger.path} has no label yet; give a campaign that has labelled something.")


def _csv(ledger: Ledger, out: Path, name: str) -> int:
    table = list(rows(ledger))
    with out.open("x", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(table[0]) if table else ["id"])
        writer.writeheader()
        writer.writerows(table)
    return len(table)


def _parquet(ledger: Ledger, out: Path, name: str) -> int:
    import pyarrow
    from pyarrow import parquet

    table = pyarrow.Table.from_pylist(list(rows(ledger)))
    parquet.write_table(table, out)
    return table.num_rows


def _database(ledger: Ledger, out: Path, name: str) -> int:
    level = ledger.level or Level("", "")  # without a level `labels` raises
    kind = "atomization" if level.property in ENERGIES else kind_of(level.property) or "scalar"
    records = (
        Record(label.smiles, label.numbers, label.positions, {level.property: label.value})
        for label in labels(ledger)
    )
    return create_database(
        out,
        records,
        units={level.property: level.unit},
        level=level.method,
        geometry="dataset",
        source=f"labels of the alkit campaign {name}",
        atomization=level.property in ENERGIES,
        properties={level.property: Property(level.unit, kind, level.method)},
    )


def _extxyz(ledger: Ledger, out: Path, name: str) -> int:
    from ase import Atoms
    from ase.io import write

    structures = [
        Atoms(
            label.numbers,
            label.positions,
            info={
                "smiles": label.smiles,
                "level": str(label.level),
                _column(label.level): label.value,
            },
        )
        for label in labels(ledger)
    ]
    write(out, structures, format="extxyz")
    return len(structures)


def _column(level: Level) -> str:
    """The name of a label beside its structure: ``atomization_u0_eV``, ``gap_eV``."""
    name = column(level.property, level.unit)
    return f"atomization_{name}" if level.property in ENERGIES else name
