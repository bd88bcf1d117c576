"""What a campaign survives: kill -9 at random moments, and faults injected one by one.

    python benchmarks/faults.py [--rows kill workers disk ...] [--kills 100] [--out DIR]

Every row runs a real campaign (GFN2-xTB, SchNet, the generator, MLflow) in a process of its own, disturbs it,
runs the same command again, and compares what the ledger then holds, labels bit by bit, with a campaign that
was left in peace. ``disk`` and ``read-only`` mount a small file system in memory, which takes root. ``lost``
are labels that were in the ledger before the disturbance and are not after it; ``again`` those of them that
were computed once more.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
# Counts what is computed, and does what a molecule's fault says, once or always.
SIMULATOR = """
import ctypes, json, os, time
from pathlib import Path
from alkit.simulators.xtb import XTBSimulator

HERE = Path(__file__).parent

class Counted(XTBSimulator):
    def __init__(self):
        super().__init__(target="energy")

    def label(self, molecule):
        faults = HERE / "faults.json"
        fault = json.loads(faults.read_text()).get(molecule.smiles) if faults.exists() else None
        if fault == "segfault":
            ctypes.string_at(0)
        if fault == "hang":
            ctypes.CDLL(None).sleep(10_000)  # in C, where Python's signals do not reach
        if fault == "memory":
            hoard = []
            while True:
                hoard.append(bytearray(64 << 20))
        if fault == "exit":
            os._exit(0)
        label = super().label(molecule)
        if fault == "nan":
            label.parts["total_energy"] = float("nan")
        with (HERE / "computed.txt").open("a") as file:
            file.write(molecule.smiles + "\\n")
        return label
"""
# In every process, from its start: a day ahead every other two seconds; a day back after ten seconds.
CLOCKS = {
    "to and fro": "86_400 * (int(time.monotonic() - _start) // 2 % 2)",
    "set back": "-86_400 * (time.monotonic() - _start > 10)",
}
CLOCK = """
import time
_real, _start = time.time, time.monotonic()
time.time = lambda: _real() + {jump}
"""


EQUAL = "equal"


class Bench:
    """A folder with one campaign's file, its simulator, and all that it leaves."""

    def __init__(self, folder: Path, **changes: Any):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self.folder, self.run_folder = folder, folder / "run"
        (folder / "counted.py").write_text(SIMULATOR)
        self.config = folder / "campaign.yaml"
        self.config.write_text(yaml.safe_dump(campaign() | changes, sort_keys=False))
        self.environment = {**os.environ, "PYTHONWARNINGS": "ignore"}

    def start(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "alkit", "campaign", "run", str(self.config)]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )

    def finish(self, process: subprocess.Popen[str]) -> tuple[int, str]:
        """Exit code and the last line on standard error."""
        errors = process.communicate()[1]
        code = process.returncode
        lines = errors.strip().splitlines()
        if "Traceback" in errors:
            return code, "TRACEBACK: " + lines[-1]
        return code, lines[-1] if lines else ""

    def run(self) -> tuple[int, str]:
        return self.finish(self.start())

    @property
    def ledger(self) -> Path:
        return self.run_folder / "ledger.sqlite"

    def labels(self) -> dict[str, bytes]:
        if not self.ledger.exists():
            return {}
        with closing(sqlite3.connect(f"file:{self.ledger}?mode=ro", uri=True)) as db:
            try:
                return dict(db.execute("SELECT smiles, value FROM labels"))
            except sqlite3.OperationalError:  # killed before its tables were made
                return {}

    def computed(self) -> Counter[str]:
        log = self.folder / "computed.txt"
        return Counter(log.read_text().split() if log.exists() else [])

    def contents(self) -> dict[str, Any]:
        """All of the ledger but times, hosts and MLflow's names."""
        queries = {
            "candidates": "SELECT id, round, smiles, status, reason, role FROM candidates ORDER BY id",
            "geometries": "SELECT * FROM geometries ORDER BY smiles",
            "labels": "SELECT smiles, method, value, parts, numbers, positions FROM labels ORDER BY smiles",
            "outcomes": "SELECT candidate, method, source, version, hash FROM outcomes ORDER BY candidate",
            "stages": "SELECT round, stage FROM stages ORDER BY round, stage",
            "metrics": "SELECT round, name, value FROM metrics ORDER BY round, name",
        }
        with closing(sqlite3.connect(self.ledger)) as db:
            return {name: db.execute(query).fetchall() for name, query in queries.items()}

    def reasons(self) -> dict[str, int]:
        with closing(sqlite3.connect(self.ledger)) as db:
            return dict(
                db.execute("SELECT reason, count(*) FROM candidates WHERE status = 'failed' GROUP BY reason")
            )


