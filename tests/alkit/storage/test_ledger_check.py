"""alkit.storage.ledger_check: a ledger that another hand has changed is refused with a sentence."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from alkit.errors import CampaignError
from alkit.storage.ledger import Ledger

LEDGER = Path(__file__).parents[2] / "fixtures" / "v0.1" / "unfinished" / "ledger.sqlite"
EDITS = {
    "labels": [
        "UPDATE labels SET value = value + 5",
        "UPDATE labels SET value = 'x' WHERE rowid = 3",
        "UPDATE labels SET value = 9e999 WHERE rowid = 3",
        "UPDATE labels SET parts = '{' WHERE rowid = 2",
        "UPDATE labels SET parts = '[]' WHERE rowid = 2",
        'UPDATE labels SET parts = \'{"a": "x"}\' WHERE rowid = 2',
        "UPDATE labels SET numbers = x'00' WHERE rowid = 4",
        "UPDATE labels SET numbers = zeroblob(length(numbers)) WHERE rowid = 4",
        "UPDATE labels SET positions = x'0102' WHERE rowid = 4",
        "UPDATE labels SET seconds = 'fast' WHERE rowid = 4",
        "UPDATE labels SET method = 'PBE' WHERE rowid = 1",
        "DELETE FROM labels WHERE rowid = 1",
    ],
    "candidates": [
        "UPDATE candidates SET status = 'lost' WHERE id = 3",
        "UPDATE candidates SET role = 'judge' WHERE id = 3",
        "UPDATE candidates SET round = 'x' WHERE id = 3",
        "UPDATE candidates SET round = -1 WHERE id = 3",
        "UPDATE candidates SET smiles = x'ff' WHERE id = 3",
        "UPDATE candidates SET smiles = '' WHERE id = 3",
    ],
    "outcomes": [
        "UPDATE outcomes SET attempts = 'x' WHERE candidate = 1",
        "UPDATE outcomes SET attempts = '[1, 2]' WHERE candidate = 1",
        'UPDATE outcomes SET attempts = \'[["a", "b", "c"]]\' WHERE candidate = 1',
        "UPDATE outcomes SET source = 'dream' WHERE candidate = 1",
        "UPDATE outcomes SET seconds = 'x' WHERE candidate = 1",
    ],
    "geometries": [
        "UPDATE geometries SET positions = x'00' WHERE rowid = 1",
        "UPDATE geometries SET numbers = zeroblob(length(numbers)) WHERE rowid = 1",
    ],
    "single_points": [
        "UPDATE single_points SET energy = 'x' WHERE rowid = 1",
        "UPDATE single_points SET charges = x'00' WHERE rowid = 1",
        "UPDATE single_points SET bond_orders = zeroblob(8) WHERE rowid = 1",
    ],
    "stages": [
        "UPDATE stages SET round = 'x' WHERE rowid = 1",
        "UPDATE stages SET seconds = 'x' WHERE rowid = 1",
    ],
    "metrics": [
        "UPDATE metrics SET value = 'x' WHERE name = 'mae'",
        "UPDATE metrics SET round = 'x' WHERE name = 'mae' AND round = 0",
        "DELETE FROM metrics WHERE name = 'mae' AND round = 0",
    ],
    "meta": [
        "UPDATE meta SET value = 'x' WHERE key = 'level'",
        "UPDATE meta SET value = '[1, 2, 3]' WHERE key = 'level'",
        "UPDATE meta SET value = '{' WHERE key = 'config'",
        "UPDATE meta SET value = x'ff' WHERE key = 'config'",
    ],
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return Path(shutil.copy(LEDGER, tmp_path / "ledger.sqlite"))


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.sqlite"
    with closing(Ledger(path)) as ledger:
        ledger.add_candidates(0, ["O", "S"], role="test")
        for smiles, height in (("O", 0.6), ("S", 0.9)):
            positions = np.array([[0, 0, 0], [0.8, 0, height], [-0.8, 0, height]])
            ledger.add_geometry(smiles, "mmff", np.array([8, 1, 1]), positions)
        ledger.add_metrics(0, {"mae": 0.1, "rmse": 0.2})
    return path


@pytest.mark.parametrize(
    ("table", "edit"), [(table, edit) for table, edits in EDITS.items() for edit in edits]
)
@pytest.mark.parametrize("read_only", [True, False])
def test_every_edit_is_refused(table: str, edit: str, read_only: bool, path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        changed = db.execute(edit).rowcount
        db.commit()
    assert changed
    with pytest.raises(CampaignError, match=r"ledger.sqlite .*(changed or damaged|is damaged)"):
        Ledger(path, read_only=read_only)


def test_an_untouched_one_opens(path: Path) -> None:
    for read_only in (True, False):
        with closing(Ledger(path, read_only=read_only)) as ledger:
            assert ledger.labelled("training")


def test_a_label_of_two_outcomes_may_be_either(path: Path) -> None:
    """The same molecule, labelled in an earlier round and again: the last one is kept."""
    with closing(Ledger(path)) as ledger:
        level = ledger.level
        assert level
        candidate, value = ledger.labelled("training")[0]
        label = ledger.label(candidate.smiles, level)
        assert label
        assert label.value == value
        (again,) = ledger.add_candidates(1, [candidate.smiles], status="labelled")
        ledger.add_outcome(again, label, level, "ledger")
    Ledger(path).close()


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE metrics SET value = value + 0.1 WHERE name = 'mae'",
        "DELETE FROM metrics WHERE name = 'rmse'",
        "UPDATE candidates SET role = CASE role WHEN 'test' THEN 'training' ELSE 'test' END",
        "UPDATE candidates SET round = round + 1",
        "UPDATE geometries SET positions = (SELECT positions FROM geometries g WHERE g.smiles != "
        "geometries.smiles AND length(g.positions) = length(geometries.positions))",
    ],
)
def test_a_plausible_edit_is_seen(edit: str, sealed: Path) -> None:
    with closing(sqlite3.connect(sealed)) as db:
        assert db.execute(edit).rowcount
        db.commit()
    with pytest.raises(CampaignError, match=r"ledger.sqlite was changed or damaged"):
        Ledger(sealed)


def test_a_ledger_without_seals_is_of_an_earlier_revision(sealed: Path) -> None:
    with closing(sqlite3.connect(sealed)) as db:
        db.execute("DROP TABLE seals")
    for read_only in (True, False):
        Ledger(sealed, read_only=read_only).close()
