"""What an engine costs beside the labels: labels that take no time, through each of the three.

    python benchmarks/engines.py [--labels 10000] [--workers 2] [--engines local parsl dask] [--commits 500]

A row per engine: time to the first label, overhead per label and labels per second after it, and the
resident memory (GB) of this process and of its workers (all its descendants, and those of Parsl's manager)
at 10, 50 and 100 % of the run. Pages that processes share count once in each. The last rows are
the campaign's side: labels per second that go into the ledger, and into the label cache as well, each by
transactions that wait for the disk.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

from alkit.engines import ENGINES, create_engine
from alkit.molecules.molecule import Molecule
from alkit.simulators import Label, Level, SimulatorSpec
from alkit.storage.label_cache import LabelCache
from alkit.storage.ledger import Ledger

MARKS = (0.1, 0.5, 1.0)


class Instant:
    """A simulator that answers at once."""

    level = Level("instant", "energy")

    def label(self, molecule: Molecule) -> Label:
        return Label(
            molecule.smiles, -100.0, self.level, {"steps": 1.0}, molecule.numbers, molecule.positions, 0.0
        )


def molecules(count: int) -> Iterator[Molecule]:
    """As large as QM9's are on average: 18 atoms."""
    rng = np.random.default_rng(0)
    for i in range(count):
        yield Molecule(f"C{i}", np.full(18, 6), rng.normal(size=(18, 3)), "given")


def memory(started: float) -> tuple[float, float]:
    """Resident GB of this process, and of its workers."""
    this = psutil.Process()
    workers = {process.pid: process for process in this.children(recursive=True)}
    for process in psutil.process_iter(["cmdline", "create_time"]):
        words = " ".join(process.info["cmdline"] or [])
        if (
            "process_worker_pool" in words and process.info["create_time"] >= started
        ):  # the manager has left us
            workers[process.pid] = process
            workers |= {child.pid: child for child in process.children(recursive=True)}
    return resident([this]), resident(list(workers.values()))


def resident(processes: list[psutil.Process]) -> float:
    total = 0
    for process in processes:
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total / 1e9


def measure(kind: str, labels: int, workers: int) -> dict[str, Any]:
    spec = SimulatorSpec(f"{Path(__file__).resolve()}:Instant")
    marks = {max(1, round(mark * labels)): mark for mark in MARKS}
    row: dict[str, Any] = {"engine": kind}
    started, begin = time.time(), time.perf_counter()
    with create_engine(spec, kind, workers=workers, timeout=60) as engine:
        warm = list(engine.label_all(molecules(8 * workers)))
        row["first, s"] = time.perf_counter() - begin
        assert all(isinstance(label, Label) for _, label in warm), warm
        begin, paused = time.perf_counter(), 0.0
        for done, (_, label) in enumerate(engine.label_all(molecules(labels)), 1):
            assert isinstance(label, Label), label
            if done in marks:
                pause = time.perf_counter()
                row[f"at {marks[done]:.0%}"] = "{:.2f} + {:.2f}".format(*memory(started))
                paused += time.perf_counter() - pause
        seconds = time.perf_counter() - begin - paused
    row["ms/label"], row["labels/s"] = 1000 * seconds / labels, labels / seconds
    return row


def commits(count: int, *, cache: bool) -> float:
    """Labels per second that a campaign can settle: a commit of the ledger for each, and, with the label
    cache, two of that: the claim, and the label."""
    spec = SimulatorSpec(f"{Path(__file__).resolve()}:Instant")
    found = [(molecule, Instant().label(molecule)) for molecule in molecules(count)]
    with (
        tempfile.TemporaryDirectory(dir=".") as folder,
        closing(Ledger(Path(folder) / "ledger.sqlite")) as ledger,
        closing(LabelCache(Path(folder) / "labels.sqlite", spec)) as shared,
        ledger.stage(0, "label"),
    ):
        ledger.add_candidates(0, [molecule.smiles for molecule, _ in found], status="acquired")
        ledger.commit()
        begin = time.perf_counter()
        for i, (molecule, label) in enumerate(found, start=1):
            if cache:
                shared.claim(molecule)
            ledger.add_label(label)
            ledger.mark(i, "labelled")
            ledger.add_outcome(i, label, label.level, "computed")
            ledger.commit()
            if cache:
                shared.put(molecule, label)
        return count / (time.perf_counter() - begin)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--labels", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=ENGINES)
    parser.add_argument("--commits", type=int, default=500)
    options = parser.parse_args()
    names = ["engine", "first, s", "ms/label", "labels/s", *(f"at {mark:.0%}" for mark in MARKS)]
    table = Table(*names, title=f"{options.labels} labels, {options.workers} workers; GB: parent + workers")
    for kind in options.engines:
        row = measure(kind, options.labels, options.workers)
        table.add_row(*(f"{row[n]:.2f}" if isinstance(row[n], float) else row[n] for n in names))
    console = Console()
    console.print(table)
    for cache in (False, True):
        rate = commits(options.commits, cache=cache)
        what = "ledger and label cache" if cache else "ledger alone"
        console.print(f"{what}: {rate:.0f} labels settled a second")


if __name__ == "__main__":
    main()
