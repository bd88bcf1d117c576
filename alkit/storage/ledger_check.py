"""Whether a ledger's rows are what alkit wrote: types, words, sizes of arrays, hashes of labels."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, get_args

import numpy as np

from alkit.errors import CampaignError
from alkit.storage.label_rows import RESULT, DamagedRowError, from_row, label_hash, read_attempts
from alkit.storage.seals import SEALED, broken_rows
from alkit.storage.words import Origin, Role, Source, Status

_MOST_ROUNDS = 10**6
_ROUND = f"typeof(round) = 'integer' AND round >= 0 AND round < {_MOST_ROUNDS}"
_MEASURED = {"labels", "test_size", "mae", "rmse", "q95", "max", "r2", "validation_mae"}  # of every round


def check_rows(db: sqlite3.Connection, path: Path) -> None:
    """Read every row of a ledger once.

    Raises:
        CampaignError: a row that alkit does not write, or a label that was changed since.
    """
    for table, problems in _TABLES.items():
        try:
            for problem in chain(problems(db), _broken_seals(db, table)):
                raise CampaignError(
                    f"{path} was changed or damaged after it was written (table {table}: {problem}); put a "
                    "copy of the folder back, or start a new campaign."
                )
        except sqlite3.DatabaseError as error:
            raise CampaignError(f"{path} is damaged ({error}); put a copy of the folder back.") from None


def _broken_seals(db: sqlite3.Connection, table: str) -> Iterator[str]:
    if table in SEALED and _has_table(db, "seals") and _has_table(db, table):
        yield from broken_rows(db, table)


def _meta(db: sqlite3.Connection) -> Iterator[str]:
    for key, value in db.execute("SELECT key, value FROM meta"):
        if not isinstance(key, str) or not isinstance(value, str):
            yield f"the entry {key!r:.40} is no text"
    for key in ("level", "config"):
        row = db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        if row and not _is_json(row[0], list if key == "level" else dict):
            yield f"the entry {key} cannot be read"
    row = db.execute("SELECT value FROM meta WHERE key = 'level'").fetchone()
    if row and not (len(level := json.loads(row[0])) == 3 and all(isinstance(word, str) for word in level)):
        yield "the entry level is no level of theory"


def _candidates(db: sqlite3.Connection) -> Iterator[str]:
    # SQLite looks for what is wrong: there may be a million rows, and Python takes microseconds for each.
    odd = (
        f"NOT ({_ROUND} AND coalesce({_among('status', Status)} AND {_among('role', Role)}, 0) "
        "AND typeof(smiles) = 'text' AND smiles != '' "
        "AND typeof(reason) = 'text' AND typeof(detail) = 'text')"
    )
    query = f"SELECT id, round, smiles, status, reason, detail, role FROM candidates WHERE {odd}"
    for number, round_, smiles, status, reason, detail, role in db.execute(query):
        if not _is_round(round_):
            yield f"candidate {number} is of round {round_!r:.40}"
        if status not in get_args(Status) or role not in get_args(Role):
            yield f"candidate {number} has status {status!r:.40} and role {role!r:.40}"
        if not (smiles and all(isinstance(text, str) for text in (smiles, reason, detail))):
            yield f"candidate {number} has a SMILES or a reason that is no text"


def _among(column: str, words: Any) -> str:
    """SQL for: the column has one of these words."""
    quoted = ", ".join(f"'{word}'" for word in get_args(words))
    return f"{column} IN ({quoted})"


def _labels(db: sqlite3.Connection) -> Iterator[str]:
    hashes = _hashes(db)
    for row in db.execute(f"SELECT {', '.join(RESULT)} FROM labels"):
        try:
            label = from_row(row, RESULT)
        except DamagedRowError as error:
            yield f"the label of {row[0]!r:.80}: {error}"
            continue
        key = (label.smiles, label.level.method, label.level.property, label.level.unit)
        if key in hashes and label_hash(label) not in hashes[key]:
            yield f"the label of {label.smiles} is not the one that was written"
    level = db.execute("SELECT value FROM meta WHERE key = 'level'").fetchone()
    columns = json.loads(level[0]) if level else ("", "", "")
    query = (
        "SELECT smiles FROM candidates c WHERE status = 'labelled' AND NOT EXISTS (SELECT 1 FROM labels l "
        "WHERE l.smiles = c.smiles AND l.method = ? AND l.property = ? AND l.unit = ?)"
    )
    for (smiles,) in db.execute(query, columns):
        yield f"{smiles!r:.80} is labelled, and its label is not there"


def _hashes(db: sqlite3.Connection) -> dict[tuple[str, ...], set[str]]:
    """The hashes that were kept of a molecule's label at a level."""
    hashes: dict[tuple[str, ...], set[str]] = {}
    if not _has_table(db, "outcomes"):
        return hashes
    query = (
        "SELECT c.smiles, o.method, o.property, o.unit, o.hash FROM outcomes o "
        "JOIN candidates c ON c.id = o.candidate WHERE o.hash != ''"
    )
    for *key, written in db.execute(query):
        hashes.setdefault(tuple(key), set()).add(written)
    return hashes


