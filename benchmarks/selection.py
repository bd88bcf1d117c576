"""What it costs to choose a batch: seconds and peak memory of every acquisition function, at any pool size.

    python benchmarks/selection.py [--pool 100000] [--batch 100] [--acquisitions lcmd ./mine.py:score ...]
    python benchmarks/selection.py --soap qm9_12k.npz --pool 10000 --labelled 120

The bar: at most 10 s on 2 cores and 4 GB for 100 out of 100,000 molecules with 128-dimensional embeddings,
and 1,500 labelled ones. Molecules are made up; embeddings are a random layer's of a few hidden variables,
because those of a network are as correlated. Every function has a fresh process: seconds are those of
choosing, memory is the most that the process ever had, imports and the pool (printed below the table)
included. --soap: what the first round of `bias` takes on real molecules in their geometries, SOAP features
and all; the bar is a minute for 10,000. Labels stand in for GFN2-xTB energies, which take no part in time.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import alkit  # noqa: F401 - before numpy, whose waiting threads then sleep

import numpy as np  # isort: skip
from ase import Atoms
from rich.console import Console
from rich.table import Column, Table

from alkit.acquisition import Pool, RoundContext, resolve, select
from alkit.acquisition.base import BUILT_IN
from alkit.errors import AlkitError
from alkit.molecules.soap import Soap
from alkit.studies.acquisition.settings import Function
from surrogate.low_rank import RANK, Covariance

SECONDS, GIGABYTES, MINUTE = 10.0, 4.0, 60.0  # the bars
BOTORCH = "{{name: botorch, settings: {{model: gp, function: '{}'}}}}"
PROCESS = (
    "qPosteriorStandardDeviation",
    "qNegIntegratedPosteriorVariance",
    "qUpperConfidenceBound",
    "qLogExpectedImprovement",
    "qLogNoisyExpectedImprovement",
    "qMaxValueEntropy",
    "botorch.acquisition.monte_carlo:qSimpleRegret",
)


def made(arguments: argparse.Namespace) -> tuple[Pool, RoundContext]:
    rng = np.random.default_rng(arguments.seed)
    n, m, d = arguments.pool, arguments.labelled, arguments.features
    hidden = rng.normal(size=(n + m, min(d, 16)))
    hidden[:, 0] += rng.choice([-3.0, 0.0, 3.0], size=n + m)
    layer = rng.normal(size=(hidden.shape[1], d)) / np.sqrt(hidden.shape[1])
    embeddings = np.tanh(hidden @ layer + 0.1 * rng.normal(size=(n + m, d))).astype(np.float32)
    smiles = tuple("C" * (1 + i % 9) + "O" * (1 + i % 2) for i in range(n + m))
    energies = -70 + 5 * hidden[:, 0] + hidden[:, -1] ** 2
    samples = energies[m:] + 0.1 * rng.normal(size=(arguments.members, n)) * (1 + np.abs(hidden[m:, 0]))
    spread, cost, xtb_energy = (
        samples.std(axis=0),
        rng.uniform(0.1, 10, size=n),
        energies + rng.normal(size=n + m),
    )
    factors = rng.normal(size=(n, RANK)) / np.sqrt(RANK)
    covariance = Covariance(factors, 0.1 * rng.random(n), 0.1)
    pool = Pool(smiles[m:], samples, spread, embeddings[m:], cost, xtb_energy[m:], covariance)
    context = RoundContext(1, smiles[:m], energies[:m], embeddings[:m], rng, xtb_energy[:m])
    return pool, context


def measure(arguments: argparse.Namespace, name: str) -> dict[str, float]:
    """In this process."""
    pool, context = made(arguments)
    before = peak()
    start = time.perf_counter()
    function = Function.parse(name)
    select(resolve(function.name, function.settings), name, pool, context, arguments.batch)
    return {"seconds": time.perf_counter() - start, "peak": peak(), "pool": before}


def peak() -> float:
    """GB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def measured(arguments: argparse.Namespace, name: str) -> dict[str, Any]:
    """In a process of its own."""
    command = [sys.executable, __file__, "--one", name]
    for setting in ("pool", "labelled", "features", "members", "batch", "seed"):
        command += [f"--{setting}", str(getattr(arguments, setting))]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=arguments.limit)
    except subprocess.TimeoutExpired:
        return {"note": f"stopped after {arguments.limit:.0f} s"}
    if ran.returncode:
        return {"note": (ran.stderr.strip().splitlines() or [f"exit code {ran.returncode}"])[-1]}
    return json.loads(ran.stdout.splitlines()[-1])


