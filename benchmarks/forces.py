"""Energies and forces of one molecule, by alkit and by schnetpack's own training, on the same geometries.

    python benchmarks/forces.py [--out runs/forces] [--epochs 200] [--members 1] [--ema 0.99] [--lr 1e-3]

1,000 geometries of ethanol from Langevin dynamics with GFN2-xTB (500 K, 1 fs a step, a geometry every
20 fs), as revised MD17 has them of PBE; they are computed once and kept in ``--out``. 400 train, 100
validate, 500 test, drawn at random. Both sides train one SchNet (128 features, 3 interactions, 20 Gaussians,
5 Å) with the weights 0.01 of energies and 0.99 of forces, in batches of 10: for as many epochs, and alkit
again for as many seconds. schnetpack has the settings of its experiment ``md17``: AdamW without decay of
weights, 1e-3, halved after 75 epochs without gain, weights averaged with 0.995, the best of the validation
kept. alkit has the defaults of ``alkit train --forces``. Seconds are of the processor, on one thread,
validation included.
"""

import argparse
import os
import tempfile
import time
from contextlib import chdir
from pathlib import Path
from typing import Any, NamedTuple

import ase.io
import numpy as np
import pytorch_lightning as pl
import torch
from ase import Atoms, units
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from ase.optimize import BFGS
from rich.console import Console
from rich.table import Table
from tblite.ase import TBLite

from surrogate import Ensemble, ModelSettings, TrainingSettings, graph_3d
from surrogate.compat import schnetpack
from surrogate.schnet import build_model
from surrogate.settings import USUAL_FORCES_EMA

COUNT, EVERY, STEP, KELVIN = 1000, 20, 1.0, 500  # geometries, steps apart, fs
WARM_UP = 1000  # steps
TRAINING, VALIDATION = 400, 100
FORCES = 0.99  # weight
BATCH = 10


class Row(NamedTuple):
    """Errors on the test geometries, and what they took."""

    what: str
    energy: float  # MAE, eV
    force: float  # MAE of components, eV/Å
    epochs: int
    seconds: float


def geometries(path: Path, seed: int) -> list[Atoms]:
    """Ethanol at 500 K with energies in eV and forces in eV/Å."""
    if not path.is_file():
        atoms = molecule("CH3CH2OH")
        atoms.calc = TBLite(method="GFN2-xTB", verbosity=0)
        BFGS(atoms, logfile=None).run(fmax=0.02)
        rng = np.random.default_rng(seed)
        MaxwellBoltzmannDistribution(atoms, temperature_K=KELVIN, rng=rng)
        run = Langevin(atoms, STEP * units.fs, temperature_K=KELVIN, friction=0.01 / units.fs, rng=rng)
        run.run(WARM_UP)
        frames = []
        for _ in range(COUNT):
            run.run(EVERY)
            frames.append(atoms.copy())
            found = atoms.get_potential_energy(), atoms.get_forces()
            frames[-1].calc = SinglePointCalculator(frames[-1], energy=found[0], forces=found[1])
        part = path.with_name(f"part-{path.name}")
        ase.io.write(part, frames)
        part.rename(path)
    return ase.io.read(path, ":")


def of_alkit(
    frames: list[Atoms], sets: tuple[np.ndarray, ...], settings: ModelSettings, how: TrainingSettings,
    *, members: int, seed: int,
) -> Row:  # fmt: skip
    graphs = [graph_3d(one.numbers, one.positions, cutoff=settings.cutoff) for one in frames]
    energies = np.array([one.get_potential_energy() for one in frames])
    forces = [one.get_forces() for one in frames]
    training, validation, test = (
        ([graphs[i] for i in rows], energies[rows], [forces[i] for i in rows]) for rows in sets
    )
    start = time.process_time()
    found = Ensemble.fit(settings, how, training=training, validation=validation, members=members, seed=seed)
    seconds = time.process_time() - start
    said = found.forces(test[0])
    row = found.histories[0].epochs
    return Row(
        f"alkit, {members} {settings.representation}" + (f", EMA {how.ema}" if how.ema else ""),
        *errors(said, test[1:]),
        len(row),
        seconds,
    )


