"""No step waits for a GPU: torch's device "meta" has shapes and no numbers; what asks for one fails."""

import copy

import numpy as np
import pytest
import torch

from surrogate import ModelSettings, TrainingSettings, graph_2d
from surrogate.batches import FORCES, TARGET, GraphDataset
from surrogate.inputs import Graph
from surrogate.schnet import build_model
from surrogate.stack import evaluate_members
from surrogate.training import _Task
from tests.surrogate.test_stack import SMILES, geometries

META = torch.device("meta")
CASES: dict[str, tuple[ModelSettings, list[Graph]]] = {
    "3d": (ModelSettings(features=16, interactions=2), geometries(6)),
    "heads": (ModelSettings(features=16, heads=4, uncertainty=("variance",)), geometries(6)),
    "xtb": (ModelSettings(inputs=("xtb",), features=16), geometries(12, inputs=True)),
    "chemistry": (
        ModelSettings(mode="2d", inputs=("chemistry",), features=16),
        [graph_2d(smiles, cutoff=5.0, chemistry=True) for smiles in SMILES],
    ),
    "attention": (ModelSettings(features=16, pooling="attention"), geometries(6)),
    "painn": (ModelSettings(representation="painn", features=16), geometries(6)),
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> tuple[ModelSettings, list[Graph]]:
    return CASES[request.param]


def test_a_batch_is_cut_and_evaluated_without_waiting(case) -> None:
    settings, graphs = case
    members = [build_model(settings, seed=seed).to(META) for seed in range(2)]
    batch = GraphDataset(graphs, settings).to(META).batch([3, 0, 5])
    outputs, atoms = evaluate_members(members, batch)
    assert outputs.shape == (2, 3)
    assert atoms.shape == (2, sum(len(graphs[i]) for i in (3, 0, 5)), settings.features)
    assert {tensor.device for tensor in (outputs, atoms, *batch.values())} == {META}


def test_losses_and_gradients_are_found_without_waiting(case) -> None:
    settings, graphs = case
    left_out = np.arange(len(graphs))[:, None] % 2 == np.arange(2)
    data = GraphDataset(graphs, settings, np.zeros(len(graphs)), left_out).to(META)
    task = _Task([build_model(settings, seed=seed) for seed in range(2)], TrainingSettings(), False).to(META)
    task.on_train_epoch_start()
    losses, total = task.losses(data.batch(range(4)), [0, 1])
    total.backward()
    assert losses.shape == (2,)
    assert all(weights.grad is not None for weights in task.members[0].output_modules[0].parameters())
    task.validation_step(data.batch(range(4)), 0)
    assert task.sums["squares"].device == META


def test_forces_are_learned_without_waiting() -> None:
    settings, graphs = ModelSettings(features=16, interactions=2), geometries(4)
    forces = [np.zeros((len(graph), 3)) for graph in graphs]
    data = GraphDataset(graphs, settings, np.zeros(4), forces=forces).to(META)
    task = _Task([build_model(settings, seed=0)], TrainingSettings(forces_weight=0.9), False).to(META)
    task.on_train_epoch_start()
    batch = data.batch([1, 2])
    task.losses(batch, [0])[1].backward()
    assert {FORCES, TARGET} <= batch.keys()


def test_what_waits_is_found() -> None:
    """The device does what the other tests take it for."""
    with pytest.raises((RuntimeError, NotImplementedError)):
        float(torch.zeros(1, device=META))
    with pytest.raises((RuntimeError, NotImplementedError)):
        torch.zeros(1, device=META).cpu()


@pytest.mark.parametrize("seed", range(3))
def test_rows_of_a_molecule_are_those_of_all(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few rows are shared by all batches, many belong to their molecules: the numbers are the same."""
    settings, graphs = CASES["chemistry"]
    data = GraphDataset(graphs, settings)
    assert data._rows_of is None
    order = np.random.default_rng(seed).permutation(len(graphs))[:4]
    member = [build_model(settings, seed=seed)]
    expected = evaluate_members(member, data.batch(order))[0]
    monkeypatch.setattr("surrogate.batches._FEW_ROWS", 0)
    apart = GraphDataset(copy.copy(graphs), settings)
    assert apart._rows_of is not None
    torch.testing.assert_close(evaluate_members(member, apart.batch(order))[0], expected)
