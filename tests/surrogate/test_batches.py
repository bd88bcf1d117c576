"""surrogate.batches: batches against schnetpack's own pipeline, loaders that leave torch's state alone."""

import numpy as np
import pytest
import torch
from ase.build import molecule
from hypothesis import given, settings
from hypothesis import strategies as st

from surrogate import Graph, ModelSettings, graph_3d
from surrogate.batches import TARGET, GraphDataset, collate, loader
from surrogate.compat import schnetpack
from surrogate.schnet import build_model

keys = schnetpack.properties
NAMES = ["CH3CH2OH", "C6H6", "H2O", "C2H6", "CH3CN", "HCOOH", "CH4"]
SETTINGS = ModelSettings(features=16, gaussians=8)


def graph_of(name: str, cutoff: float = 5.0) -> Graph:
    atoms = molecule(name)
    return graph_3d(atoms.numbers, atoms.positions, cutoff=cutoff)


def schnetpack_batch(names: list[str], cutoff: float) -> dict[str, torch.Tensor]:
    """What schnetpack's own data pipeline makes of molecules: ASE neighbour lists, its collate, distances."""
    from schnetpack.data.loader import _atoms_collate_fn
    from schnetpack.transform import ASENeighborList, CastTo32

    items = []
    for name in names:
        atoms = molecule(name)
        item = {
            keys.idx: torch.tensor([0]),
            keys.n_atoms: torch.tensor([len(atoms)]),
            keys.Z: torch.tensor(atoms.numbers),
            keys.R: torch.tensor(atoms.positions),
            keys.cell: torch.zeros(1, 3, 3, dtype=torch.float64),
            keys.pbc: torch.zeros(3, dtype=torch.bool),
        }
        for transform in (ASENeighborList(cutoff=cutoff), CastTo32()):
            item = transform(item)
        items.append(item)
    return schnetpack.atomistic.PairwiseDistances()(_atoms_collate_fn(items))


@pytest.mark.parametrize("cutoff", [2.0, 5.0])
def test_energies_are_those_of_schnetpacks_own_pipeline(cutoff: float) -> None:
    model = build_model(ModelSettings(features=16, gaussians=8, cutoff=cutoff), seed=3).eval()
    with torch.no_grad():
        expected = model(schnetpack_batch(NAMES, cutoff))[TARGET]
        ours = model(collate([graph_of(name, cutoff) for name in NAMES]))[TARGET]
    assert float(expected.std()) > 0.1  # energies that differ, or agreeing would say nothing
    torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5)


def test_pairs_and_keys_are_those_of_schnetpacks_collate() -> None:
    expected, ours = schnetpack_batch(NAMES, 5.0), collate([graph_of(name) for name in NAMES])
    for key in (keys.Z, keys.idx_m, keys.n_atoms):
        assert torch.equal(ours[key], expected[key]), key

    def pairs(batch: dict[str, torch.Tensor]) -> dict[tuple[int, int], torch.Tensor]:
        ends = zip(batch[keys.idx_i].tolist(), batch[keys.idx_j].tolist(), strict=True)
        return dict(zip(ends, batch[keys.Rij], strict=True))

    own, theirs = pairs(ours), pairs(expected)
    assert own.keys() == theirs.keys()
    for pair, vector in own.items():
        torch.testing.assert_close(vector, theirs[pair], atol=1e-5, rtol=0)


@given(st.lists(st.sampled_from(NAMES), min_size=1, max_size=6))
@settings(max_examples=25, deadline=None)
def test_no_pair_crosses_molecules(names: list[str]) -> None:
    graphs = [graph_of(name) for name in names]
    batch = collate(graphs)
    of_atom = batch[keys.idx_m]
    assert torch.equal(of_atom[batch[keys.idx_i]], of_atom[batch[keys.idx_j]])
    assert torch.bincount(of_atom).tolist() == batch[keys.n_atoms].tolist() == [len(g) for g in graphs]
    assert len(batch[keys.idx_i]) == sum(len(g.senders) for g in graphs)


@given(st.integers(1, 23), st.integers(1, 9), st.one_of(st.none(), st.integers(0, 99)))
@settings(max_examples=30, deadline=None)
def test_a_loader_gives_every_molecule_once_with_its_target(n: int, size: int, seed: int | None) -> None:
    graphs = [graph_3d([1] * (k + 2), np.arange(3 * (k + 2)).reshape(-1, 3), cutoff=1.0) for k in range(n)]
    data = GraphDataset(graphs, SETTINGS, np.arange(n) + 0.5)
    assert len(data) == n
    batches = list(loader(data, batch_size=size, shuffle_seed=seed))
    atoms = torch.cat([batch[keys.n_atoms] for batch in batches])
    targets = torch.cat([batch[TARGET] for batch in batches])
    assert targets.dtype == torch.float32
    assert torch.equal(atoms - 1.5, targets)  # molecule k has k + 2 atoms and target k + 0.5
    assert sorted(atoms.tolist()) == list(range(2, n + 2))
    assert max(len(batch[TARGET]) for batch in batches) <= size
    if seed is None:
        assert atoms.tolist() == list(range(2, n + 2))


def order_of(seed: int) -> list[int]:
    graphs = [graph_3d([1] * (k + 2), np.zeros((k + 2, 3)), cutoff=1.0) for k in range(30)]
    data = GraphDataset(graphs, SETTINGS)
    batches = loader(data, batch_size=4, shuffle_seed=seed)
    return [int(n) for batch in batches for n in batch[keys.n_atoms]]


def test_the_seed_decides_the_order_and_nothing_else_does() -> None:
    torch.manual_seed(1)
    first = order_of(5)
    torch.manual_seed(2)
    assert order_of(5) == first
    assert order_of(6) != first
    assert sorted(first) != first


@pytest.mark.parametrize("seed", [None, 5])
def test_a_loader_leaves_the_global_random_state(seed: int | None) -> None:
    before = torch.get_rng_state()
    batches = list(loader(GraphDataset([graph_of("CH4")] * 3, SETTINGS), batch_size=2, shuffle_seed=seed))
    assert len(batches) == 2
    assert TARGET not in batches[0]
    assert torch.equal(torch.get_rng_state(), before)
