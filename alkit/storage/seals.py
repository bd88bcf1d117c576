"""Seals: hashes of what a ledger and the files of its rounds hold, so that a change from outside is seen.

They are no protection from somebody who means harm, who can write both; labels have hashes of their own.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from alkit.files import digest
from alkit.storage.label_rows import LEVEL

SCHEMA = """
CREATE TABLE IF NOT EXISTS seals (
    what TEXT NOT NULL, key TEXT NOT NULL, hash TEXT NOT NULL, PRIMARY KEY (what, key)
);
"""
# By table: the columns that name a row, and those that must stay as they were written.
SEALED = {
    "candidates": (("id",), ("round", "role", "smiles", "status", "reason", "detail")),
    "outcomes": (
        ("candidate",),
        (*LEVEL, "source", "attempts", "seconds", "host", "version", "hash", "finished"),
    ),
    "origins": (("candidate",), ("origin",)),
    "changes": (("id",), ("round", "change", "made")),
    "stages": (("round", "stage"), ("seconds",)),
    "geometries": (("smiles", "geometry"), ("numbers", "positions")),
    "single_points": (
        ("smiles", "geometry"),
        (*LEVEL, "energy", "charges", "bond_orders"),
    ),
    "metrics": (("round", "name"), ("value",)),
}
_FILE = "file"


def seal(db: sqlite3.Connection, table: str, key: tuple[Any, ...]) -> None:
    """Seal a row that was just written."""
    names, values = SEALED[table]
    where = " AND ".join(f"{name} = ?" for name in names)
    row = db.execute(f"SELECT {', '.join(values)} FROM {table} WHERE {where}", key).fetchone()
    db.execute("INSERT OR REPLACE INTO seals VALUES (?, ?, ?)", (table, repr(key), _hash(row)))


def broken_rows(db: sqlite3.Connection, table: str) -> Iterator[str]:
    """Rows that are not, or no more, what was sealed; those of earlier revisions have no seal."""
    names, values = SEALED[table]
    sealed = dict(db.execute("SELECT key, hash FROM seals WHERE what = ?", (table,)))
    for row in db.execute(f"SELECT {', '.join((*names, *values))} FROM {table}"):
        key = repr(tuple(row[: len(names)]))
        if sealed.pop(key, None) not in (None, _hash(row[len(names) :])):
            yield f"the row {key:.80} is not the one that was written"
    for key in sealed:
        yield f"the row {key:.80} is gone"


def seal_again(db: sqlite3.Connection, round_: int) -> None:
    """Bring the seals in line with a copy that ends with ``round_``: those of later rows and files go."""
    for table, (names, _) in SEALED.items():
        keys = {repr(tuple(row)) for row in db.execute(f"SELECT {', '.join(names)} FROM {table}")}
        sealed = [key for (key,) in db.execute("SELECT key FROM seals WHERE what = ?", (table,))]
        gone = [(table, key) for key in sealed if key not in keys]
        db.executemany("DELETE FROM seals WHERE what = ? AND key = ?", gone)
    files = [name for (name,) in db.execute("SELECT key FROM seals WHERE what = ?", (_FILE,))]
    later = [(_FILE, name) for name in files if int(name.split("/")[1]) > round_]  # rounds/02/training.csv
    db.executemany("DELETE FROM seals WHERE what = ? AND key = ?", later)
    for key in db.execute("SELECT id FROM changes").fetchall():
        seal(db, "changes", key)


def seal_files(db: sqlite3.Connection, folder: Path, files: list[Path]) -> None:
    """Seal files of a campaign's ``folder``."""
    rows = [(_FILE, path.relative_to(folder).as_posix(), digest(path)) for path in files]
    db.executemany("INSERT OR REPLACE INTO seals VALUES (?, ?, ?)", rows)


def broken_files(db: sqlite3.Connection, folder: Path) -> Iterator[str]:
    """Files that were changed since they were sealed. One that was removed is missed by whoever needs it."""
    for name, written in db.execute("SELECT key, hash FROM seals WHERE what = ?", (_FILE,)):
        path = folder / name
        if path.is_file() and digest(path) != written:
            yield name


def _hash(values: Any) -> str:
    return hashlib.blake2b(repr(tuple(values)).encode(), digest_size=16).hexdigest()
