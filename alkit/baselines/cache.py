"""Baselines that were computed before, by anybody here: one SQLite file beside the label cache.

The key is a hash of the baseline, its version, and the geometry, so that an entry can never be of another
molecule. What cannot be read, or was changed, is computed again: nothing was paid for it.
"""

from __future__ import annotations

import hashlib
import io
import sqlite3
import threading
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

import numpy as np

from alkit.baselines.base import Baseline, BaselineSpec, Reading
from alkit.errors import CampaignError
from alkit.molecules.molecule import Molecule

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS readings (key TEXT PRIMARY KEY, content BLOB NOT NULL, hash TEXT NOT NULL)"
)
BASELINES_FILE = "baselines.sqlite"
_PATIENCE = 60.0  # seconds to wait for another process's write
_REVISION = 1  # of what a reading holds


def beside(label_cache: Path) -> Path:
    """Where baselines are kept for those who share this label cache."""
    return label_cache.with_name(f"{label_cache.stem}-{BASELINES_FILE}")


class BaselineCache:
    """Readings in the file ``path``, made with the first of them; for all threads of this process.

    Every method raises `CampaignError` where the file cannot be used.
    """

    def __init__(self, path: Path):
        self.path, self._lock = path, threading.Lock()

    @cached_property
    def _db(self) -> sqlite3.Connection:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            db = sqlite3.connect(self.path, isolation_level=None, timeout=_PATIENCE, check_same_thread=False)
            db.execute(_SCHEMA)
        except (sqlite3.Error, OSError) as error:
            raise self._unusable(error) from None
        return db

    def close(self) -> None:
        """Close the file, if it was opened."""
        if "_db" in self.__dict__:
            self._db.close()

    def get(self, spec: BaselineSpec, baseline: Baseline, molecule: Molecule) -> Reading | None:
        """The reading that was computed before, or None."""
        if "_db" not in self.__dict__ and not self.path.exists():
            return None
        key = _key(spec, baseline, molecule)
        try:
            with self._lock:
                row = self._db.execute("SELECT content, hash FROM readings WHERE key = ?", (key,)).fetchone()
        except sqlite3.Error as error:
            raise self._unusable(error) from None
        if row is None or not isinstance(row[0], bytes) or _hash(key, row[0]) != row[1]:
            return None
        with np.load(io.BytesIO(row[0]), allow_pickle=False) as parts:
            energy = float(parts["energy"])
            return Reading(energy, baseline.level, parts["atoms"], parts["pairs"], parts["whole"])

    def put(self, found: Iterable[tuple[BaselineSpec, Baseline, Molecule, Reading]]) -> None:
        """Keep readings, in one transaction."""
        rows = []
        for spec, baseline, molecule, reading in found:
            key, file = _key(spec, baseline, molecule), io.BytesIO()
            parts = {"atoms": reading.atoms, "pairs": reading.pairs, "whole": reading.whole}
            np.savez(file, allow_pickle=False, energy=np.float64(reading.energy), **parts)
            rows.append((key, file.getvalue(), _hash(key, file.getvalue())))
        if not rows:
            return
        try:
            with self._lock:
                self._db.execute("BEGIN IMMEDIATE")
                self._db.executemany("INSERT OR REPLACE INTO readings VALUES (?, ?, ?)", rows)
                self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise self._unusable(error) from None

    def _unusable(self, error: Exception) -> CampaignError:
        return CampaignError(
            f"The cache of baselines {self.path} cannot be used ({error}); fix that, or remove the file."
        )


def _key(spec: BaselineSpec, baseline: Baseline, molecule: Molecule) -> str:
    said = "\n".join([str(_REVISION), repr(spec), str(baseline.level), baseline.version, molecule.smiles])
    digest = hashlib.sha256(said.encode())
    digest.update(np.ascontiguousarray(molecule.numbers, dtype="<i4").tobytes())
    digest.update(np.ascontiguousarray(molecule.positions, dtype="<f8").tobytes())
    return digest.hexdigest()


def _hash(key: str, content: bytes) -> str:
    return hashlib.sha256(key.encode() + content).hexdigest()
