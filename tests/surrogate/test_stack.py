"""surrogate.stack and surrogate.convolution: the fast pass against schnetpack's own."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from surrogate import ModelSettings, graph_2d, graph_3d
from surrogate.batches import TARGET, GraphDataset, collate
from surrogate.convolution import Pairs, convolve, convolve_by_torch, interpolation, knots
from surrogate.schnet import build_model, by_schnetpack
from surrogate.stack import evaluate_members, pooled

SMILES = ["CCO", "c1cc[nH]c1", "CC(=O)N", "C#CC(C)=O", "OCC(F)F", "C1CC1C#N"]


def geometries(count: int, *, seed: int = 0, inputs: bool = False) -> list:
    """Molecules with atoms no nearer to each other than bonds are."""
    rng = np.random.default_rng(seed)
    graphs = []
    for _ in range(count):
        n = int(rng.integers(2, 19))
        positions = rng.normal(size=(n, 3)) * 2.0
        for _ in range(200):
            vectors = positions[:, None] - positions[None]
            distances = np.linalg.norm(vectors, axis=-1) + np.eye(n) * 9
            positions += 0.1 * (np.maximum(1.0 - distances, 0)[..., None] * vectors).sum(axis=1)
        orders = rng.random((n, n))
        further = {"charges": rng.normal(size=n), "bond_orders": orders + orders.T} if inputs else {}
        graphs.append(graph_3d(rng.choice([1, 6, 7, 8, 9], n), positions, cutoff=5.0, **further))
    return graphs


def trained(model: torch.nn.Module, seed: int) -> torch.nn.Module:
    """Weights as far from their first values as training takes them: filters get sharper by it."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weights in model.parameters():
            weights.mul_(1.5).add_(0.05 * torch.randn(weights.shape, generator=generator))
    return model


CASES = {
    "3d": (ModelSettings(), geometries(30)),
    "few gaussians": (ModelSettings(features=24, gaussians=6, interactions=2), geometries(30)),
    "xtb": (ModelSettings(inputs=("xtb",), features=32), geometries(12, inputs=True)),
    "2d": (ModelSettings(mode="2d", features=64), [graph_2d(s, cutoff=5.0) for s in SMILES]),
    "chemistry": (
        ModelSettings(mode="2d", inputs=("chemistry",), features=32),
        [graph_2d(s, cutoff=5.0, chemistry=True) for s in SMILES],
    ),
    "painn": (ModelSettings(representation="painn", features=16), geometries(6)),
    "mean": (ModelSettings(features=32, pooling="mean"), geometries(12)),
    "attention": (ModelSettings(features=32, pooling="attention", heads=3), geometries(12)),
    "painn, attention": (
        ModelSettings(representation="painn", features=16, pooling="attention"),
        geometries(6),
    ),
}


def distance(found: torch.Tensor, expected: torch.Tensor) -> float:
    """Largest difference, over the largest value."""
    return float((found - expected).detach().abs().max() / expected.detach().abs().max())


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("count", [1, 3])
def test_outputs_and_gradients_are_those_of_schnetpack(case: str, count: int) -> None:
    model_settings, graphs = CASES[case]
    members = [trained(build_model(model_settings, seed=seed), seed) for seed in range(count)]
    data = GraphDataset(graphs, model_settings, np.arange(len(graphs)))
    batch = data.batch(range(len(graphs)))
    outputs, atoms = evaluate_members(members, batch)
    assert outputs.shape == (count, len(graphs))
    ((outputs - batch[TARGET]) ** 2).sum().backward()
    ours = [[weights.grad.clone() for weights in member.parameters()] for member in members]
    slow = collate(graphs)
    for k, member in enumerate(members):
        member.zero_grad()
        energies, features = by_schnetpack(member, slow)
        assert float(energies.detach().std()) > 0.1
        assert distance(outputs[k], energies) < 1e-5
        assert distance(atoms[k], features) < 1e-5
        ((energies - batch[TARGET]) ** 2).sum().backward()
        for mine, weights in zip(ours[k], member.parameters(), strict=True):
            assert distance(mine, weights.grad) < 1e-4
        sums = pooled(atoms[k : k + 1].detach(), batch)[0]
        parts = torch.split(features, [len(graph) for graph in graphs])
        assert distance(sums, torch.stack([part.sum(dim=0) for part in parts])) < 1e-5


