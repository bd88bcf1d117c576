"""The ledger: what happened to every candidate and every label of a campaign.

One SQLite file, one writer. A stage's rows and the mark that it is finished are one transaction. So a stage
that was killed leaves nothing behind and runs again. Only labels are committed one by one, because each cost
something.
"""

import json
import sqlite3
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alkit.errors import CampaignError, LabelError
from alkit.properties import ENERGY, Quantity
from alkit.simulators.base import Label, Level
from alkit.storage import seals
from alkit.storage.label_rows import (
    LEVEL,
    RESULT,
    from_row,
    insert,
    label_hash,
    level_columns,
    pack,
    to_row,
    unpack,
    write_attempts,
)
from alkit.storage.ledger_check import check_rows
from alkit.storage.ledger_tables import ADDED, CREATE, FORMAT
from alkit.storage.round_metrics import RoundMetrics
from alkit.storage.words import Origin, Role, Source, Status, reason_and_rule

_OUTCOME = ("candidate", *LEVEL, "source", "attempts", "seconds", "host", "version", "hash", "finished")
_INSERT_OUTCOME = insert("outcomes", _OUTCOME, conflict="REPLACE")
_HISTORIES = """
SELECT c.id, c.round, c.smiles, c.role, c.status, c.reason, c.detail, o.source, o.attempts, o.seconds, o.host,
    o.version, o.method, o.property, o.unit, l.value, o.hash, o.finished
FROM candidates c LEFT JOIN outcomes o ON o.candidate = c.id
LEFT JOIN labels l ON c.status = 'labelled' AND l.smiles = c.smiles AND l.method = o.method
    AND l.property = o.property AND l.unit = o.unit
{where}
ORDER BY c.id
"""


@dataclass(frozen=True)
class Candidate:
    """One proposal of one molecule; the same molecule may be proposed again in another round."""

    id: int
    round: int
    smiles: str
    status: Status
    reason: str
    role: Role