def first_round(arguments: argparse.Namespace) -> None:
    """Print the seconds of a first round of `bias`, part by part."""
    from accuracy import QM9  # limits torch to one thread

    qm9, clock = QM9(arguments.soap, Path(tempfile.gettempdir())), [time.perf_counter()]
    count = arguments.labelled + arguments.pool
    atoms = [Atoms(*qm9.dataset_geometry(i)) for i in range(count)]
    labels, rng = np.array([qm9.label(i) for i in range(count)]), np.random.default_rng(arguments.seed)

    def timed(what: str, function: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        found = function()
        clock.append(time.perf_counter() - start)
        print(f"{what}: {clock[-1]:.1f} s")
        return found

    soap = timed("representative atoms", lambda: Soap.fit(atoms, rng))
    features = timed("features", lambda: soap.features(atoms, lambda done: None))
    known, rest = slice(0, arguments.labelled), slice(arguments.labelled, count)
    wrong = rng.normal(scale=0.3, size=count)
    samples = (labels + wrong)[None, rest].repeat(3, axis=0)
    names = tuple("C" * (1 + i % 9) for i in range(count))
    pool = Pool(
        names[rest],
        samples,
        np.full(arguments.pool, 0.3),
        features[rest],
        np.ones(arguments.pool),
        labels[rest],
    )
    context = RoundContext(1, names[known], labels[known], features[known], rng, labels[known])
    timed("choosing", lambda: select(resolve("bias"), "bias", pool, context, arguments.batch))
    print(f"together {sum(clock[1:]):.1f} s, bar {MINUTE:.0f} s for 10,000; {peak():.2f} GB")


def row(name: str, found: dict[str, Any]) -> list[str]:
    if "note" in found:
        return [name, "", "", found["note"]]
    cleared = found["seconds"] <= SECONDS and found["peak"] <= GIGABYTES
    return [name, f"{found['seconds']:.2f}", f"{found['peak']:.2f}", "yes" if cleared else "NO"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pool", type=int, default=100_000)
    parser.add_argument("--labelled", type=int, default=1500)
    parser.add_argument("--features", type=int, default=128)
    parser.add_argument("--members", type=int, default=3)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=float, default=600, help="seconds for each")
    parser.add_argument(
        "--acquisitions",
        nargs="+",
        default=[*sorted(set(BUILT_IN) - {"pareto"}), *map(BOTORCH.format, PROCESS)],  # it needs objectives
    )
    parser.add_argument("--soap", type=Path, help="qm9_12k.npz: time a first round of bias on its molecules")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.soap:
        first_round(arguments)
        return
    if arguments.one:
        try:
            print(json.dumps(measure(arguments, arguments.one)))
        except AlkitError as error:
            sys.exit(str(error))
        return
    title = f"{arguments.batch} of {arguments.pool:,} molecules, {arguments.features} features, "
    title += f"{arguments.labelled:,} labelled"
    names = Column("acquisition", overflow="fold")  # a path is shown in full
    table = Table(names, "seconds", "peak, GB", "≤ 10 s, ≤ 4 GB", title=title)
    found = {name: measured(arguments, name) for name in arguments.acquisitions}
    for name, one in found.items():
        table.add_row(*row(name, one))
    console = Console()
    console.print(table)
    before = [one["pool"] for one in found.values() if "pool" in one]
    if before:
        console.print(f"{np.median(before):.2f} GB of the peak are the pool, and what makes it up.")


if __name__ == "__main__":
    main()
