"""One property of QM9 from 1,000 labels: alkit's poolings and kernel, beside schnetpack's own training.

    python benchmarks/gap.py --data qm9_12k.npz [--rows mean attention sum kernel schnetpack-avg …]
        [--property gap] [--first 0] [--test 10000 12000] [--epochs 100]

Data: ``qm9_12k.npz``, 12,000 random QM9 molecules. All rows have the same 1,000 labels, the molecules from
``--first`` on: 900 train, 100 validate; the kernel trains on all of them and leaves out folds. The test set
is never trained on, and chooses nothing: which pooling is alkit's default was chosen with ``--first 1000
--test 2000 4000``. schnetpack's rows are its AtomisticTask and Trainer on its own data module, with the
optimiser and rate of its QM9 configuration (AdamW, 5e-4) and the best epoch by validation loss; as many
epochs, and batches and networks as large as alkit's. One network is compared with one network.
"""

import argparse
import os
import tempfile
import time
import warnings
from collections.abc import Callable
from contextlib import chdir
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from ase import Atoms
from ase.units import Hartree

from surrogate import Ensemble, Graph, ModelSettings, TrainingSettings, fit_surrogate, graph_3d
from surrogate.fitting import folds_for

LABELS, VALIDATION, BATCH = 1000, 100, 16
CUTOFF, FEATURES, INTERACTIONS, GAUSSIANS = 5.0, 128, 3, 20
IN_EV = ("homo", "lumo", "gap", "zpve")
MEMBERS = 3


@dataclass(frozen=True, eq=False)
class Data:
    """Molecules with their values: training, validation and test set, one after the other."""

    atoms: list[Atoms]
    values: np.ndarray
    name: str

    @property
    def graphs(self) -> list[Graph]:
        return [graph_3d(one.numbers, one.positions, cutoff=CUTOFF) for one in self.atoms]


@dataclass(frozen=True)
class Row:
    """What a way of learning has on the test set: the MAE of one network, of all, and the minutes."""

    one: float | None
    all: float | None
    minutes: float


def read(path: Path, name: str, first: int, test: range) -> Data:
    """The molecules that are learned from, and those that are tested."""
    with np.load(path, allow_pickle=False) as file:
        ends = np.concatenate([[0], np.cumsum(file["n_atoms"])])
        numbers, positions, values = file["Z"], file["R"], file[name]
    rows = [*range(first, first + LABELS), *test]
    atoms = [Atoms(numbers[ends[i] : ends[i + 1]], positions[ends[i] : ends[i + 1]]) for i in rows]
    return Data(atoms, values[rows] * (Hartree if name in IN_EV else 1.0), name)


def network(data: Data, pooling: str, epochs: int) -> Row:
    """alkit's ensemble of SchNets."""
    settings = ModelSettings(
        features=FEATURES, interactions=INTERACTIONS, gaussians=GAUSSIANS, cutoff=CUTOFF, pooling=pooling,
        elements=("H", "C", "N", "O", "F"), uncertainty=("ensemble",),
    )  # fmt: skip
    how = TrainingSettings(epochs=epochs, batch_size=BATCH, ema=0.99, device="cpu")
    graphs, cut, start = data.graphs, LABELS - VALIDATION, time.perf_counter()
    ensemble = Ensemble.fit(
        settings,
        how,
        training=(graphs[:cut], data.values[:cut]),
        validation=(graphs[cut:LABELS], data.values[cut:LABELS]),
        members=MEMBERS,
        seed=0,
    )
    minutes = (time.perf_counter() - start) / 60
    truth, predicted = data.values[LABELS:], ensemble.predict(graphs[LABELS:])
    one = float(np.abs(predicted.samples - truth).mean())
    return Row(one, float(np.abs(predicted.mean - truth).mean()), minutes)


def kernel(data: Data, epochs: int) -> Row:
    """alkit's Gaussian process, which sets no labels apart."""
    settings = ModelSettings(
        representation="kernel", pooling="mean", cutoff=CUTOFF, elements=("H", "C", "N", "O", "F")
    )
    graphs, start = data.graphs, time.perf_counter()
    model = fit_surrogate(
        settings,
        TrainingSettings(device="cpu"),
        training=(graphs[:LABELS], data.values[:LABELS]),
        members=MEMBERS,
        seed=0,
        left_out=folds_for(settings, [str(i) for i in range(LABELS)], MEMBERS),
    )
    minutes = (time.perf_counter() - start) / 60
    errors = model.predict(graphs[LABELS:]).mean - data.values[LABELS:]
    return Row(None, float(np.abs(errors).mean()), minutes)


