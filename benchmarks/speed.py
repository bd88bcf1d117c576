"""How fast the surrogate is, beside schnetpack's own pipeline on the same molecules in the same process.

    python benchmarks/speed.py [--rows floor train-pipeline train predict smiles ensemble gpu] [--repeats 5]

SchNet of 128 features, 3 interactions, 20 Gaussians, 5 Å, batches of 100 random QM9 molecules (18 atoms on
average). Both sides are timed in turn, and the ratio of their medians is the figure: this machine's
neighbours slow both. `--rows screen` predicts a million SMILES and takes minutes.
"""

import argparse
import csv
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import chdir
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import alkit  # noqa: F401 - before torch, whose waiting threads then sleep

# isort: split
import numpy as np
import torch
from ase import Atoms
from rich.console import Console
from rich.table import Table
from timing import in_turn

from alkit.engines.training import training_processes
from alkit.models.prediction import predict_smiles
from alkit.models.store import Provenance
from alkit.molecules.molecule import canonical
from surrogate import Ensemble, Graph, ModelSettings, TrainingSettings, graph_2d, graph_3d
from surrogate.batches import TARGET, GraphDataset, collate
from surrogate.compat import schnetpack
from surrogate.groups import train_in_groups
from surrogate.parallel import map_in_order
from surrogate.schnet import build_model, by_schnetpack
from surrogate.stack import evaluate_members
from surrogate.targets import AtomReferences
from surrogate.training import train_members

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data" / "qm9_12k.npz"
SETTINGS = ModelSettings(gaussians=20)  # 128 features, 3 interactions, 20 Gaussians, 5 Å
BATCH = 100
TRAINING, VALIDATION = 1000, 200
ENSEMBLE_EPOCHS = 10
ELEMENTS = (1, 6, 7, 8, 9)


@dataclass
class Molecules:
    atoms: list[Atoms]
    graphs: list[Graph]
    targets: np.ndarray

    @classmethod
    def read(cls, count: int) -> "Molecules":
        with np.load(DATA, allow_pickle=False) as data:
            ends = data["n_atoms"].cumsum()
            parts = [slice(end - n, end) for end, n in zip(ends[:count], data["n_atoms"], strict=False)]
            Z, R = data["Z"], data["R"]
            atoms = [Atoms(numbers=Z[part], positions=R[part]) for part in parts]
            energies = data["u0"][:count]
        graphs = [graph_3d(one.numbers, one.positions, cutoff=SETTINGS.cutoff) for one in atoms]
        rests = energies - AtomReferences.fit(ELEMENTS, graphs, energies)(graphs)
        return cls(atoms, graphs, rests)


@dataclass
class Row:
    work: str
    ours: float  # per second
    theirs: float | None
    unit: str
    bar: str
    note: str = ""


# --- the floor ---------------------------------------------------------------------------------------------