def errors(said: tuple, truth: tuple) -> tuple[float, float]:
    """MAE of energies and of components of forces."""
    return (
        float(np.abs(said[0] - truth[0]).mean()),
        float(np.abs(np.concatenate(said[1]) - np.concatenate(truth[1])).mean()),
    )


def of_schnetpack(
    frames: list[Atoms], sets: tuple[np.ndarray, ...], settings: ModelSettings, *, epochs: int, seed: int
) -> Row:
    """Its data module, task, trainer and callbacks, as its experiment ``md17`` puts them together."""
    keys = schnetpack.properties.energy, schnetpack.properties.forces
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        torch.manual_seed(seed)
        data = schnetpack_data(frames, sets, settings)
        network: Any = build_model(settings, seed=seed)
        potential = schnetpack.model.NeuralNetworkPotential(
            representation=network.representation,
            input_modules=[schnetpack.atomistic.PairwiseDistances()],
            output_modules=[network.output_modules[0], schnetpack.atomistic.Forces()],
            postprocessors=[
                schnetpack.transform.CastTo64(),
                schnetpack.transform.AddOffsets(keys[0], add_mean=True),
            ],
        )
        outputs = [
            schnetpack.task.ModelOutput(key, torch.nn.MSELoss(), loss_weight=weight, metrics={})
            for key, weight in zip(keys, (1 - FORCES, FORCES), strict=True)
        ]
        task = schnetpack.task.AtomisticTask(
            model=potential,
            outputs=outputs,
            optimizer_cls=torch.optim.AdamW,
            optimizer_args={"lr": 1e-3, "weight_decay": 0.0},
            scheduler_cls=torch.optim.lr_scheduler.ReduceLROnPlateau,  # its own needs torch below 2.7
            scheduler_args={"factor": 0.5, "patience": 75, "threshold": 0.0, "cooldown": 10},
            scheduler_monitor="val_loss",
        )
        callbacks = [
            schnetpack.train.ModelCheckpoint(
                model_path="best_model", monitor="val_loss", dirpath="checkpoints"
            ),
            schnetpack.train.ExponentialMovingAverage(decay=0.995),
            pl.callbacks.EarlyStopping(monitor="val_loss", patience=200),
        ]
        trainer = pl.Trainer(
            max_epochs=epochs, callbacks=callbacks, logger=False, enable_progress_bar=False,
            inference_mode=False, num_sanity_val_steps=0, accelerator="cpu", enable_model_summary=False,
        )  # fmt: skip
        start = time.process_time()
        trainer.fit(task, datamodule=data)
        seconds = time.process_time() - start
        best = torch.load("best_model", weights_only=False).eval()  # written here, a moment ago
        said: tuple[list[np.ndarray], list[np.ndarray]] = [], []
        for batch in data.test_dataloader():  # whose own labels have lost their mean
            found = best(batch)
            for kept, key in zip(said, keys, strict=True):
                kept.append(found[key].detach().numpy())
    truth = [frames[i] for i in sets[2]]
    energies = np.array([one.get_potential_energy() for one in truth])
    return Row(
        f"schnetpack, 1 {settings.representation}",
        *errors((np.concatenate(said[0]), said[1]), (energies, [one.get_forces() for one in truth])),
        trainer.current_epoch,
        seconds,
    )