class Ledger:
    """Opens or makes the ledger of a campaign; ``read_only`` neither makes nor changes anything.

    Raises:
        CampaignError: the file is not a ledger, one of another format, or changed since it was written.
    """

    def __init__(self, path: Path, *, read_only: bool = False):
        self.path = path
        try:
            # Autocommit: transactions are opened by `stage` alone, never implicitly by the sqlite3 module.
            address = f"{path.resolve().as_uri()}?mode=ro" if read_only else path
            self._db = sqlite3.connect(address, isolation_level=None, timeout=30, uri=read_only)
            # A new file. Anything else than a ledger fails below, before it is written to.
            if not read_only and not self._tables():
                self._db.execute("PRAGMA journal_mode = WAL")
                self._db.executescript(CREATE)
            stored_format = self.meta("format")
            if stored_format == FORMAT and not read_only:
                self._db.executescript(ADDED)
            self._db.execute("PRAGMA synchronous = FULL")
        except sqlite3.DatabaseError as error:
            raise CampaignError(f"{path} is not a campaign's ledger ({error}).") from None
        if stored_format != FORMAT:
            raise CampaignError(
                f"{path} has format {stored_format}; this version of alkit reads format {FORMAT}."
            )
        check_rows(self._db, path)

    def close(self) -> None:
        """Close the file; an open transaction is undone."""
        self._db.close()

    def _tables(self) -> int:
        return self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]

    def _has(self, table: str) -> bool:
        """Whether there is such a table: earlier revisions' ledgers that are opened to be read lack some."""
        query = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
        return self._db.execute(query, (table,)).fetchone() is not None

    def meta(self, key: str) -> str | None:
        """A text that the campaign keeps under a key, or None."""
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None

    def set_meta(self, key: str, value: str) -> None:
        """Keep a text under a key, in place of an earlier one."""
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def clear_meta(self) -> None:
        """Drop all meta entries but the ledger's own."""
        self._db.execute("DELETE FROM meta WHERE key != 'format'")

    @property
    def level(self) -> Level | None:
        """Level of theory of the campaign's labels, once there are any."""
        stored = self.meta("level")
        return Level(*json.loads(stored)) if stored else None

    @level.setter
    def level(self, level: Level) -> None:
        self.set_meta("level", json.dumps(level_columns(level)))

    @property
    def quantity(self) -> Quantity:
        """The meaning of the labels, for tables and sentences; energies, before there is any."""
        return Quantity.of(level.property, level.unit) if (level := self.level) else ENERGY

    def add_change(self, round_: int, change: str) -> None:
        """Note a change of a setting, as ``key: old -> new``, and the round from which it counts."""
        insert = "INSERT INTO changes (round, change, made) VALUES (?, ?, ?) RETURNING id"
        number = self._db.execute(insert, (round_, change, _now())).fetchone()[0]
        seals.seal(self._db, "changes", (number,))

    def changes(self) -> list[tuple[int, str]]:
        """Settings that were changed under way, in order: from which round, and what."""
        if not self._has("changes"):
            return []
        return self._db.execute("SELECT round, change FROM changes ORDER BY id").fetchall()

    # --- stages -------------------------------------------------------------------------------------------
    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit everything written inside, or nothing."""
        self._db.execute("BEGIN")
        try:
            yield
        except BaseException:
            if self._db.in_transaction:  # a full disk has ended it already
                self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    @contextmanager
    def stage(self, round_: int, stage: str) -> Iterator[None]:
        """Commit everything written inside with the mark that the stage is finished, or nothing."""
        started = time.monotonic()
        with self.transaction():
            yield
            self._db.execute(
                "INSERT INTO stages VALUES (?, ?, ?)", (round_, stage, time.monotonic() - started)
            )
            seals.seal(self._db, "stages", (round_, stage))

    def commit(self) -> None:
        """Inside a stage: write to disk what was added so far."""
        self._db.execute("COMMIT")
        self._db.execute("BEGIN")

    def finished(self, round_: int, stage: str) -> bool:
        """Whether a stage of a round has been marked as done."""
        row = self._db.execute("SELECT 1 FROM stages WHERE round = ? AND stage = ?", (round_, stage))
        return row.fetchone() is not None

    def stages(self) -> list[tuple[int, str, float]]:
        """Finished stages in order: round, stage, seconds."""
        return self._db.execute("SELECT round, stage, seconds FROM stages ORDER BY rowid").fetchall()

    # --- candidates ---------------------------------------------------------------------------------------
    def add_candidates(
        self,
        round_: int,
        smiles: Iterable[str],
        *,
        status: Status = "proposed",
        role: Role = "training",
        origin: Origin | None = None,
    ) -> list[int]:
        """Keep candidates in the order given, and where they come from; returns their ids."""
        insert = "INSERT INTO candidates (round, smiles, status, role) VALUES (?, ?, ?, ?) RETURNING id"
        ids = [self._db.execute(insert, (round_, s, status, role)).fetchone()[0] for s in smiles]
        for number in ids:
            seals.seal(self._db, "candidates", (number,))
            if origin is not None:
                self._db.execute("INSERT OR REPLACE INTO origins VALUES (?, ?)", (number, origin))
                seals.seal(self._db, "origins", (number,))
        return ids

    def origins(self, round_: int | None = None) -> dict[int, str]:
        """Where candidates come from, by id, in one round or in all; earlier revisions did not note it."""
        if not self._has("origins"):
            return {}
        query = "SELECT o.candidate, o.origin FROM origins o JOIN candidates c ON c.id = o.candidate"
        if round_ is None:
            return dict(self._db.execute(query))
        return dict(self._db.execute(f"{query} WHERE c.round = ?", (round_,)))

    def candidates(
        self, *, round_: int | None = None, status: Sequence[Status] = (), role: Role | None = None
    ) -> list[Candidate]:
        """Candidates in the order of proposal."""
        where: list[str] = ["1"]
        values: list[int | str] = []
        if round_ is not None:
            where.append("round = ?")
            values.append(round_)
        if role is not None:
            where.append("role = ?")
            values.append(role)
        if status:
            where.append(f"status IN ({', '.join('?' * len(status))})")
            values.extend(status)
        query = f"SELECT id, round, smiles, status, reason, role FROM candidates WHERE {' AND '.join(where)}"
        return [Candidate(*row) for row in self._db.execute(f"{query} ORDER BY id", values)]

    def mark(
        self, candidate: int, status: Status, *, reason: str = "", detail: str = "", smiles: str | None = None
    ) -> None:
        """Change the status of a candidate; ``smiles`` replaces the proposed string by its canonical form."""
        self._db.execute(
            "UPDATE candidates SET status = ?, reason = ?, detail = ?, smiles = coalesce(?, smiles) "
            "WHERE id = ?",
            (status, reason, detail[:500], smiles, candidate),
        )
        seals.seal(self._db, "candidates", (candidate,))

    def reasons(self) -> list[tuple[int, str, str, int]]:
        """Round, status, reason (as `reason_and_rule` has it) and count of every group of candidates."""
        groups_of = "round, status, reason, detail"
        rows = self._db.execute(f"SELECT {groups_of}, count(*) FROM candidates GROUP BY {groups_of}")
        counts: Counter[tuple[int, str, str]] = Counter()
        for round_, status, reason, detail, count in rows:
            counts[round_, status, reason_and_rule(reason, detail)] += count
        groups = ((*group, count) for group, count in counts.items())
        return sorted(groups, key=lambda group: (group[0], group[1], -group[3], group[2]))

    def known(self) -> dict[str, Candidate]:
        """Molecules that were labelled, or failed to be: a campaign does not propose them again.

        Those that were only late may come again: their labels may lie in the cache by now.
        """
        taken = self.candidates(status=("acquired", "labelled", "failed"))
        return {candidate.smiles: candidate for candidate in taken if candidate.reason != "deadline"}

    def add_outcome(self, candidate: int, outcome: Label | LabelError, level: Level, source: Source) -> None:
        """Keep how a candidate's label, or the error in its place, came about."""
        label = outcome if isinstance(outcome, Label) else None
        seconds = sum(attempt.seconds for attempt in outcome.attempts)
        self._db.execute(
            _INSERT_OUTCOME,
            (
                candidate,
                *level_columns(level),
                source,
                write_attempts(outcome.attempts),
                float(seconds),
                label.host if label else "",
                label.version if label else "",
                label_hash(label) if label else "",
                _now(),
            ),
        )
        seals.seal(self._db, "outcomes", (candidate,))

    def histories(self, *, finished: bool = False) -> Iterator[dict[str, Any]]:
        """Every candidate, in the order of proposal, with what became of it.

        Args:
            finished: those alone whose label was computed or failed.

        Yields:
            A candidate's values, under the names of columns.
        """
        where = "WHERE o.finished != ''" if finished else ""
        cursor, origins = self._db.execute(_HISTORIES.format(where=where)), self.origins()
        names = [column[0] for column in cursor.description]
        for row in cursor:
            history = dict(zip(names, row, strict=True))
            yield history | {"origin": origins.get(history["id"], "")}

    # --- geometries ---------------------------------------------------------------------------------------
    def add_geometry(self, smiles: str, geometry: str, numbers: NDArray, positions: NDArray) -> None:
        """Keep a molecule's ``(n,)`` atomic numbers and ``(n, 3)`` positions in Å."""
        self._db.execute(
            "INSERT OR REPLACE INTO geometries VALUES (?, ?, ?, ?)",
            (smiles, geometry, pack(numbers, "<i4"), pack(positions, "<f8")),
        )
        seals.seal(self._db, "geometries", (smiles, geometry))

    def geometry(self, smiles: str, geometry: str) -> tuple[NDArray[np.int32], NDArray[np.float64]] | None:
        """``(n,)`` atomic numbers and ``(n, 3)`` Å, or None."""
        row = self._db.execute(
            "SELECT numbers, positions FROM geometries WHERE smiles = ? AND geometry = ?", (smiles, geometry)
        ).fetchone()
        return unpack(*row) if row else None

    # --- labels -------------------------------------------------------------------------------------------
    def add_label(self, label: Label) -> None:
        """Keep the result of a label; an earlier one of the molecule at its level is replaced."""
        self._db.execute(insert("labels", RESULT, conflict="REPLACE"), to_row(label, RESULT))

    def label(self, smiles: str, level: Level) -> Label | None:
        """The label of a molecule at a level, or None; its attempts, host and version are in the outcomes."""
        row = self._db.execute(
            f"SELECT {', '.join(RESULT)} FROM labels "
            "WHERE smiles = ? AND method = ? AND property = ? AND unit = ?",
            (smiles, *level_columns(level)),
        ).fetchone()
        return None if row is None else from_row(row, RESULT)

    def labelled(self, role: Role, *, up_to_round: int | None = None) -> list[tuple[Candidate, float]]:
        """Labelled candidates of a role with their values at the campaign's level (eV), as proposed."""
        if (level := self.level) is None:
            return []
        rows = self._db.execute(
            "SELECT c.id, c.round, c.smiles, c.status, c.reason, c.role, l.value FROM candidates c "
            "JOIN labels l ON l.smiles = c.smiles AND l.method = ? AND l.property = ? AND l.unit = ? "
            "WHERE c.status = 'labelled' AND c.role = ? AND c.round <= ? ORDER BY c.id",
            (*level_columns(level), role, 2**31 if up_to_round is None else up_to_round),
        )
        return [(Candidate(*row[:-1]), row[-1]) for row in rows]

    def label_seconds(self) -> list[tuple[int, float]]:
        """Atoms and seconds of every label."""
        rows = self._db.execute("SELECT length(numbers) / 4, seconds FROM labels ORDER BY smiles")
        return rows.fetchall()

    # --- metrics ------------------------------------------------------------------------------------------
    def add_metrics(self, round_: int, metrics: dict[str, float]) -> None:
        """Keep a round's numbers by name, in place of earlier ones of the same name."""
        rows = [(round_, name, float(value)) for name, value in metrics.items()]
        self._db.executemany("INSERT OR REPLACE INTO metrics VALUES (?, ?, ?)", rows)
        for number, name, _ in rows:
            seals.seal(self._db, "metrics", (number, name))

    # --- files --------------------------------------------------------------------------------------------
    def seal_files(self, folder: Path, files: list[Path]) -> None:
        """Note what is in these files of the campaign's ``folder``."""
        seals.seal_files(self._db, folder, files)

    def check_files(self, folder: Path) -> None:
        """Check the files of the campaign against their seals.

        Raises:
            CampaignError: a file was changed since it was sealed.
        """
        if not self._has("seals"):
            return  # of an earlier revision, and opened to be read
        for name in seals.broken_files(self._db, folder):
            raise CampaignError(
                f"{folder / name} was changed or damaged after it was written; put a copy of it back, or "
                "start a new campaign."
            )

    def metrics(self) -> list[RoundMetrics]:
        """The metrics of every evaluated round, in order."""
        rounds: dict[int, dict[str, float]] = {}
        for round_, name, value in self._db.execute("SELECT * FROM metrics ORDER BY round, name"):
            rounds.setdefault(round_, {"round": round_})[name] = value
        return [RoundMetrics.from_values(values) for values in rounds.values()]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