def operations(molecules: Molecules) -> dict[str, float]:
    """Multiply-adds times two that a molecule costs in one forward pass, on average."""
    F, blocks, gaussians = SETTINGS.features, SETTINGS.interactions, SETTINGS.gaussians
    atoms = np.mean([len(graph) for graph in molecules.graphs])
    pairs = np.mean([len(graph.senders) for graph in molecules.graphs])
    dense = 2 * F * F
    filters = 2 * (gaussians * F + F * F)
    head = 2 * (F * (F // 2) + F // 2)
    return {
        "schnetpack: a filter for every directed pair": blocks * pairs * filters,
        "schnetpack: dense layers of atoms": atoms * (3 * blocks * dense + head),
        "floor: dense layers of atoms, the first one by element": atoms * ((3 * blocks - 1) * dense + head),
        "floor: sums over neighbours, filters interpolated": blocks * pairs / 2 * F * (7 + 4),
    }


def matrix_speed() -> float:
    """Operations per second of a matrix product of one batch's size, on all of torch's threads."""
    x, w = torch.rand(18 * BATCH, SETTINGS.features), torch.rand(SETTINGS.features, SETTINGS.features)
    (best,) = in_turn(5, lambda: [x @ w for _ in range(50)])
    return 50 * 2 * x.shape[0] * w.numel() / best


def floor(molecules: Molecules, console: Console) -> None:
    parts, speed = operations(molecules), matrix_speed()
    table = Table("per molecule, forward", "MFLOP", title="The floor")
    for name, count in parts.items():
        table.add_row(name, f"{count / 1e6:.2f}")
    console.print(table)
    least = sum(count for name, count in parts.items() if name.startswith("floor"))
    console.print(
        f"Matrix products run at {speed / 1e9:.0f} GFLOP/s here: {speed / least:,.0f} predictions at most, "
        f"and at three times the operations {speed / least / 3:,.0f} molecules trained, a second."
    )


# --- training ----------------------------------------------------------------------------------------------


def train_pipeline(molecules: Molecules, repeats: int) -> Iterator[Row]:
    """Seconds per epoch of both trainers, validation included, from the second epoch on."""
    with (
        tempfile.TemporaryDirectory() as folder,
        chdir(folder),
    ):  # schnetpack leaves a lock file where it runs
        data = schnetpack_data(molecules, Path(folder))
        times = [
            (epoch_of_alkit(molecules, 1), epoch_of_schnetpack(data, Path(folder)))
            for _ in range(max(repeats // 2, 1) + 1)
        ][1:]
    per_second = [TRAINING / statistics.median(column) for column in zip(*times, strict=True)]
    yield Row("training, against schnetpack's pipeline", *per_second, "molecules/s", "≥ 10×")


def training_settings(epochs: int) -> TrainingSettings:
    return TrainingSettings(epochs=epochs, batch_size=BATCH, lr=1e-3)


def data_sets(molecules: Molecules, settings: ModelSettings = SETTINGS) -> tuple[GraphDataset, GraphDataset]:
    """For training and for validation."""
    parts = slice(0, TRAINING), slice(TRAINING, TRAINING + VALIDATION)
    learned, tested = (GraphDataset(molecules.graphs[p], settings, molecules.targets[p]) for p in parts)
    return learned, tested


def epoch_of_alkit(molecules: Molecules, members: int, epochs: int = 4) -> float:
    sets = data_sets(molecules)
    networks = [build_model(SETTINGS, seed=seed) for seed in range(members)]
    rows = train_members(networks, *sets, training_settings(epochs), seed=0)[0].epochs
    return (rows[-1]["seconds"] - rows[0]["seconds"]) / (epochs - 1)


def schnetpack_data(molecules: Molecules, folder: Path) -> Any:
    """The data module of schnetpack's QM9 tutorial."""
    from schnetpack.data import ASEAtomsData, AtomsDataModule

    path = str(folder / "molecules.db")
    database = ASEAtomsData.create(path, distance_unit="Ang", property_unit_dict={TARGET: "eV"})
    database.add_systems([{TARGET: np.array([value])} for value in molecules.targets], molecules.atoms)
    transforms = schnetpack.transform
    module = AtomsDataModule(
        path,
        batch_size=BATCH,
        num_train=TRAINING,
        num_val=VALIDATION,
        transforms=[transforms.ASENeighborList(cutoff=SETTINGS.cutoff), transforms.CastTo32()],
        num_workers=1,
        split_file=str(folder / "split.npz"),
        pin_memory=torch.cuda.is_available(),
    )
    module.prepare_data()
    module.setup()
    return module


def epoch_of_schnetpack(data: Any, folder: Path) -> float:
    import pytorch_lightning as pl

    class Clock(pl.Callback):
        ends: list[float] = []  # noqa: RUF012

        def on_train_epoch_end(self, trainer: Any, task: Any) -> None:
            self.ends.append(time.perf_counter())

    output = schnetpack.task.ModelOutput(name=TARGET, loss_fn=torch.nn.MSELoss(), metrics={})
    network = build_model(SETTINGS, seed=0)
    network.input_modules = torch.nn.ModuleList([schnetpack.atomistic.PairwiseDistances()])
    task = schnetpack.task.AtomisticTask(
        model=network,
        outputs=[output],
        optimizer_cls=torch.optim.AdamW,
        optimizer_args={"lr": 1e-3},
        scheduler_cls=torch.optim.lr_scheduler.ReduceLROnPlateau,
        scheduler_args={"patience": 10, "factor": 0.5},
        scheduler_monitor="val_loss",
    )
    clock = Clock()
    clock.ends = []
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = pl.Trainer(max_epochs=3, callbacks=[clock], default_root_dir=folder, **quiet)
    trainer.fit(task, datamodule=data)
    return (clock.ends[-1] - clock.ends[0]) / 2


def train_cached(molecules: Molecules, repeats: int) -> Iterator[Row]:
    """Steps of AdamW on batches that are there; ours are cut from the data set in every step."""
    starts = range(0, TRAINING, BATCH)
    data = GraphDataset(molecules.graphs[:TRAINING], SETTINGS, molecules.targets[:TRAINING])
    cached = [collate(molecules.graphs[s : s + BATCH]) for s in starts]
    targets = [data.targets[s : s + BATCH] for s in starts]

    def run(outputs: Callable[[Any, int], Any]) -> Callable[[], None]:
        network = build_model(SETTINGS, seed=0)
        optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4)

        def steps() -> None:
            for k in range(len(cached)):
                optimizer.zero_grad()
                ((outputs(network, k) - targets[k]) ** 2).mean().backward()
                optimizer.step()

        return steps

    ours = run(
        lambda network, k: evaluate_members([network], data.batch(range(starts[k], starts[k] + BATCH)))[0][0]
    )
    theirs = run(lambda network, k: by_schnetpack(network, cached[k])[0])
    times = in_turn(repeats, ours, theirs)
    yield Row(
        "training, against schnetpack's model on cached batches",
        *[TRAINING / one for one in times],
        "molecules/s",
        "≥ 4×",
    )


def ensemble(molecules: Molecules, repeats: int) -> Iterator[Row]:
    """Whole trainings, as `alkit train` and campaigns do them: members in groups, a process each.

    Once with the networks of this table, once with those of the quickstart. One of these is so small that it
    leaves most of two cores idle. 16 heads are one network, trained by likelihood.
    """
    bars = "≤ 3× on two cores, ≤ 1.5× on a GPU", "≤ 1.5×"
    small = ModelSettings(features=64, gaussians=40)
    for which, settings, batch in (("", SETTINGS, BATCH), (", quickstart's networks", small, 16)):
        headed, seen = replace(settings, heads=16), TRAINING * ENSEMBLE_EPOCHS
        how = TrainingSettings(epochs=ENSEMBLE_EPOCHS, batch_size=batch, lr=1e-3)

        def train(members: int, settings: Any, sets: Any, how: Any = how) -> None:
            train_in_groups(
                [build_model(settings, seed=k) for k in range(members)], *sets, how, seed=0, scale=1.0,
                warm=False, on_epoch=None, processes=training_processes(),
            )  # fmt: skip

        plain, with_heads = data_sets(molecules, settings), data_sets(molecules, headed)
        whole = partial(train, 5, settings, plain), partial(train, 1, headed, with_heads)
        *several, one = in_turn(repeats, *whole, partial(train, 1, settings, plain))
        for what, taken, bar in zip(("5 members", "16 heads"), several, bars, strict=True):
            note = f"{taken / one:.2f}× the time of one"
            name = f"training of {what} (left), of one (right){which}"
            yield Row(name, seen / taken, seen / one, "molecules/s", bar, note)


# --- prediction --------------------------------------------------------------------------------------------


def predict(molecules: Molecules, repeats: int) -> Iterator[Row]:
    """On the CPU. schnetpack's batches one after the other on all of torch's threads, and side by side on a
    thread each, whichever is faster; ours as Ensemble.predict runs them."""
    graphs = molecules.graphs[:TRAINING]
    cached = [collate(graphs[s : s + BATCH]) for s in range(0, TRAINING, BATCH)]
    data = GraphDataset(graphs, SETTINGS)
    batches = [data.batch(range(s, s + BATCH)) for s in range(0, TRAINING, BATCH)]
    network = build_model(SETTINGS, seed=0).eval()
    whole = Ensemble(SETTINGS, AtomReferences(ELEMENTS, (0.0,) * 5), [network])

    def theirs(batch: Any) -> None:
        with torch.inference_mode():
            by_schnetpack(network, batch)

    def ours(batch: Any) -> None:
        with torch.inference_mode():
            evaluate_members([network], batch)

    times = in_turn(
        repeats,
        lambda: list(map_in_order(ours, batches)),
        lambda: whole.predict(graphs, device="cpu"),
        lambda: list(map(theirs, cached)),
        lambda: list(map_in_order(theirs, cached)),
    )
    mine, all_of_it, *other = (TRAINING / one for one in times)
    note = f"schnetpack in turn {other[0]:,.0f}, side by side {other[1]:,.0f}"
    yield Row("prediction, both on cached batches", mine, max(other), "molecules/s", "≥ 8×", note)
    yield Row("Ensemble.predict, from graphs", all_of_it, max(other), "molecules/s", "≥ 8×", note)


def a_model(molecules: Molecules, members: int, *, chemistry: bool) -> tuple[Ensemble, Provenance]:
    """Trained for one epoch: what it predicts plays no part."""
    inputs: Any = ("chemistry",) if chemistry else ()
    uncertainty: Any = ("ensemble", "gp") if members > 1 else ("ensemble",)
    settings = ModelSettings(mode="2d", gaussians=20, inputs=inputs, uncertainty=uncertainty)
    lines = dict.fromkeys(str(one) for one in np.load(DATA, allow_pickle=False)["smiles"][:200])
    graphs = [graph_2d(one, cutoff=settings.cutoff, chemistry=chemistry) for one in lines]
    labels = np.array([-4.0 * len(one) for one in graphs])
    sets = {"training": (graphs[50:], labels[50:]), "validation": (graphs[:50], labels[:50])}
    found = Ensemble.fit(settings, training_settings(1), **sets, members=members, seed=0)
    return found, Provenance("mmff", 0, 1, "none", 200)


def smiles(molecules: Molecules, repeats: int) -> Iterator[Row]:
    """From text to energies, as `alkit predict` does it."""
    lines = [str(one) for one in np.load(DATA, allow_pickle=False)["smiles"][:4000]]
    for members, chemistry in ((1, False), (1, True), (3, False), (3, True)):
        model = a_model(molecules, members, chemistry=chemistry)
        (taken,) = in_turn(repeats, lambda model=model: list(predict_smiles(*model, lines)))
        which = "one network" if members == 1 else "3 members with gp, alkit's default"
        name = f"prediction from SMILES in 2D{', chemistry' if chemistry else ''}, {which}"
        yield Row(name, len(lines) / taken, None, "molecules/s", "≥ 1,500/s")


def screen(molecules: Molecules, repeats: int, count: int = 1_000_000) -> Iterator[Row]:
    """`alkit predict` on ``count`` lines, killed once on the way; memory as the system counts it."""
    lines = [str(one) for one in np.load(DATA, allow_pickle=False)["smiles"]]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        trained, provenance = a_model(molecules, 1, chemistry=False)
        trained.save(folder / "model")
        provenance.save(folder / "model")
        (folder / "pool.smi").write_text("\n".join(lines[k % len(lines)] for k in range(count)) + "\n")
        alkit = [sys.executable, "-m", "alkit", "predict", "model", "pool.smi", "--out", "out.csv"]
        partial = folder / "out.csv.part"
        start = time.perf_counter()
        first = subprocess.Popen(alkit, cwd=folder)
        while not partial.exists() or partial.stat().st_size < 15 * count:
            time.sleep(1)
            if first.poll() is not None:
                raise RuntimeError("the screen ended before it could be killed")
        first.kill()
        first.wait()
        subprocess.run(alkit, cwd=folder, check=True)
        taken = time.perf_counter() - start
        known = {line: canonical(line) for line in lines}
        with (folder / "out.csv").open(newline="") as file:
            written = 0
            for row in csv.DictReader(file):
                if row["smiles"] != known[lines[written % len(lines)]]:
                    raise RuntimeError(f"row {written} is another molecule's")
                written += 1
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
    note = f"{written:,} rows, each its line's molecule; {most:.2f} GB at most"
    work = f"screening {count:,} SMILES, killed and resumed"
    yield Row(work, count / taken, None, "molecules/s", "< 4 GB, resumable", note)


# --- a data-centre GPU -------------------------------------------------------------------------------------


def gpu(molecules: Molecules, repeats: int) -> Iterator[Row]:
    """Training, and the share of what the memory's bandwidth allows."""
    if not torch.cuda.is_available():
        return
    F, atoms = SETTINGS.features, np.mean([len(graph) for graph in molecules.graphs])
    # Each dense layer and each convolution reads and writes the atoms' features once, twice so backward.
    tensors = 3 * 2 * (4 * SETTINGS.interactions + 2)
    buffer = torch.empty(2**28, device="cuda")
    target = torch.empty_like(buffer)
    (copying,) = in_turn(5, lambda: target.copy_(buffer))
    bandwidth = 2 * buffer.nbytes / copying
    most = bandwidth / (tensors * atoms * F * 4)
    taken = statistics.median(epoch_of_alkit(molecules, 1, epochs=6) for _ in range(repeats))
    yield Row(
        "training on this GPU",
        TRAINING / taken,
        None,
        "molecules/s",
        "≥ 50,000/s",
        f"{100 * TRAINING / taken / most:.1f} % of {most:,.0f}/s at {bandwidth / 1e12:.2f} TB/s",
    )


ROWS: dict[str, Callable[[Molecules, int], Iterator[Row]]] = {
    "predict": predict,
    "smiles": smiles,
    "train-pipeline": train_pipeline,
    "train": train_cached,
    "ensemble": ensemble,
    "gpu": gpu,
    "screen": screen,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", nargs="+", choices=["floor", *ROWS], default=["floor", *list(ROWS)[:-1]])
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    console, molecules = Console(width=140), Molecules.read(TRAINING + VALIDATION)
    place = (
        torch.cuda.get_device_name() if torch.cuda.is_available() else f"{torch.get_num_threads()} threads"
    )
    table = Table("work", "alkit", "schnetpack", "ratio", "unit", "bar", "note", title=f"Speed on {place}")
    for name in arguments.rows:
        if name == "floor":
            floor(molecules, console)
            continue
        for row in ROWS[name](molecules, arguments.repeats):
            ratio = "" if row.theirs is None else f"{row.ours / row.theirs:.2f}×"
            theirs = "" if row.theirs is None else f"{row.theirs:,.0f}"
            table.add_row(row.work, f"{row.ours:,.0f}", theirs, ratio, row.unit, row.bar, row.note)
    console.print(table)


if __name__ == "__main__":
    main()