def _outcomes(db: sqlite3.Connection) -> Iterator[str]:
    query = "SELECT candidate, source, attempts, seconds, hash FROM outcomes"
    for candidate, source, attempts, seconds, written in db.execute(query):
        try:
            read_attempts(attempts)
        except DamagedRowError as error:
            yield f"candidate {candidate!r:.40}: {error}"
        if source not in get_args(Source) or not _is_number(seconds) or not isinstance(written, str):
            yield f"candidate {candidate!r:.40} has a source, time or hash that alkit does not write"


def _origins(db: sqlite3.Connection) -> Iterator[str]:
    odd = f"NOT coalesce({_among('origin', Origin)}, 0)"
    for candidate, origin in db.execute(f"SELECT candidate, origin FROM origins WHERE {odd}"):
        yield f"candidate {candidate!r:.40} has the origin {origin!r:.40}"


def _changes(db: sqlite3.Connection) -> Iterator[str]:
    for number, round_, change in db.execute("SELECT id, round, change FROM changes"):
        if not _is_round(round_) or not isinstance(change, str):
            yield f"change {number!r:.40} is {change!r:.40} in round {round_!r:.40}"


def _geometries(db: sqlite3.Connection) -> Iterator[str]:
    for smiles, numbers, positions in db.execute("SELECT smiles, numbers, positions FROM geometries"):
        if not isinstance(smiles, str) or not _is_geometry(numbers, positions):
            yield f"the geometry of {smiles!r:.80} is none"


def _single_points(db: sqlite3.Connection) -> Iterator[str]:
    query = "SELECT smiles, energy, charges, bond_orders FROM single_points"
    for smiles, energy, charges, orders in db.execute(query):
        sizes = isinstance(charges, bytes) and isinstance(orders, bytes) and len(charges) % 8 == 0
        if not (sizes and len(orders) * 8 == len(charges) ** 2 and _is_number(energy)):
            yield f"the single point of {smiles!r:.80} is none"
        elif not (np.isfinite(np.frombuffer(charges)).all() and np.isfinite(np.frombuffer(orders)).all()):
            yield f"the single point of {smiles!r:.80} is not finite"


def _stages(db: sqlite3.Connection) -> Iterator[str]:
    for round_, stage, seconds in db.execute("SELECT round, stage, seconds FROM stages"):
        if not _is_round(round_) or not isinstance(stage, str) or not _is_number(seconds):
            yield f"round {round_!r:.40}, stage {stage!r:.40}"


def _metrics(db: sqlite3.Connection) -> Iterator[str]:
    names: dict[int, set[str]] = {}
    for round_, name, value in db.execute("SELECT round, name, value FROM metrics"):
        if not _is_round(round_) or not isinstance(name, str) or not isinstance(value, int | float):
            yield f"round {round_!r:.40}, {name!r:.40} is {value!r:.40}"
        else:
            names.setdefault(round_, set()).add(name)
    for (round_,) in db.execute("SELECT round FROM stages WHERE stage = 'evaluate' ORDER BY round"):
        if missing := sorted(_MEASURED - names.get(round_, set())):
            yield f"round {round_} was evaluated, and has no {missing[0]}"


def _is_geometry(numbers: Any, positions: Any) -> bool:
    if not (isinstance(numbers, bytes) and isinstance(positions, bytes) and numbers):
        return False
    if len(numbers) % 4 or len(positions) != len(numbers) * 6:
        return False
    atoms = np.frombuffer(numbers, "<i4")
    return bool((atoms > 0).all() and (atoms < 119).all() and np.isfinite(np.frombuffer(positions)).all())


def _is_round(value: Any) -> bool:
    return isinstance(value, int) and 0 <= value < _MOST_ROUNDS


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _is_json(text: Any, kind: type) -> bool:
    try:
        return isinstance(json.loads(text), kind)
    except (ValueError, TypeError, RecursionError):
        return False


def _has_table(db: sqlite3.Connection, name: str) -> bool:
    return (
        db.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (name,)).fetchone()
        is not None
    )


_Problems = Callable[[sqlite3.Connection], Iterator[str]]


def _if_there(name: str, problems: _Problems) -> _Problems:
    """Ledgers of earlier revisions lack some tables, and are read without them."""

    def check(db: sqlite3.Connection) -> Iterator[str]:
        if _has_table(db, name):
            yield from problems(db)

    return check


_TABLES: dict[str, _Problems] = {
    "meta": _meta,
    "candidates": _candidates,
    "outcomes": _if_there("outcomes", _outcomes),
    "origins": _if_there("origins", _origins),
    "changes": _if_there("changes", _changes),
    "labels": _labels,
    "geometries": _geometries,
    "single_points": _if_there("single_points", _single_points),
    "stages": _stages,
    "metrics": _metrics,
}