def campaign() -> dict[str, Any]:
    """As small as real ones go: some 50 labels, two rounds."""
    return {
        "name": "faults",
        "seed": 3,
        "folder": "run",
        "target": "energy",
        "domain": {"max_heavy_atoms": 5},
        "start": {"training": 16, "validation": 6, "test": 8},
        "proposer": {
            "kind": "generator",
            "per_round": 30,
            "steps": 20,
            "steps_per_round": 5,
            "adversarial_steps": 2,
        },
        "surrogate": {
            "members": 2,
            "features": 16,
            "interactions": 1,
            "epochs": 8,
            "batch_size": 8,
            "device": "cpu",
        },
        "acquisition": "lcmd",
        "batch_size": 10,
        "simulator": {
            "kind": "./counted.py:Counted",
            "timeout": 20,
            "memory_limit": 3,
            "cache": "labels.sqlite",
        },
        "stop": {"rounds": 2},
        "tracking": {"uri": "sqlite:///mlflow.db"},
    }


def in_peace(out: Path) -> Bench:
    bench = Bench(out / "peace")
    code, said = bench.run()
    assert code == 0, said
    return bench


def compared(bench: Bench, peace: Bench) -> str:
    """Whether the ledgers hold the same, or which tables differ."""
    ours, theirs = bench.contents(), peace.contents()
    return ", ".join(name for name in ours if ours[name] != theirs[name]) or EQUAL


def by_kill(peace: Bench, out: Path, arguments: Any) -> Iterator[dict[str, Any]]:
    """kill -9 after a random time, at most half of what the campaign takes in peace, again and again until it
    is through; then the next campaign."""
    draw, kills, campaigns, lost, again, in_flight = random.Random(0), 0, 0, 0, 0, 0
    equal = Counter[str]()
    start = time.monotonic()
    while kills < arguments.kills:
        bench, campaigns = Bench(out / "kill"), campaigns + 1
        while True:
            before, computed = bench.labels(), bench.computed()
            process = bench.start()
            try:
                process.wait(draw.uniform(0.0, arguments.longest))
            except subprocess.TimeoutExpired:
                kills += 1
                process.kill()
            process.communicate()
            after, done = bench.labels(), bench.computed()
            lost += sum(after.get(smiles) != value for smiles, value in before.items())
            again += sum(done[smiles] > computed[smiles] for smiles in before)
            if process.returncode == 0:
                break
            assert process.returncode == -signal.SIGKILL, process.returncode
        equal[compared(bench, peace)] += 1
        in_flight += bench.computed().total() - len(bench.computed())
    yield {
        "row": f"kill -9, {kills} times in {campaigns} campaigns, in {time.monotonic() - start:.0f} s",
        "ledger": dict(equal),
        "lost": lost,
        "again": again,
        "in flight": in_flight,
        "fine": not lost and not again and set(equal) == {EQUAL},
    }


def by_worker(peace: Bench, out: Path, arguments: Any) -> Iterator[dict[str, Any]]:
    """One molecule of the start with a fault of its own; the campaign goes on without its label."""
    victims = [row[2] for row in peace.contents()["candidates"] if row[1] == 0 and row[3] == "labelled"]
    faults = ("segfault", "hang", "memory", "nan", "exit")
    for fault in faults:
        bench = Bench(out / "worker")
        (bench.folder / "faults.json").write_text(json.dumps({victims[1]: fault}))
        code, said = bench.run()
        missing = set(victims) - {victims[1]} - set(bench.labels())
        reasons = bench.reasons()
        yield {
            "row": f"worker: {fault}",
            "exit": code,
            "said": f"failed: {reasons}" if code == 0 else said,
            "ledger": f"of the start lacks {len(missing)} other labels",
            "fine": code == 0 and not missing and sum(reasons.values()) == 1,
        }


def resumed(name: str, bench: Bench, peace: Bench, code: int, said: str) -> dict[str, Any]:
    """The row of a fault that stopped a campaign, which then goes on."""
    before, computed = bench.labels(), bench.computed()
    second, error = bench.run()
    after, done = bench.labels(), bench.computed()
    lost = sum(after.get(smiles) != value for smiles, value in before.items())
    again = sum(done[smiles] > computed[smiles] for smiles in before)
    ledger = compared(bench, peace) if second == 0 else f"exit {second}: {error}"
    return {
        "row": name,
        "exit": code,
        "said": said,
        "ledger": ledger,
        "lost": lost,
        "again": again,
        "in flight": done.total() - len(done),
        "fine": code in (2, 130) and "TRACEBACK" not in said and not lost and not again and ledger == EQUAL,
    }


