"""A copy of a ledger as it was when a round had ended."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from alkit.storage import seals
from alkit.storage.ledger import Ledger

# What later rounds have added, and what belongs to their molecules alone.
_LATER = """
DELETE FROM candidates WHERE round > {round};
DELETE FROM outcomes WHERE candidate NOT IN (SELECT id FROM candidates);
DELETE FROM origins WHERE candidate NOT IN (SELECT id FROM candidates);
DELETE FROM labels WHERE smiles NOT IN (SELECT smiles FROM candidates WHERE status = 'labelled');
DELETE FROM geometries WHERE smiles NOT IN (SELECT smiles FROM candidates);
DELETE FROM stages WHERE round > {round};
DELETE FROM metrics WHERE round > {round};
UPDATE changes SET round = min(round, {round} + 1);
DELETE FROM meta WHERE key IN ('stopped_by', 'folder') OR key LIKE 'mlflow_round_%';
UPDATE meta SET value = '' WHERE key = 'mlflow_run';
"""


def copy_ledger(source: Path, target: Path, round_: int) -> None:
    """Write the ledger ``source`` as it was after ``round_`` to the new file ``target``.

    What was changed in the settings later counts from the next round on. ``source`` may be in use.
    """
    address = f"{source.resolve().as_uri()}?mode=ro"
    with closing(sqlite3.connect(address, uri=True)) as db, closing(sqlite3.connect(target)) as copy:
        db.backup(copy)
    Ledger(target).close()  # adds the tables that a ledger of an earlier revision lacks
    with closing(sqlite3.connect(target)) as copy:
        copy.executescript(f"BEGIN; {_LATER.format(round=int(round_))}")
        seals.seal_again(copy, round_)
        copy.commit()
