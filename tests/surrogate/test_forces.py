"""surrogate.forces: against finite differences, schnetpack's own Forces and its training, and symmetry."""

import dataclasses

import numpy as np
import pytest
import torch
from ase.build import molecule
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from surrogate import (
    AtomReferences,
    Ensemble,
    EnsembleCalculator,
    ModelSettings,
    SurrogateError,
    TrainingSettings,
    fit_surrogate,
    from_schnetpack,
    graph_3d,
    to_schnetpack,
)
from surrogate.batches import FIRSTS, FORCES, SECONDS, TARGET, VECTORS, GraphDataset
from surrogate.compat import schnetpack
from surrogate.export import FORCES as EXPORTED
from surrogate.folds import left_out
from surrogate.forces import evaluate_forces
from surrogate.schnet import build_model
from surrogate.stack import evaluate_heads
from surrogate.training import train_members

SCHNET = ModelSettings(features=16, interactions=2, gaussians=8, elements=("H", "C", "O"))
PAINN = dataclasses.replace(SCHNET, representation="painn")
BOTH = pytest.mark.parametrize("model", [SCHNET, PAINN], ids=["schnet", "painn"])
QUICK = TrainingSettings(epochs=3, batch_size=8, device="cpu", forces_weight=0.9)
_keys = schnetpack.properties


def toy(numbers: np.ndarray, positions: np.ndarray) -> tuple[float, np.ndarray]:
    """Pairs repel: the energy, and the forces that follow from it on paper."""
    vectors = positions[:, None] - positions[None]
    distances = np.linalg.norm(vectors, axis=-1) + np.eye(len(numbers))
    pairs = np.exp(-distances) * np.outer(np.sqrt(numbers), np.sqrt(numbers)) * (1 - np.eye(len(numbers)))
    return float(pairs.sum()) / 2, ((pairs / distances)[..., None] * vectors).sum(axis=1)


def toy_set(count: int, *, seed: int) -> tuple[list, np.ndarray, list[np.ndarray]]:
    """Geometries of two molecules, with energies and forces."""
    rng = np.random.default_rng(seed)
    graphs, energies, forces = [], [], []
    for k in range(count):
        atoms = molecule("CH3CH2OH" if k % 3 else "H2O")
        positions = atoms.positions + rng.normal(scale=0.1, size=atoms.positions.shape)
        graphs.append(graph_3d(atoms.numbers, positions, cutoff=5.0))
        energy, slopes = toy(atoms.numbers, positions)
        energies.append(energy)
        forces.append(slopes)
    return graphs, np.array(energies), forces


TRAINING, VALIDATION, UNSEEN = toy_set(60, seed=0), toy_set(20, seed=1), toy_set(20, seed=2)


def members_of(model: ModelSettings, count: int = 2) -> list:
    return [build_model(model, seed=seed).eval() for seed in range(count)]


def ensemble(model: ModelSettings, count: int = 2) -> Ensemble:
    return Ensemble(
        model, AtomReferences((1, 6, 8), (-2.5, -7.25, -5.4)), members_of(model, count), scale=0.37
    )


@BOTH
def test_they_are_the_slope_by_finite_differences(model: ModelSettings) -> None:
    members = [member.double() for member in members_of(dataclasses.replace(model, heads=2), 3)]
    graphs = TRAINING[0][:3]
    batch = GraphDataset(graphs, model, sloped=True).batch(range(3))
    batch = {
        name: values.double() if values.is_floating_point() else values for name, values in batch.items()
    }
    positions = torch.tensor(np.concatenate([graph.positions for graph in graphs]))

    def energies(moved: torch.Tensor) -> torch.Tensor:
        there = batch | {VECTORS: moved[batch[SECONDS]] - moved[batch[FIRSTS]]}
        with torch.no_grad():
            return evaluate_heads(members, there)[0].mean(dim=1).sum(dim=1)

    found = evaluate_forces(members, batch | {VECTORS: positions[batch[SECONDS]] - positions[batch[FIRSTS]]})[
        2
    ]
    expected, step = torch.zeros_like(found), 1e-4
    for atom in range(len(positions)):
        for axis in range(3):
            moved = positions.clone()
            moved[atom, axis] += step
            ahead = energies(moved)
            moved[atom, axis] -= 2 * step
            expected[:, atom, axis] = -(ahead - energies(moved)) / (2 * step)
    assert float(expected.abs().max()) > 0.01
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-7)


