"""alkit.storage.label_rows: a label comes back as it was, and files of earlier revisions open unchanged."""

import sqlite3
from contextlib import closing
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from alkit.errors import Attempt, LabelError
from alkit.molecules.molecule import Molecule
from alkit.simulators import SimulatorSpec
from alkit.simulators.base import Label, Level
from alkit.storage.label_cache import LabelCache
from alkit.storage.label_rows import (
    NAMES,
    RESULT,
    declare,
    from_row,
    insert,
    label_hash,
    read_attempts,
    to_row,
    write_attempts,
)
from alkit.storage.ledger import Ledger

U0 = Level("GFN2-xTB", "u0")
finite = st.floats(allow_nan=False, allow_infinity=False)
attempts = st.builds(Attempt, st.text(max_size=9), st.text(max_size=9), st.floats(0, 1e6))
labels = st.integers(1, 12).flatmap(
    lambda n: st.builds(
        Label,
        st.text(min_size=1, max_size=20),
        finite,
        st.builds(Level, st.text(max_size=9), st.text(max_size=9), st.text(max_size=9)),
        st.dictionaries(st.text(max_size=8), finite, max_size=4),
        arrays(np.int64, n, elements=st.integers(1, 118)),
        arrays(np.float64, (n, 3), elements=finite),
        st.floats(0, 1e6),
        st.lists(attempts, max_size=4).map(tuple),
        st.text(max_size=9),
        st.text(max_size=9),
    )
)
METHANOL = Label(
    "CO",
    -21.25,
    U0,
    {"zpe": 1.2},
    np.array([6, 8]),
    np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 1.43]]),
    0.5,
    (Attempt("as given", "timeout", 2.0), Attempt("more memory", "", 0.5)),
    "node",
    "0.1.0",
)
METHANOL_HASH = "aca4fe3d024c9a41e2b02714024fd95e1a052f992afb5350dc399775afb23ab6"


def through_sqlite(label: Label, names: tuple[str, ...]) -> tuple:
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute(f"CREATE TABLE labels ({declare(*names)})")
        database.execute(insert("labels", names, conflict="REPLACE"), to_row(label, names))
        return database.execute("SELECT * FROM labels").fetchone()


def assert_same(label: Label, other: Label, names: tuple[str, ...]) -> None:
    for name in ("smiles", "value", "level", "parts", "seconds", "attempts", "host", "version"):
        if name == "level" or name in names:
            assert getattr(label, name) == getattr(other, name), name
    assert label.numbers.tolist() == other.numbers.tolist()
    assert label.positions.shape == other.positions.shape
    assert label.positions.tobytes() == other.positions.tobytes()  # -0.0 and subnormal numbers included


@given(labels, st.sampled_from([NAMES, RESULT]))
@settings(max_examples=150, deadline=None)
def test_a_label_comes_back_bitwise_with_its_hash(label: Label, names: tuple[str, ...]) -> None:
    row = through_sqlite(label, names)
    stored = from_row(row, names)
    assert_same(label, stored, names)
    assert label_hash(stored) == label_hash(label)
    if "hash" in names:
        assert row[names.index("hash")] == label_hash(label)
    assert to_row(stored, names) == row


@given(st.lists(attempts, max_size=6).map(tuple))
def test_attempts_come_back(tries: tuple[Attempt, ...]) -> None:
    assert read_attempts(write_attempts(tries)) == tries


def test_numbers_of_numpy_are_numbers() -> None:
    single = np.float32(0.5)
    label = replace(METHANOL, value=single, parts={"zpe": single}, seconds=single)
    label = replace(label, attempts=(Attempt("as given", "", single),))
    stored = from_row(through_sqlite(label, NAMES))
    assert (stored.value, stored.parts, stored.seconds) == (0.5, {"zpe": 0.5}, 0.5)
    assert stored.attempts == (("as given", "", 0.5),)


def test_every_field_of_a_label_has_its_columns() -> None:
    assert {field.name for field in fields(Label)} - set(NAMES) == {"level"}
    assert set(NAMES) - {field.name for field in fields(Label)} == {"method", "property", "unit", "hash"}


@pytest.mark.parametrize(
    "change",
    [
        {"smiles": "OC"},
        {"value": -21.250000000000004},
        {"level": Level("GFN2-xTB", "energy")},
        {"numbers": np.array([6, 7])},
        {"positions": np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 1.4300000000000002]])},
    ],
)
def test_the_hash_is_that_of_the_first_revision_and_sees_every_change(change: dict) -> None:
    assert label_hash(METHANOL) == METHANOL_HASH
    assert label_hash(replace(METHANOL, **change)) != METHANOL_HASH
    assert label_hash(replace(METHANOL, host="other", seconds=9.0, attempts=())) == METHANOL_HASH


