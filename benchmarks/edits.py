"""What alkit does with a campaign whose ledger, cache or round files were edited: 200 random edits.

    python benchmarks/edits.py [--edits 200] [--seed 0] [--resume 10]

A small campaign of two rounds runs once; a copy of it is stopped before its last stage. Each edit changes
one value, row, byte or number in a copy, and every command reads it: `campaign status`, `report`, `ledger`,
exports of candidates and labels, `predict` with its model. Every so many edits (``--resume``) the stopped
campaign goes on in place of that. An edit must be refused with one sentence and exit code 2, or make no
difference: the exit code is 1 for a traceback, or where a command succeeds and says another number.
"""

import argparse
import os
import random
import shutil
import sqlite3
import sys
import tempfile
import traceback
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

# Imported before the forks; the folder of this file has a generator.py that would hide the package.
sys.path[0] = str(Path(__file__).resolve().parents[1])
import mlflow.store.tracking.sqlalchemy_store  # noqa: E402, F401

import alkit.campaign.campaign  # noqa: E402
import alkit.standalone.prediction  # noqa: E402
import generator  # noqa: E402, F401
import surrogate.ensemble  # noqa: E402, F401
from alkit.cli import app  # noqa: E402

_CAMPAIGN = """\
name: edited
folder: run
target: energy
seeds: seeds.smi
domain: {max_heavy_atoms: 5}
start: {training: 10, validation: 5, test: 8}
proposer: {kind: pool, file: seeds.smi}
surrogate: {mode: 3d, learning: delta, members: 2, features: 8, interactions: 1, gaussians: 5, epochs: 3,
            batch_size: 8, device: cpu}
acquisition: lcmd
batch_size: 6
simulator: {kind: xtb, cache: labels.sqlite}
stop: {rounds: 2}
tracking: {uri: "sqlite:///mlflow.db"}
"""
_COMMANDS = {
    "status": ("campaign", "status", "run"),
    "ledger": ("campaign", "ledger", "run"),
    "candidates": ("campaign", "ledger", "run", "--out", "candidates.csv"),
    "labels": ("campaign", "ledger", "run", "--out", "labels.extxyz"),
    "report": ("campaign", "report", "run"),
    "predict": ("predict", "run", "new.smi", "--out", "predicted.csv"),
}
_OUTPUTS = ("candidates.csv", "labels.extxyz", "predicted.csv")
_VALUES = ("NULL", "''", "'text'", "-1", "7", "1e300", "x'00ff'", "'NaN'", "'CCO'", "'failed'", "0.5")


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


