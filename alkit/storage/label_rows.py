"""A label as a row of a database: one table of columns, one codec, and the hash that proves it unchanged.

The names, types and order of the columns are part of the file format of ledgers and label caches.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from alkit.errors import Attempt
from alkit.simulators.base import Label, Level


class DamagedRowError(ValueError):
    """A row that no label was written as."""


class Column(NamedTuple):
    """One column of a label: its SQL type, and the value that a label has in it."""

    sql_type: str
    value: Callable[[Label], str | float | bytes]


def level_columns(level: Level) -> tuple[str, str, str]:
    """The values of the columns `LEVEL`."""
    return level.method, level.property, level.unit


def label_hash(label: Label) -> str:
    """Fingerprint of the molecule, level, value and geometry of a label.

    The time it took, its attempts and the machine are left out: two runs of one calculation agree in it.
    """
    value = float(label.value) + 0.0  # SQLite loses the sign of zero
    text = "\n".join([label.smiles, *level_columns(label.level), value.hex()])
    content = text.encode() + pack(label.numbers, "<i4") + pack(label.positions, "<f8")
    return hashlib.sha256(content).hexdigest()


def pack(values: NDArray, dtype: str) -> bytes:
    """The bytes of an array in C order, as numbers of ``dtype`` such as "<f8"."""
    return np.ascontiguousarray(values, dtype=dtype).tobytes()


def unpack(numbers: bytes, positions: bytes) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """``(n,)`` atomic numbers and ``(n, 3)`` positions (Å) from the two columns of a geometry."""
    return np.frombuffer(numbers, "<i4"), np.frombuffer(positions, "<f8").reshape(-1, 3)


def write_attempts(attempts: Sequence[Attempt]) -> str:
    """The text of the column ``attempts``."""
    return json.dumps([(strategy, reason, float(seconds)) for strategy, reason, seconds in attempts])


def read_attempts(text: str) -> tuple[Attempt, ...]:
    """The attempts that `write_attempts` wrote.

    Raises:
        DamagedRowError: the text is another.
    """
    try:
        attempts = tuple(Attempt(*attempt) for attempt in json.loads(text))
        if not all(
            isinstance(a.strategy, str) and isinstance(a.reason, str) and math.isfinite(a.seconds)
            for a in attempts
        ):
            raise ValueError("not texts and seconds")
    except (ValueError, TypeError, RecursionError) as error:
        raise DamagedRowError(f"attempts cannot be read ({error})") from None
    return attempts


# Simulators may answer in numpy's float32, which neither SQLite nor JSON takes: hence every `float`.
COLUMNS: dict[str, Column] = {
    "smiles": Column("TEXT", lambda label: label.smiles),
    "method": Column("TEXT", lambda label: label.level.method),
    "property": Column("TEXT", lambda label: label.level.property),
    "unit": Column("TEXT", lambda label: label.level.unit),
    "value": Column("REAL", lambda label: float(label.value)),
    "parts": Column("TEXT", lambda label: json.dumps({k: float(v) for k, v in label.parts.items()})),
    "numbers": Column("BLOB", lambda label: pack(label.numbers, "<i4")),
    "positions": Column("BLOB", lambda label: pack(label.positions, "<f8")),
    "seconds": Column("REAL", lambda label: float(label.seconds)),
    "attempts": Column("TEXT", lambda label: write_attempts(label.attempts)),
    "host": Column("TEXT", lambda label: label.host),
    "version": Column("TEXT", lambda label: label.version),
    "hash": Column("TEXT", label_hash),
}
"""All that is kept of a label, in the order of the label cache's table."""

NAMES = tuple(COLUMNS)
LEVEL = ("method", "property", "unit")
RESULT = NAMES[: NAMES.index("attempts")]
"""What was computed, without how: the columns of the ledger's labels, whose attempts are in its outcomes."""


def declare(*names: str) -> str:
    """Columns of a label as ``CREATE TABLE`` has them; none of them may be NULL."""
    return ", ".join(f"{name} {COLUMNS[name].sql_type} NOT NULL" for name in names)


def insert(table: str, names: Iterable[str], *, conflict: str) -> str:
    """The statement that inserts one row; ``conflict``: what to do where its key is there, "REPLACE"."""
    names = tuple(names)
    marks = ", ".join("?" * len(names))
    return f"INSERT OR {conflict} INTO {table} ({', '.join(names)}) VALUES ({marks})"


def to_row(label: Label, names: Sequence[str] = NAMES) -> tuple[str | float | bytes, ...]:
    """The values of a label in the columns ``names``."""
    return tuple(COLUMNS[name].value(label) for name in names)


def from_row(row: Sequence[Any], names: Sequence[str] = NAMES) -> Label:
    """The label of a row that `to_row` made with the same ``names``, at least those of `RESULT`.

    The hash is not checked: compare `label_hash` with the row's own.

    Raises:
        DamagedRowError: no label is written as this row.
    """
    cells = dict(zip(names, row, strict=True))
    texts = [cells[name] for name in ("smiles", *LEVEL)] + [
        cells.get(name, "") for name in ("host", "version")
    ]
    if not all(isinstance(text, str) for text in texts):
        raise DamagedRowError("a name is no text")
    for name in ("value", "seconds"):
        if not isinstance(cells[name], int | float) or not math.isfinite(cells[name]):
            raise DamagedRowError(f"{name} is {cells[name]!r:.40}")
    try:
        numbers, positions = unpack(cells["numbers"], cells["positions"])
        parts = json.loads(cells["parts"])
        if not isinstance(parts, dict) or positions.shape != (len(numbers), 3):
            raise ValueError("parts or positions are of another kind")
        parts = {name: float(value) for name, value in parts.items()}
    except (ValueError, TypeError, RecursionError) as error:
        raise DamagedRowError(f"its parts or geometry cannot be read ({error})") from None
    return Label(
        cells["smiles"],
        float(cells["value"]),
        Level(*(cells[name] for name in LEVEL)),
        parts,
        numbers,
        positions,
        float(cells["seconds"]),
        read_attempts(cells.get("attempts", "[]")),
        cells.get("host", ""),
        cells.get("version", ""),
    )