def schnetpack_data(frames: list[Atoms], sets: tuple[np.ndarray, ...], settings: ModelSettings) -> Any:
    """Its data module on the same split, with the transforms of ``md17``."""
    from schnetpack.data import ASEAtomsData, AtomsDataModule

    keys = schnetpack.properties.energy, schnetpack.properties.forces
    units_of = dict(zip(keys, ("eV", "eV/Ang"), strict=True))
    database = ASEAtomsData.create("ethanol.db", distance_unit="Ang", property_unit_dict=units_of)
    rows = [
        dict(zip(keys, (np.array([one.get_potential_energy()]), one.get_forces()), strict=True))
        for one in frames
    ]
    database.add_systems(rows, [Atoms(one.numbers, one.positions) for one in frames])
    np.savez("split.npz", **dict(zip(("train_idx", "val_idx", "test_idx"), sets, strict=True)))
    transforms = schnetpack.transform
    module = AtomsDataModule(
        "ethanol.db",
        batch_size=BATCH,
        val_batch_size=100,
        num_train=len(sets[0]),
        num_val=len(sets[1]),
        transforms=[
            transforms.SubtractCenterOfMass(),
            transforms.RemoveOffsets(keys[0], remove_mean=True),
            transforms.MatScipyNeighborList(cutoff=settings.cutoff),
            transforms.CastTo32(),
        ],
        num_workers=0,
        split_file="split.npz",
        pin_memory=False,
    )
    module.prepare_data()
    module.setup()
    return module


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--out", type=Path, default=Path("runs/forces"), help="folder that keeps the geometries"
    )
    parser.add_argument("--epochs", type=int, default=200, help="of both")
    parser.add_argument("--representation", choices=("schnet", "painn"), default="schnet")
    parser.add_argument("--members", type=int, default=1, help="networks of alkit")
    parser.add_argument("--ema", type=float, default=USUAL_FORCES_EMA, help="of alkit")
    parser.add_argument("--lr", type=float, default=1e-3, help="of alkit")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 1)))
    given.out.mkdir(parents=True, exist_ok=True)
    frames = geometries(given.out / "ethanol.extxyz", given.seed)
    order = np.random.default_rng(given.seed).permutation(len(frames))
    sets = tuple(np.split(order, [TRAINING, TRAINING + VALIDATION]))
    settings = ModelSettings(
        representation=given.representation,
        gaussians=20,
        elements=("H", "C", "O"),
        uncertainty=("ensemble",),
    )
    rows = [zero(frames, sets)]

    def alkit(epochs: int) -> Row:
        how = TrainingSettings(
            epochs=epochs, batch_size=BATCH, lr=given.lr, ema=given.ema, forces_weight=FORCES, device="cpu"
        )
        return of_alkit(frames, sets, settings, how, members=given.members, seed=given.seed)

    rows.append(alkit(given.epochs))
    print(rows[-1], flush=True)
    rows.append(of_schnetpack(frames, sets, settings, epochs=given.epochs, seed=given.seed))
    print(rows[-1], flush=True)
    rows.append(alkit(round(given.epochs * rows[2].seconds / rows[1].seconds)))
    show(rows, sets)


def zero(frames: list[Atoms], sets: tuple[np.ndarray, ...]) -> Row:
    """The mean energy of the labels, and no forces."""
    labels = [frames[i].get_potential_energy() for i in np.concatenate(sets[:2])]
    test = [frames[i] for i in sets[2]]
    said = np.full(len(test), np.mean(labels)), [np.zeros_like(one.positions) for one in test]
    truth = np.array([one.get_potential_energy() for one in test]), [one.get_forces() for one in test]
    return Row("the mean energy, forces of zero", *errors(said, truth), 0, 0.0)


def show(rows: list[Row], sets: tuple[np.ndarray, ...]) -> None:
    counts = ", ".join(
        f"{len(one)} {name}" for one, name in zip(sets, ("train", "validate", "test"), strict=True)
    )
    table = Table(title=f"Ethanol, GFN2-xTB at {KELVIN} K: {counts}; MAE", title_justify="left")
    for heading in ("", "energy, meV", "force, meV/Å", "epochs", "seconds"):
        table.add_column(heading, justify="left" if not heading else "right")
    for row in rows:
        numbers = f"{1000 * row.energy:.2f}", f"{1000 * row.force:.2f}", f"{row.epochs}", f"{row.seconds:.0f}"
        table.add_row(row.what, *numbers)
    Console().print(table)


if __name__ == "__main__":
    main()