def alkit(folder: Path, *arguments: str) -> Done:
    """Run a command in a process of its own, forked from this one, which has imported everything."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        if not (child := os.fork()):
            os.chdir(folder)
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            code = 1
            try:
                app.main(list(arguments))
                code = 0
            except SystemExit as ending:
                code = ending.code if isinstance(ending.code, int) else int(bool(ending.code))
            except BaseException:
                traceback.print_exc()
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        texts = [(file.seek(0), file.read().decode(errors="replace"))[1] for file in (out, err)]
    return Done(code, *texts)


def make_campaigns(base: Path) -> None:
    """``finished``, and ``stopped`` before its last stage, each a project of its own."""
    from alkit.molecules.enumeration import seed_molecules

    project = base / "finished"
    project.mkdir()
    small = [one for one in seed_molecules() if sum(c.isalpha() for c in one) <= 5]
    (project / "seeds.smi").write_text("\n".join(small))
    (project / "new.smi").write_text("CCO\nCCN\nCC=O\n")
    (project / "edited.yaml").write_text(_CAMPAIGN)
    done = alkit(project, "campaign", "run", "edited.yaml")
    if done.returncode:
        raise SystemExit(done.stderr)
    shutil.copytree(project, base / "stopped")
    with closing(sqlite3.connect(base / "stopped" / "run" / "ledger.sqlite")) as db, db:
        db.execute("DELETE FROM stages WHERE round = 2 AND stage = 'evaluate'")
        db.execute("DELETE FROM metrics WHERE round = 2")
        db.execute("DELETE FROM seals WHERE what IN ('metrics', 'stages') AND key LIKE '(2, %'")
        db.execute("DELETE FROM meta WHERE key = 'stopped_by'")


def edit(project: Path, draw: random.Random) -> str:
    """One edit at random; what it was."""
    kind = draw.choice(["ledger", "ledger", "ledger", "cache", "json", "bytes", "bytes", "cut"])
    if kind in ("ledger", "cache"):
        path = project / ("run/ledger.sqlite" if kind == "ledger" else "labels.sqlite")
        return f"{kind}: {_edit_table(path, draw)}"
    files = [path for path in sorted((project / "run" / "rounds").rglob("*")) if path.is_file()]
    path = draw.choice([one for one in files if one.suffix == ".json"] if kind == "json" else files)
    content = bytearray(path.read_bytes())
    at = draw.randrange(len(content))
    if kind == "json":
        digits = [i for i, byte in enumerate(content) if chr(byte).isdigit()]
        at = draw.choice(digits)
        content[at] = ord(str((int(chr(content[at])) + draw.randint(1, 9)) % 10))
    elif kind == "bytes":
        content[at] ^= 1 << draw.randrange(8)
    else:
        del content[at:]
    path.write_bytes(bytes(content))
    return f"{kind}: {path.relative_to(project)} at {at}"


def _edit_table(path: Path, draw: random.Random) -> str:
    with closing(sqlite3.connect(path)) as db:
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        counts = {name: db.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in tables}
        table = draw.choice([name for name in tables if counts[name]])
        column = draw.choice([row[1] for row in db.execute(f"PRAGMA table_info({table})")])
        row = db.execute(f"SELECT rowid FROM {table} LIMIT 1 OFFSET ?", (draw.randrange(counts[table]),))
        value = draw.choice([*_VALUES, f"{column} + 0.1", f"{column} || 'C'", "DELETE"])
        (number,) = row.fetchone()
        where = f"WHERE rowid = {number}"
        try:
            with db:
                db.execute(
                    f"DELETE FROM {table} {where}"
                    if value == "DELETE"
                    else f"UPDATE {table} SET {column} = {value} {where}"
                )
        except sqlite3.Error as error:
            return f"{table}.{column} = {value}: SQLite refused it ({error})"
        return f"{table}.{column} = {value} in row {number}"


def numbers_of(project: Path, outputs: dict[str, str]) -> dict[str, str]:
    """What the commands said and wrote."""
    written = {name: (project / name).read_text() for name in _OUTPUTS if (project / name).exists()}
    return outputs | written


def read_all(project: Path) -> tuple[dict[str, Done], dict[str, str]]:
    for name in _OUTPUTS:
        (project / name).unlink(missing_ok=True)
    done = {name: alkit(project, *arguments) for name, arguments in _COMMANDS.items()}
    said = {name: one.stdout for name, one in done.items() if one.returncode == 0}
    return done, numbers_of(project, said)


def fault(done: Done) -> str:
    """What is wrong with how a command ended, if anything."""
    if "Traceback" in done.stderr:
        return f"traceback: {done.stderr.strip().splitlines()[-1]}"
    if done.returncode not in (0, 2):
        return f"exit code {done.returncode}"
    return ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--edits", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--resume", type=int, default=10, help="go on with the campaign after every so many edits"
    )
    arguments = parser.parse_args()
    console, counts, faulty = Console(width=140, highlight=False, markup=False), Counter[str](), 0
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        make_campaigns(base)
        work = base / "work"  # in the same place each time, as what is said names it
        shutil.copytree(base / "finished", work)
        _, expected = read_all(work)
        for number in range(arguments.edits):
            resumed = number % arguments.resume == 0
            draw = random.Random(f"{arguments.seed} {number}")
            shutil.rmtree(work)
            shutil.copytree(base / ("stopped" if resumed else "finished"), work)
            what = edit(work, draw)
            if resumed:
                done, said = {"run": alkit(work, "campaign", "run", "edited.yaml")}, {}
            else:
                done, said = read_all(work)
            wrong = [f"{name}: {problem}" for name, one in done.items() if (problem := fault(one))]
            wrong += [f"{name} says something else" for name in said if said[name] != expected[name]]
            refused = any(one.returncode == 2 for one in done.values())
            counts["refused" if refused else "no difference"] += not wrong
            counts["tracebacks"] += any("traceback" in one for one in wrong)
            counts["another value"] += any("something else" in one for one in wrong)
            counts["resumed"] += resumed
            if wrong:
                faulty += 1
                console.print(f"{number} {what}\n  " + "\n  ".join(wrong), soft_wrap=True)
    table = Table(title=f"{arguments.edits} edits, seed {arguments.seed}", title_justify="left")
    for name in ("refused", "no difference", "tracebacks", "another value", "resumed"):
        table.add_column(name, justify="right")
    table.add_row(
        *(
            str(counts[name])
            for name in ("refused", "no difference", "tracebacks", "another value", "resumed")
        )
    )
    console.print(table)
    sys.exit(1 if faulty else 0)


if __name__ == "__main__":
    main()