def by_signal(peace: Bench, out: Path, arguments: Any) -> Iterator[dict[str, Any]]:
    for sent in (signal.SIGTERM, signal.SIGINT):
        bench = Bench(out / "signal")
        process = bench.start()
        while len(bench.labels()) < 5 and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(sent)
        yield resumed(sent.name, bench, peace, *bench.finish(process))


def by_lock(peace: Bench, out: Path, arguments: Any) -> Iterator[dict[str, Any]]:
    """Another program holds the ledger's write lock for longer than alkit waits."""
    bench = Bench(out / "lock")
    process = bench.start()
    while len(bench.labels()) < 5 and process.poll() is None:
        time.sleep(0.05)
    with closing(sqlite3.connect(bench.ledger, isolation_level=None, timeout=60)) as other:
        other.execute("BEGIN IMMEDIATE")
        code, said = bench.finish(process)
        other.execute("ROLLBACK")
    yield resumed("database locked", bench, peace, code, said)


def by_disk(peace: Bench, out: Path, arguments: Any) -> Iterator[dict[str, Any]]:
    for size in (200, 600, 1500):
        bench = Bench(out / "disk")
        with mounted(bench.run_folder, f"size={size}k") as remount:
            code, said = bench.run()
            remount("size=1g")
            yield resumed(f"disk full at {size} kB", bench, peace, code, said)


def by_read_only(peace: Bench, out: Path, arguments: Any) -> Iterator[dict[str, Any]]:
    bench = Bench(out / "read-only")
    with mounted(bench.run_folder, "size=1g") as remount:
        process = bench.start()
        while len(bench.labels()) < 5 and process.poll() is None:
            time.sleep(0.05)
        process.kill()
        process.communicate()
        remount("ro")
        code, said = bench.run()
        remount("rw")
        yield resumed("read-only folder", bench, peace, code, said)


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[Callable[[str], None]]:
    """A file system in memory at ``folder``; the function given changes its options."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)
    try:
        yield lambda new: subprocess.run(["mount", "-o", f"remount,{new}", folder], check=True) and None
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def by_clock(peace: Bench, out: Path, arguments: Any) -> Iterator[dict[str, Any]]:
    """The wall clock jumps; and a label hangs meanwhile, in a second run."""
    victim = next(row[2] for row in peace.contents()["candidates"] if row[3] == "labelled")
    for name, jump in CLOCKS.items():
        for fault in ("", "hang"):
            bench = Bench(out / "clock")
            (bench.folder / "sitecustomize.py").write_text(CLOCK.format(jump=jump))
            (bench.folder / "faults.json").write_text(json.dumps({victim: fault}))
            bench.environment["PYTHONPATH"] = f"{bench.folder}:{bench.environment.get('PYTHONPATH', '')}"
            code, said = bench.run()
            fine = bench.reasons() == {"timeout": 1} if fault else compared(bench, peace) == EQUAL
            yield {
                "row": f"clock {name}" + (", and a label that hangs" if fault else ""),
                "exit": code,
                "said": f"failed: {bench.reasons()}" if code == 0 else said,
                "ledger": compared(bench, peace) if not fault else "",
                "fine": code == 0 and fine,
            }


ROWS: dict[str, Callable[[Bench, Path, Any], Iterator[dict[str, Any]]]] = {
    "workers": by_worker,
    "signals": by_signal,
    "lock": by_lock,
    "disk": by_disk,
    "read-only": by_read_only,
    "clock": by_clock,
    "kill": by_kill,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "faults")
    arguments = parser.parse_args()
    console, rows = Console(width=180, markup=False), []
    out = arguments.out.resolve()
    start = time.monotonic()
    peace = in_peace(out)
    arguments.longest = (time.monotonic() - start) / 2  # so that there is something left to resume
    for name in arguments.rows:
        for row in ROWS[name](peace, out, arguments):
            console.print(row)
            rows.append(row)
    columns = ("row", "exit", "said", "ledger", "lost", "again", "in flight", "fine")
    table = Table(*columns, title="Faults")
    for row in rows:
        table.add_row(*[str(row.get(column, "")) for column in columns])
    console.print(table)
    sys.exit(not all(row["fine"] for row in rows))


if __name__ == "__main__":
    main()
