"""Where the time of a campaign goes: seconds, processor seconds and idle cores of each stage.

    pip install psutil
    python benchmarks/campaign.py [campaigns/quickstart.yaml] [--set key=value ...] [--against CHECKOUT]

Runs the campaign in a temporary folder, with no labels from a cache, and asks the operating system at each
stage's start and end what the campaign and its workers have computed. The floor is what the stage would take
were every core busy: its processor seconds over the number of cores. What is above it is waiting; what lowers
it is less work. --against runs the same recipe from another checkout of alkit first, as it is there.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass
class Spent:
    """Seconds by the clock and by the processors."""

    wall: float = 0.0
    worked: float = 0.0

    @property
    def floor(self) -> float:
        return self.worked / CORES

    @property
    def idle(self) -> float:
        """Cores that did nothing for the campaign, on average."""
        return max(0.0, CORES - self.worked / self.wall) if self.wall else 0.0


class Processes:
    """The processor seconds of a process and all its descendants, those that have ended too."""

    def __init__(self, pid: int):
        self._root = psutil.Process(pid)
        self._seen: dict[tuple[int, float], float] = {}

    def worked(self) -> float:
        """Those that ended since the last call count with what they had then."""
        for one in (self._root, *self._descendants()):
            try:
                times, key = one.cpu_times(), (one.pid, one.create_time())
            except psutil.Error:
                continue
            self._seen[key] = times.user + times.system
        return sum(self._seen.values())

    def _descendants(self) -> list[psutil.Process]:
        try:
            return self._root.children(recursive=True)
        except psutil.Error:
            return []


def command(recipe: Path, folder: Path, changes: list[str], *more: str) -> list[str]:
    own = [
        f"folder={folder / 'run'}",
        f"tracking.uri=sqlite:///{folder / 'mlflow.db'}",
        "simulator.cache=none",
    ]
    sets = [part for change in (*changes, *own) for part in ("--set", change)]
    return [sys.executable, "-m", "alkit", "campaign", "run", str(recipe), *sets, *more]


def events(process: "subprocess.Popen[str]") -> Iterator[dict[str, Any]]:
    assert process.stdout is not None
    for line in process.stdout:
        yield json.loads(line)


def profile(recipe: Path, changes: list[str]) -> tuple[dict[str, Spent], Spent, dict[str, float]]:
    """What each stage took, what all took, and the metrics of the last round."""
    stages: dict[str, Spent] = defaultdict(Spent)
    metrics: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as scratch:
        begun = time.perf_counter()
        process = subprocess.Popen(
            command(recipe, Path(scratch), changes, "--json"), cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        tree, last, stage = Processes(process.pid), Spent(), "before the first"
        for event in events(process):
            now = Spent(time.perf_counter() - begun, tree.worked())
            kind = event["event"]
            if kind in ("stage_begins", "stage_ends", "campaign_ends"):
                stages[stage].wall += now.wall - last.wall
                stages[stage].worked += now.worked - last.worked
                last = now
                stage = event["stage"] if kind == "stage_begins" else "between and after"
            if kind == "round_ends":
                metrics = event["metrics"]
        if process.wait():
            raise SystemExit(f"the campaign ended with exit code {process.returncode}")
        total = Spent(time.perf_counter() - begun, last.worked)
        stages[stage].wall += total.wall - last.wall
    return stages, total, metrics


def against(checkout: Path, recipe: Path, changes: list[str]) -> float:
    """Seconds of the same recipe in another checkout."""
    with tempfile.TemporaryDirectory() as scratch:
        begun = time.perf_counter()
        subprocess.run(
            command(checkout / recipe, Path(scratch), changes),
            cwd=checkout, env=os.environ | {"PYTHONPATH": str(checkout)}, check=True,
        )  # fmt: skip
        return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("campaign", type=Path, nargs="?", default=Path("campaigns/quickstart.yaml"))
    parser.add_argument("--set", dest="changes", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--against", type=Path, metavar="CHECKOUT", help="another revision of alkit")
    arguments = parser.parse_args()
    before = arguments.against and against(arguments.against.resolve(), arguments.campaign, arguments.changes)
    stages, total, metrics = profile((ROOT / arguments.campaign).resolve(), arguments.changes)
    table = Table(title=f"{arguments.campaign.name}, {CORES} cores")
    for column in ("stage", "seconds", "of the processors", "floor", "idle cores"):
        table.add_column(column, justify="left" if column == "stage" else "right")
    for name, spent in (*sorted(stages.items(), key=lambda pair: -pair[1].wall), ("all", total)):
        table.add_row(
            name, f"{spent.wall:.1f}", f"{spent.worked:.1f}", f"{spent.floor:.1f}", f"{spent.idle:.2f}"
        )
    console = Console(width=110)
    console.print(table)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    console.print(f"largest process: {peak * (1 if sys.platform == 'darwin' else 1024) / 1e9:.2f} GB")
    console.print(f"test MAE {metrics['mae']:.4f}" if metrics.get("mae") is not None else "no test MAE")
    if before:
        console.print(f"{arguments.against}: {before:.1f} s, {before / total.wall:.2f} times as long")


if __name__ == "__main__":
    main()