@BOTH
def test_schnetpacks_own_forces_are_the_same_of_the_same_weights_both_ways(
    model: ModelSettings, tmp_path
) -> None:
    mine = ensemble(model, 1)
    exported = to_schnetpack(mine)
    torch.save(exported, tmp_path / "best_model")
    back = from_schnetpack([tmp_path / "best_model"], elements=model.elements)
    graphs = TRAINING[0][:4]
    energies, forces = mine.forces(graphs, batch_size=3)
    again = back.forces(graphs)
    for i, graph in enumerate(graphs):
        said = exported(plain_batch([graph]))
        assert energies[i] == pytest.approx(said[TARGET].item(), abs=2e-5)
        np.testing.assert_allclose(forces[i], said[EXPORTED].detach().numpy(), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(again[1][i], forces[i], rtol=1e-4, atol=1e-5)
    assert np.abs(forces[1]).max() > 0.01
    assert energies == pytest.approx(mine.predict(graphs).mean, abs=1e-4)


def plain_batch(graphs: list) -> dict[str, torch.Tensor]:
    """schnetpack's input dictionary with positions, as its own data module makes it."""
    sizes = torch.tensor([len(graph) for graph in graphs])
    starts = (sizes.cumsum(0) - sizes).tolist()

    def indices(name: str) -> torch.Tensor:
        parts = [torch.from_numpy(getattr(graph, name)) + n for graph, n in zip(graphs, starts, strict=True)]
        return torch.cat(parts)

    pairs = indices("receivers"), indices("senders")
    return {
        _keys.Z: torch.from_numpy(np.concatenate([graph.numbers for graph in graphs])),
        _keys.R: torch.from_numpy(np.concatenate([graph.positions for graph in graphs])).float(),
        _keys.idx_i: pairs[0],
        _keys.idx_j: pairs[1],
        _keys.offsets: torch.zeros(len(pairs[0]), 3),
        _keys.idx_m: torch.repeat_interleave(sizes),
        _keys.n_atoms: sizes,
    }


@BOTH
@pytest.mark.parametrize("weight", [0.3, 0.99])
def test_training_is_that_of_schnetpacks_task(model: ModelSettings, weight: float) -> None:
    """Five steps of its AtomisticTask on energies and forces with these weights, from the same first ones."""
    import pytorch_lightning as pl

    graphs, energies, forces = toy_set(12, seed=5)
    energies = energies - energies.mean()
    network = build_model(model, seed=1)
    theirs = schnetpack.model.NeuralNetworkPotential(
        representation=network.representation,
        input_modules=[schnetpack.atomistic.PairwiseDistances()],
        output_modules=[network.output_modules[0], schnetpack.atomistic.Forces(energy_key=TARGET)],
    )
    outputs = [
        schnetpack.task.ModelOutput(name, torch.nn.MSELoss(), loss_weight=part, metrics={})
        for name, part in ((TARGET, 1 - weight), (_keys.forces, weight))
    ]
    settings = dataclasses.replace(QUICK, epochs=5, batch_size=12, lr=1e-3, forces_weight=weight)
    task = schnetpack.task.AtomisticTask(
        model=theirs,
        outputs=outputs,
        optimizer_cls=torch.optim.AdamW,
        optimizer_args={"lr": settings.lr, "weight_decay": settings.weight_decay},
    )
    labels = {
        TARGET: torch.tensor(energies).float(),
        _keys.forces: torch.tensor(np.concatenate(forces)).float(),
    }
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = pl.Trainer(max_epochs=5, gradient_clip_val=10.0, accelerator="cpu", **quiet)
    trainer.fit(task, torch.utils.data.DataLoader([plain_batch(graphs) | labels], batch_size=None))

    mine = build_model(model, seed=1)
    data = GraphDataset(graphs, model, energies, forces=forces)
    assert train_members([mine], data, data, settings, seed=0)[0].best_epoch == 4  # the last, as theirs
    first = build_model(model, seed=1).state_dict()
    moved = 0.0
    for name, value in mine.state_dict().items():
        torch.testing.assert_close(value, network.state_dict()[name], rtol=0, atol=2e-4)
        moved = max(moved, float((value - first[name]).abs().max()))
    assert moved > 3e-3


def test_the_loss_weighs_energies_and_forces() -> None:
    """The training loss of one batch before any step, and the validation's numbers, by hand."""
    members = members_of(SCHNET, 2)
    data = GraphDataset(TRAINING[0], SCHNET, TRAINING[1], forces=TRAINING[2])
    heads, _, forces = evaluate_forces(members, data.batch(range(60)))
    energy = ((heads.mean(dim=1) - torch.tensor(TRAINING[1])) ** 2).mean(dim=1)
    force = ((forces - torch.tensor(np.concatenate(TRAINING[2]))) ** 2).mean(dim=(1, 2))
    for weight in (0.25, 0.99):
        how = dataclasses.replace(QUICK, epochs=1, batch_size=60, forces_weight=weight, lr=1e-9)
        runs = train_members(members, data, data, how, seed=0, scale=3.0)
        for k, run in enumerate(runs):
            row = run.epochs[0]
            expected = 9 * ((1 - weight) * energy[k] + weight * force[k])
            assert row["train_loss"] == pytest.approx(float(expected), rel=1e-4)
            assert row["val_MSE"] == pytest.approx(9 * float(energy[k]), rel=1e-4)
            assert row["val_forces_MSE"] == pytest.approx(9 * float(force[k]), rel=1e-4)
            assert 0 < row["val_forces_MAE"] ** 2 < row["val_forces_MSE"]


def test_members_that_leave_out_folds_validate_on_their_forces() -> None:
    """With folds a member's numbers are those that it has when trained on its part alone."""
    out = left_out(range(60), 3)
    graphs, energies, forces = TRAINING
    how = dataclasses.replace(QUICK, epochs=1, batch_size=60)
    data = GraphDataset(graphs, SCHNET, energies, out, forces=forces)
    together = train_members(members_of(SCHNET, 3), data, data, how, seed=0)
    for k, member in enumerate(members_of(SCHNET, 3)):
        learned, held = (
            GraphDataset([graphs[i] for i in rows], SCHNET, energies[rows], forces=[forces[i] for i in rows])
            for rows in (np.flatnonzero(~out[:, k]), np.flatnonzero(out[:, k]))
        )
        alone = train_members([member], learned, held, how, seed=0)[0].epochs[0]
        for name in ("train_loss", "val_MSE", "val_forces_MSE", "val_forces_MAE"):
            assert together[k].epochs[0][name] == pytest.approx(alone[name], rel=1e-3)


@BOTH
def test_training_lowers_both_errors(model: ModelSettings) -> None:
    how = TrainingSettings(epochs=15, batch_size=10, lr=5e-3, device="cpu", forces_weight=0.9)
    rows = []
    found = fit_surrogate(
        model, how, training=TRAINING, validation=VALIDATION, members=2, seed=0,
        on_epoch=lambda member, epoch, row: rows.append(row),
    )  # fmt: skip
    for name in ("val_MSE", "val_forces_MSE", "train_loss"):
        assert rows[-1][name] < 0.3 * rows[0][name]
    assert isinstance(found, Ensemble)
    assert found.scale == pytest.approx(np.sqrt(np.mean(np.square(np.concatenate(TRAINING[2])))))
    predicted, truth = np.concatenate(found.forces(UNSEEN[0])[1]), np.concatenate(UNSEEN[2])
    assert np.abs(predicted - truth).mean() < 0.4 * np.abs(truth).mean()
    alone = dataclasses.replace(how, forces_weight=0.0)
    without = fit_surrogate(model, alone, training=TRAINING, validation=VALIDATION, members=2, seed=0)
    assert isinstance(without, Ensemble)
    blind = np.concatenate(without.forces(UNSEEN[0])[1])
    assert np.abs(predicted - truth).mean() < 0.7 * np.abs(blind - truth).mean()


@pytest.mark.parametrize("folds", [False, True])
def test_energies_are_centred_on_what_each_head_learned(folds: bool) -> None:
    """The loss hardly sees the constant of energies; where training ends must not choose it."""
    out = left_out(range(60), 3) if folds else None
    found = Ensemble.fit(
        dataclasses.replace(SCHNET, heads=2), dataclasses.replace(QUICK, forces_weight=0.999, lr=0.02),
        training=TRAINING, validation=None if folds else VALIDATION, members=3, seed=0, left_out=out,
    )  # fmt: skip
    samples = found.predict(TRAINING[0]).samples.reshape(3, 2, 60)
    atoms = np.array([len(graph) for graph in TRAINING[0]])
    for k in range(3):
        learned = np.ones(60, dtype=bool) if out is None else ~out[:, k]
        slopes = ((TRAINING[1] - samples[k]) * atoms)[:, learned].sum(axis=1) / (atoms[learned] ** 2).sum()
        np.testing.assert_allclose(slopes, 0, atol=1e-5)  # no constant per atom is better


def test_the_calculators_forces_are_these() -> None:
    mine = ensemble(SCHNET)
    atoms = molecule("CH3CH2OH")
    graph = graph_3d(atoms.numbers, atoms.positions, cutoff=5.0)
    atoms.calc = EnsembleCalculator(mine)
    energies, forces = mine.forces([graph])
    np.testing.assert_array_equal(atoms.get_forces(), forces[0])
    assert atoms.get_potential_energy() == energies[0]


@given(st.integers(0, 999), st.sampled_from([SCHNET, PAINN]))
@settings(max_examples=25, deadline=None)
def test_they_turn_with_the_molecule_and_sum_to_nothing(seed: int, model: ModelSettings) -> None:
    rng = np.random.default_rng(seed)
    atoms = molecule("CH3CH2OH")
    positions = atoms.positions + rng.normal(scale=0.15, size=atoms.positions.shape)
    turn = Rotation.random(random_state=seed).as_matrix()
    order = rng.permutation(len(atoms))
    moved = (positions @ turn.T + rng.normal(size=3))[order]
    graphs = [
        graph_3d(atoms.numbers, positions, cutoff=5.0),
        graph_3d(atoms.numbers[order], moved, cutoff=5.0),
    ]
    energies, (forces, turned) = ensemble(model, 1).forces(graphs)
    size = np.abs(forces).max()
    np.testing.assert_allclose(turned, (forces @ turn.T)[order], atol=1e-4 * size)
    np.testing.assert_allclose(forces.sum(axis=0), 0, atol=1e-5 * size)
    np.testing.assert_allclose(np.cross(positions, forces).sum(axis=0), 0, atol=1e-4 * size)
    assert energies[0] == pytest.approx(energies[1], abs=1e-4)


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (ModelSettings(mode="2d"), "2d mode sees no geometry"),
        (ModelSettings(representation="kernel"), "representation is kernel"),
        (ModelSettings(representation="committee"), "representation is committee"),
        (ModelSettings(pooling="mean"), "pooling is mean"),
        (ModelSettings(baseline="GFN2-xTB"), "a baseline and inputs"),
    ],
)
def test_a_model_without_a_slope_is_refused(model: ModelSettings, why: str) -> None:
    with pytest.raises(SurrogateError, match=why):
        fit_surrogate(model, QUICK, training=TRAINING, members=3, seed=0, left_out=left_out(range(60), 3))