# --- files of earlier revisions: their tables as they were written out by hand --------------------------
_LEDGER = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE candidates (
    id INTEGER PRIMARY KEY, round INTEGER NOT NULL, smiles TEXT NOT NULL, status TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT '', detail TEXT NOT NULL DEFAULT '', role TEXT NOT NULL DEFAULT 'training'
);
CREATE TABLE geometries (
    smiles TEXT NOT NULL, geometry TEXT NOT NULL, numbers BLOB NOT NULL, positions BLOB NOT NULL,
    PRIMARY KEY (smiles, geometry)
);
CREATE TABLE labels (
    smiles TEXT NOT NULL, method TEXT NOT NULL, property TEXT NOT NULL, unit TEXT NOT NULL,
    value REAL NOT NULL, parts TEXT NOT NULL, numbers BLOB NOT NULL, positions BLOB NOT NULL,
    seconds REAL NOT NULL, PRIMARY KEY (smiles, method, property, unit)
);
CREATE TABLE stages (
    round INTEGER NOT NULL, stage TEXT NOT NULL, seconds REAL NOT NULL, PRIMARY KEY (round, stage)
);
CREATE TABLE metrics (
    round INTEGER NOT NULL, name TEXT NOT NULL, value REAL NOT NULL, PRIMARY KEY (round, name)
);
INSERT INTO meta VALUES ('format', '1'), ('level', '["GFN2-xTB", "u0", "eV"]');
INSERT INTO candidates (round, smiles, status) VALUES (0, 'CO', 'labelled'), (0, 'CN', 'acquired');
"""
_ADDED_TO_LEDGERS = """
CREATE TABLE single_points (
    smiles TEXT NOT NULL, geometry TEXT NOT NULL, method TEXT NOT NULL, property TEXT NOT NULL,
    unit TEXT NOT NULL, energy REAL NOT NULL, charges BLOB NOT NULL, bond_orders BLOB NOT NULL,
    PRIMARY KEY (smiles, geometry)
);
CREATE TABLE outcomes (
    candidate INTEGER PRIMARY KEY, method TEXT NOT NULL, property TEXT NOT NULL, unit TEXT NOT NULL,
    source TEXT NOT NULL, attempts TEXT NOT NULL, seconds REAL NOT NULL, host TEXT NOT NULL,
    version TEXT NOT NULL, hash TEXT NOT NULL, finished TEXT NOT NULL
);
"""
_CACHE = """
CREATE TABLE labels (
    key TEXT PRIMARY KEY, smiles TEXT NOT NULL, method TEXT NOT NULL, property TEXT NOT NULL,
    unit TEXT NOT NULL, value REAL NOT NULL, parts TEXT NOT NULL, numbers BLOB NOT NULL,
    positions BLOB NOT NULL, seconds REAL NOT NULL, attempts TEXT NOT NULL, host TEXT NOT NULL,
    version TEXT NOT NULL, hash TEXT NOT NULL
);
CREATE TABLE claims (key TEXT PRIMARY KEY, owner TEXT NOT NULL);
"""
_GEOMETRY = (np.array([6, 8], "<i4").tobytes(), np.array([0, 0, 0, 0, 0, 1.43], "<f8").tobytes())
_RESULT_ROW = ("CO", "GFN2-xTB", "u0", "eV", -21.25, '{"zpe": 1.2}', *_GEOMETRY, 0.5)
_ATTEMPTS = '[["as given", "timeout", 2.0], ["more memory", "", 0.5]]'


def columns(path: Path) -> dict[str, list[tuple]]:
    """Name, type, NOT NULL and place in the primary key of every column of every table."""
    with closing(sqlite3.connect(path)) as database:
        names = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        return {
            name: [
                (column, kind, not_null, key)
                for _, column, kind, not_null, _, key in database.execute(f"PRAGMA table_info({name})")
            ]
            for (name,) in names
        }


@pytest.mark.parametrize("tables", [_LEDGER, _LEDGER + _ADDED_TO_LEDGERS], ids=["first", "with outcomes"])
def test_a_ledger_of_an_earlier_revision_opens_and_is_written_to(tmp_path: Path, tables: str) -> None:
    with closing(sqlite3.connect(tmp_path / "old.sqlite")) as database:
        database.executescript(tables)
        database.execute("INSERT INTO labels VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", _RESULT_ROW)
        database.commit()
    with closing(Ledger(tmp_path / "old.sqlite", read_only=True)) as ledger:
        stored = ledger.label("CO", U0)
        assert stored is not None
        assert_same(METHANOL, stored, RESULT)
        assert [(c.smiles, value) for c, value in ledger.labelled("training")] == [("CO", -21.25)]
    with closing(Ledger(tmp_path / "old.sqlite")) as ledger, closing(Ledger(tmp_path / "new.sqlite")):
        ledger.add_label(replace(METHANOL, smiles="CN"))
        ledger.add_outcome(1, METHANOL, U0, "computed")
        ledger.add_outcome(2, LabelError("crashed", "", METHANOL.attempts), U0, "computed")
        first, second = ledger.histories()
        assert (first["attempts"], first["hash"], first["seconds"]) == (_ATTEMPTS, METHANOL_HASH, 2.5)
        assert (second["attempts"], second["hash"], second["host"]) == (_ATTEMPTS, "", "")
    assert columns(tmp_path / "old.sqlite") == columns(tmp_path / "new.sqlite")


def test_a_label_cache_of_an_earlier_revision_opens_and_is_written_to(tmp_path: Path) -> None:
    spec = SimulatorSpec("xtb", {"target": "u0"})
    molecule = Molecule("CO", METHANOL.numbers, METHANOL.positions, "given")
    with closing(LabelCache(tmp_path / "new.sqlite", spec)) as cache:
        key = cache.key(molecule)
    row = (key, *_RESULT_ROW, _ATTEMPTS, "node", "0.1.0", METHANOL_HASH)
    with closing(sqlite3.connect(tmp_path / "old.sqlite")) as database:
        database.executescript(_CACHE)
        database.execute(f"INSERT INTO labels VALUES ({', '.join('?' * 14)})", row)
        database.commit()
    with closing(LabelCache(tmp_path / "old.sqlite", spec)) as cache:
        stored = cache.get(molecule)
        assert stored is not None
        assert_same(METHANOL, stored, NAMES)
    with closing(LabelCache(tmp_path / "new.sqlite", spec)) as cache:
        cache.put(molecule, METHANOL)
    with closing(sqlite3.connect(tmp_path / "new.sqlite")) as database:
        assert database.execute("SELECT * FROM labels").fetchone() == row
    assert columns(tmp_path / "old.sqlite") == columns(tmp_path / "new.sqlite")
