"""The tables of a ledger, and the number of its format."""

from alkit.storage import seals
from alkit.storage.label_rows import LEVEL, RESULT, declare

FORMAT = "1"
_TABLES = f"""
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE candidates (
    id INTEGER PRIMARY KEY, round INTEGER NOT NULL, smiles TEXT NOT NULL, status TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT '', detail TEXT NOT NULL DEFAULT '', role TEXT NOT NULL DEFAULT 'training'
);
CREATE INDEX candidates_by_round ON candidates (round, status);
CREATE INDEX candidates_by_smiles ON candidates (smiles);
CREATE TABLE geometries (
    {declare("smiles")}, geometry TEXT NOT NULL, {declare("numbers", "positions")},
    PRIMARY KEY (smiles, geometry)
);
CREATE TABLE labels ({declare(*RESULT)}, PRIMARY KEY (smiles, {", ".join(LEVEL)}));
CREATE TABLE stages (
    round INTEGER NOT NULL, stage TEXT NOT NULL, seconds REAL NOT NULL, PRIMARY KEY (round, stage)
);
CREATE TABLE metrics (
    round INTEGER NOT NULL, name TEXT NOT NULL, value REAL NOT NULL, PRIMARY KEY (round, name)
);
"""
# What later versions added to the same format; an older ledger gets it when it is opened to be written.
ADDED = f"""
CREATE TABLE IF NOT EXISTS single_points (
    {declare("smiles")}, geometry TEXT NOT NULL, {declare(*LEVEL)}, energy REAL NOT NULL,
    charges BLOB NOT NULL, bond_orders BLOB NOT NULL, PRIMARY KEY (smiles, geometry)
);
CREATE TABLE IF NOT EXISTS outcomes (
    candidate INTEGER PRIMARY KEY, {declare(*LEVEL)}, source TEXT NOT NULL,
    {declare("attempts", "seconds", "host", "version", "hash")}, finished TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS origins (candidate INTEGER PRIMARY KEY, origin TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS changes (
    id INTEGER PRIMARY KEY, round INTEGER NOT NULL, change TEXT NOT NULL, made TEXT NOT NULL
);
{seals.SCHEMA}"""
# The format goes in with the tables: a file killed in between would have tables and be refused for ever.
CREATE = f"BEGIN; {_TABLES} INSERT INTO meta VALUES ('format', '{FORMAT}'); COMMIT;"