def test_auto_that_means_the_kernel_is_refused() -> None:
    auto = dataclasses.replace(SCHNET, representation="auto")
    with pytest.raises(SurrogateError, match="representation is kernel"):
        fit_surrogate(auto, QUICK, training=TRAINING, members=3, seed=0, left_out=left_out(range(60), 3))


@pytest.mark.parametrize(
    ("forces", "why"),
    [
        (None, "the molecules come without forces; give them, or set it to 0"),
        (TRAINING[2][:-1], "Forces are of 59 molecules; there are 60"),
        ([*TRAINING[2][:-1], TRAINING[2][-1][1:]], "Forces of molecule 59 have shape"),
        ([*TRAINING[2][:-1], np.full((9, 3), np.nan)], "Forces of molecule 59 hold NaN"),
    ],
)
def test_forces_that_are_missing_are_refused(forces, why: str) -> None:
    training = TRAINING[:2] if forces is None else (*TRAINING[:2], forces)
    with pytest.raises(SurrogateError, match=why):
        fit_surrogate(SCHNET, QUICK, training=training, validation=VALIDATION, members=2, seed=0)


@pytest.mark.parametrize("weight", [-0.1, 1.0, float("nan")])
def test_weights_that_leave_no_energy_are_refused(weight: float) -> None:
    with pytest.raises(SurrogateError, match=r"it is from 0 \(energies alone\) to below 1"):
        TrainingSettings(forces_weight=weight)
    with pytest.raises(SurrogateError, match="bf16 is too coarse"):
        TrainingSettings(forces_weight=0.5, precision="bf16")


