"""Checked rows on disk until all are known: an import takes the same memory, however long the file."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

_SCHEMA = """
CREATE TABLE rows (id INTEGER PRIMARY KEY, place TEXT, smiles TEXT, key BLOB, numbers BLOB, positions BLOB,
                   labels BLOB, forces BLOB, left_out INTEGER DEFAULT 0);
CREATE INDEX by_key ON rows (key);
"""
_FIELDS = "place, smiles, numbers, positions, labels, forces"
_DIGITS = 4  # of positions in Å by which two geometries are one


class Checked(NamedTuple):
    """A row that can be used.

    Attributes:
        place: where it stands.
        smiles: canonical.
        numbers: ``(n,)``.
        positions: ``(n, 3)`` Å, or None.
        labels: ``(k,)``, in the units that are stored.
        forces: ``(n, 3)`` eV/Å, or None.
    """

    place: str
    smiles: str
    numbers: np.ndarray
    positions: np.ndarray | None
    labels: np.ndarray
    forces: np.ndarray | None = None

    @property
    def key(self) -> bytes:
        """Equal for rows of one molecule in one geometry."""
        digest = hashlib.blake2b(self.smiles.encode(), digest_size=16)
        if self.positions is not None:
            digest.update(self.numbers.astype("<i4").tobytes())
            digest.update((np.round(self.positions, _DIGITS) + 0.0).astype("<f8").tobytes())
        return digest.digest()


class Spool:
    """Checked rows in a scratch file, in the order of their source."""

    def __init__(self, path: Path):
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;" + _SCHEMA)
        self._db.execute("BEGIN")

    def close(self) -> None:
        """Close the scratch file, whose rows are not needed any more."""
        self._db.close()

    def add(self, row: Checked) -> None:
        """Append a row with its ``(n,)`` numbers, ``(n, 3)`` positions and labels."""
        places = None if row.positions is None else row.positions.astype("<f8").tobytes()
        forces = None if row.forces is None else row.forces.astype("<f8").tobytes()
        self._db.execute(
            f"INSERT INTO rows ({_FIELDS}, key) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                row.place, row.smiles, row.numbers.astype("<i4").tobytes(), places,
                row.labels.astype("<f8").tobytes(), forces, row.key,
            ),
        )  # fmt: skip

    def same(self, row: Checked) -> Iterator[tuple[int, Checked]]:
        """Numbers and rows of the same molecule in the same geometry."""
        yield from self._select("key = ? AND left_out = 0", row.key)

    def leave_out(self, number: int) -> None:
        """Mark a row, by its number, so that it is not written."""
        self._db.execute("UPDATE rows SET left_out = 1 WHERE id = ?", (number,))

    def __len__(self) -> int:
        return int(self._db.execute("SELECT count(*) FROM rows WHERE left_out = 0").fetchone()[0])

    def __iter__(self) -> Iterator[tuple[int, Checked]]:
        yield from self._select("left_out = 0")

    def keep_lowest(self, which: int) -> int:
        """Leave out all rows of a molecule but that of its lowest label ``which``; how many they were."""
        best: sqlite3.Cursor = self._db.execute(
            "CREATE TEMP TABLE lowest (smiles TEXT PRIMARY KEY, id INTEGER, value REAL) WITHOUT ROWID"
        )
        best.close()
        for number, row in self:
            self._db.execute(
                "INSERT INTO lowest VALUES (?, ?, ?) ON CONFLICT (smiles) DO UPDATE SET id = excluded.id, "
                "value = excluded.value WHERE excluded.value < lowest.value",
                (row.smiles, number, float(row.labels[which])),
            )
        done = self._db.execute(
            "UPDATE rows SET left_out = 1 WHERE left_out = 0 AND id NOT IN (SELECT id FROM lowest)"
        )
        return done.rowcount

    def molecules(self) -> int:
        """How many distinct molecules there are."""
        query = "SELECT count(DISTINCT smiles) FROM rows WHERE left_out = 0"
        return int(self._db.execute(query).fetchone()[0])

    def _select(self, condition: str, *values: object) -> Iterator[tuple[int, Checked]]:
        query = f"SELECT id, {_FIELDS} FROM rows WHERE {condition} ORDER BY id"
        for number, place, smiles, numbers, positions, labels, forces in self._db.execute(query, values):
            yield (
                number,
                Checked(
                    place,
                    smiles,
                    np.frombuffer(numbers, "<i4").astype(np.int64),
                    None if positions is None else np.frombuffer(positions, "<f8").reshape(-1, 3),
                    np.frombuffer(labels, "<f8"),
                    None if forces is None else np.frombuffer(forces, "<f8").reshape(-1, 3),
                ),
            )