def schnetpack_row(data: Data, aggregation: str, epochs: int) -> Row:
    """schnetpack's own training: its data module, task and trainer."""
    import pytorch_lightning as pl
    import schnetpack
    import torch
    from pytorch_lightning.callbacks import ModelCheckpoint

    # Its RemoveOffsets takes the mean times the number of atoms from intensive properties too: so for "avg"
    # the mean of the training labels is subtracted before, and added after.
    offset = 0.0 if aggregation == "sum" else float(data.values[: LABELS - VALIDATION].mean())
    offsets = aggregation == "sum"
    with (
        tempfile.TemporaryDirectory() as folder,
        chdir(folder),
    ):  # it leaves a lock file where it runs
        module = _schnetpack_data(replace(data, values=data.values - offset), Path(folder), offsets=offsets)
        model = schnetpack.model.NeuralNetworkPotential(
            schnetpack.representation.SchNet(
                n_atom_basis=FEATURES,
                n_interactions=INTERACTIONS,
                radial_basis=schnetpack.nn.GaussianRBF(n_rbf=GAUSSIANS, cutoff=CUTOFF),
                cutoff_fn=schnetpack.nn.CosineCutoff(CUTOFF),
            ),
            input_modules=[schnetpack.atomistic.PairwiseDistances()],
            output_modules=[
                schnetpack.atomistic.Atomwise(
                    n_in=FEATURES, output_key=data.name, aggregation_mode=aggregation
                )
            ],
            postprocessors=[
                schnetpack.transform.CastTo64(),
                *([schnetpack.transform.AddOffsets(data.name, add_mean=True)] if offsets else []),
            ],
        )
        task = schnetpack.task.AtomisticTask(
            model=model,
            outputs=[
                schnetpack.task.ModelOutput(
                    name=data.name, loss_fn=torch.nn.MSELoss(), loss_weight=1.0, metrics={}
                )
            ],
            optimizer_cls=torch.optim.AdamW,
            optimizer_args={"lr": 5e-4},
            scheduler_cls=torch.optim.lr_scheduler.ReduceLROnPlateau,
            scheduler_args={"factor": 0.5, "patience": 10},
            scheduler_monitor="val_loss",
        )
        best = ModelCheckpoint(dirpath=folder, monitor="val_loss", save_top_k=1)
        torch.manual_seed(0)
        trainer = pl.Trainer(
            max_epochs=epochs, callbacks=[best], default_root_dir=folder, logger=False, accelerator="cpu",
            enable_progress_bar=False, enable_model_summary=False,
        )  # fmt: skip
        start = time.perf_counter()
        trainer.fit(task, datamodule=module)
        minutes = (time.perf_counter() - start) / 60
        state = torch.load(best.best_model_path, weights_only=False)["state_dict"]
        task.load_state_dict(state)
        found = _predicted(task, module) + offset
    return Row(float(np.abs(found - data.values[LABELS:]).mean()), None, minutes)


def _schnetpack_data(data: Data, folder: Path, *, offsets: bool) -> Any:
    """The data module of schnetpack's QM9 tutorial, on a split of our own."""
    from schnetpack import transform
    from schnetpack.data import ASEAtomsData, AtomsDataModule

    path, split = str(folder / "molecules.db"), folder / "split.npz"
    database = ASEAtomsData.create(path, distance_unit="Ang", property_unit_dict={data.name: "eV"})
    database.add_systems([{data.name: np.array([value])} for value in data.values], data.atoms)
    cut = LABELS - VALIDATION
    rows = [list(range(cut)), list(range(cut, LABELS)), list(range(LABELS, len(data.values)))]
    np.savez(split, **dict(zip(("train_idx", "val_idx", "test_idx"), rows, strict=True)))
    module = AtomsDataModule(
        path,
        batch_size=BATCH,
        num_train=cut,
        num_val=VALIDATION,
        num_test=len(rows[2]),
        split_file=str(split),
        transforms=[
            transform.ASENeighborList(cutoff=CUTOFF),
            *([transform.RemoveOffsets(data.name, remove_mean=True)] if offsets else []),
            transform.CastTo32(),
        ],
        num_workers=0,
        pin_memory=False,
    )
    module.prepare_data()
    module.setup()
    return module


def _predicted(task: Any, module: Any) -> np.ndarray:
    """``(n,)`` of the test set, by the model as schnetpack would deploy it."""
    model, values = task.model.eval(), []
    for batch in module.test_dataloader():
        name = next(iter(task.outputs)).name
        values.append(model(dict(batch))[name].detach().cpu().numpy().ravel())
    return np.concatenate(values)


ROWS: dict[str, Callable[[Data, int], Row]] = {
    "mean": lambda data, epochs: network(data, "mean", epochs),
    "attention": lambda data, epochs: network(data, "attention", epochs),
    "sum": lambda data, epochs: network(data, "sum", epochs),
    "kernel": kernel,
    "schnetpack-avg": lambda data, epochs: schnetpack_row(data, "avg", epochs),
    "schnetpack-sum": lambda data, epochs: schnetpack_row(data, "sum", epochs),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--property", default="gap")
    parser.add_argument("--rows", nargs="*", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--test", type=int, nargs=2, default=[10_000, 12_000])
    parser.add_argument("--epochs", type=int, default=100)
    options = parser.parse_args()
    warnings.filterwarnings("ignore", module="pytorch_lightning|schnetpack|torch")
    data = read(options.data, options.property, options.first, range(*options.test))
    labelled, truth = data.values[:LABELS], data.values[LABELS:]
    print(f"{options.property}: {LABELS} labels, {len(truth)} test molecules, {options.epochs} epochs")
    print(
        "| row | MAE of one network | MAE of three networks, or of the kernel | minutes |\n|" + " --- |" * 4
    )
    print(f"| the mean label | | {np.abs(truth - labelled.mean()).mean():.4f} | |", flush=True)
    for name in options.rows:
        row = ROWS[name](data, options.epochs)
        cells = ["" if value is None else f"{value:.4f}" for value in (row.one, row.all)]
        print(f"| {name} | {' | '.join(cells)} | {row.minutes:.1f} |", flush=True)


if __name__ == "__main__":
    main()