@given(st.integers(1, 40), st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_a_batch_is_its_molecules_in_any_choice_and_order(count: int, seed: int) -> None:
    model_settings, graphs = CASES["chemistry"]
    data, model = GraphDataset(graphs, model_settings), build_model(model_settings, seed=1)
    chosen = np.random.default_rng(seed).integers(0, len(graphs), count).tolist()
    with torch.no_grad():
        found = evaluate_members([model], data.batch(chosen))[0][0]
        alone = torch.cat([evaluate_members([model], data.batch([i]))[0][0] for i in range(len(graphs))])
    torch.testing.assert_close(found, alone[chosen], rtol=1e-5, atol=1e-5)


def random_pairs(seed: int, molecules: int, rows: int) -> Pairs:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 20, molecules)
    edges = np.concatenate([[0], sizes.cumsum()])
    partners = [
        [j for j in range(i + 1, end) if rng.random() < 0.7]
        for start, end in pairwise(edges.tolist())
        for i in range(start, end)
    ]
    lengths = np.concatenate([[0], np.cumsum([len(later) for later in partners])])
    flat = torch.tensor([j for later in partners for j in later], dtype=torch.int64)
    starts = torch.tensor(rng.integers(0, rows - 3, len(flat)))
    weights = torch.tensor(rng.normal(size=(len(flat), 4)), dtype=torch.float32)
    return Pairs(torch.tensor(edges), torch.tensor(lengths), flat, starts, weights)


@given(st.integers(0, 999), st.integers(1, 70), st.sampled_from([1, 3]), st.sampled_from([5, 64, 130]))
@settings(max_examples=30, deadline=None)
def test_compiled_sums_are_those_of_torch(seed: int, molecules: int, networks: int, width: int) -> None:
    torch.manual_seed(seed)
    rows = 40 if seed % 2 else 4000  # a table shorter, and one longer than the list of pairs
    pairs = random_pairs(seed, molecules, rows)
    atoms = torch.randn(networks, int(pairs.molecules[-1]), width, requires_grad=True)
    table = torch.randn(networks, rows, width, requires_grad=True)
    gradient = torch.randn(atoms.shape)
    expected = convolve_by_torch(atoms, table, pairs)
    expected_gradients = torch.autograd.grad(expected, [atoms, table], gradient)
    found = convolve(atoms, table, pairs)
    gradients = torch.autograd.grad(found, [atoms, table], gradient)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    for mine, theirs in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)


def test_gradients_of_the_compiled_sum_are_those_of_finite_differences() -> None:
    torch.manual_seed(0)
    pairs = random_pairs(3, 3, 9)
    pairs = Pairs(pairs.molecules, pairs.pointers, pairs.partners, pairs.starts, pairs.weights.double())
    atoms = torch.randn(2, int(pairs.molecules[-1]), 3, dtype=torch.float64, requires_grad=True)
    table = torch.randn(2, 9, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda *parts: convolve(*parts, pairs), (atoms, table))
    assert torch.autograd.gradgradcheck(lambda *parts: convolve(*parts, pairs), (atoms, table))


@given(st.lists(st.floats(0.0, 4.999), min_size=1, max_size=30))
@settings(max_examples=50, deadline=None)
def test_cubics_are_interpolated_exactly(distances: list[float]) -> None:
    places = knots(5.0, 20)
    where = torch.tensor(distances, dtype=torch.float64)
    starts, weights = interpolation(where, places)
    rows = places.double()[starts[:, None] + torch.arange(4)]

    def cubic(x: torch.Tensor) -> torch.Tensor:
        return 1 - 2 * x + 0.5 * x**2 - 0.1 * x**3

    torch.testing.assert_close((weights * cubic(rows)).sum(dim=1), cubic(where), rtol=0, atol=1e-5)
    assert (rows[:, 0] <= where + 5.0).all()
    assert ((rows[:, 0] - 0.03 <= where) & (where <= rows[:, -1] + 1e-9)).all()


def test_asymmetric_bond_orders_are_refused() -> None:
    from surrogate import SurrogateError

    orders = np.array([[0.0, 1.0], [0.9, 0.0]])
    with pytest.raises(SurrogateError, match="symmetric"):
        graph_3d([6, 8], [[0, 0, 0], [0, 0, 1.2]], cutoff=5.0, charges=np.zeros(2), bond_orders=orders)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
@pytest.mark.parametrize("case", CASES)
def test_a_gpu_gives_what_the_cpu_does(case: str) -> None:
    model_settings, graphs = CASES[case]
    batch = GraphDataset(graphs, model_settings).batch(range(len(graphs)))
    members = [build_model(model_settings, seed=seed) for seed in range(2)]
    with torch.no_grad():
        expected, _ = evaluate_members(members, batch)
        there = {name: values.cuda() for name, values in batch.items()}
        found, _ = evaluate_members([member.cuda() for member in members], there)
    assert distance(found.cpu(), expected) < 1e-5