@pytest.mark.parametrize("options", [{"precision": "64"}, {"ema": 0.9}, {"freeze": "embedding"}])
def test_it_goes_on_from_earlier_weights_and_keeps_their_scale(options: dict) -> None:
    """In 64 bits, with averaged weights, with a frozen layer."""
    how = dataclasses.replace(QUICK, **options)
    first = Ensemble.fit(SCHNET, how, training=TRAINING, validation=VALIDATION, members=1, seed=0)
    labels = [
        (graphs, energies, [2 * one for one in forces]) for graphs, energies, forces in (TRAINING, VALIDATION)
    ]
    then = Ensemble.fit(
        SCHNET, how, training=labels[0], validation=labels[1], members=1, seed=0, warm_start=first
    )
    assert then.scale == first.scale
    assert then.histories[0].epochs[-1]["val_forces_MAE"] < then.histories[0].epochs[0]["val_forces_MAE"]


def test_forces_are_cut_into_batches_with_their_atoms() -> None:
    data = GraphDataset(TRAINING[0], SCHNET, TRAINING[1], forces=TRAINING[2])
    chosen = [7, 0, 4]
    expected = np.concatenate([TRAINING[2][i] for i in chosen])
    np.testing.assert_allclose(data.batch(chosen)[FORCES].numpy(), expected, rtol=1e-6)
