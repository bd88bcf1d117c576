"""From graphs to the batches that schnetpack's modules read."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from surrogate.compat import schnetpack
from surrogate.inputs import Graph

TARGET = (
    "energy"  # key of the prediction and of the target: eV beyond references and baseline, over the scale
)
ATOM_INPUTS, PAIR_INPUTS = "atom_inputs", "pair_inputs"
_keys = schnetpack.properties


class GraphDataset(Dataset):
    """Graphs with their targets, or without; every item is its own index, so batches are cut at once."""

    def __init__(self, graphs: Sequence[Graph], targets: Sequence[float] | np.ndarray | None = None):
        self.graphs = list(graphs)
        self.targets = None if targets is None else torch.as_tensor(np.asarray(targets), dtype=torch.float32)

    def __len__(self) -> int:
        return len(self.graphs)

    def __getitem__(self, index: int) -> int:
        return index

    def collate(self, indices: Sequence[int]) -> dict[str, Tensor]:
        batch = collate([self.graphs[i] for i in indices])
        if self.targets is not None:
            batch[TARGET] = self.targets[list(indices)]
        return batch


def collate(graphs: Sequence[Graph]) -> dict[str, Tensor]:
    """One disconnected graph of many: schnetpack's input dictionary, without positions or cells."""
    sizes = np.array([len(graph) for graph in graphs])
    offsets = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    return {
        _keys.Z: torch.from_numpy(np.concatenate([graph.numbers for graph in graphs])),
        _keys.Rij: torch.from_numpy(np.concatenate([graph.vectors for graph in graphs])),
        _keys.idx_i: _shifted([graph.receivers for graph in graphs], offsets),
        _keys.idx_j: _shifted([graph.senders for graph in graphs], offsets),
        _keys.idx_m: torch.from_numpy(np.repeat(np.arange(len(graphs)), sizes)),
        _keys.n_atoms: torch.from_numpy(sizes),
        ATOM_INPUTS: torch.from_numpy(np.concatenate([graph.atom_inputs for graph in graphs])),
        PAIR_INPUTS: torch.from_numpy(np.concatenate([graph.pair_inputs for graph in graphs])),
    }


def _shifted(indices: Sequence[np.ndarray], offsets: np.ndarray) -> Tensor:
    return torch.from_numpy(np.concatenate([part + o for part, o in zip(indices, offsets, strict=True)]))


def loader(data: GraphDataset, *, batch_size: int, shuffle_seed: int | None = None) -> DataLoader:
    """Batches in order, or shuffled from a seed of their own."""
    shuffle = shuffle_seed is not None
    # Given in both cases: without one, a loader draws from the global random state even when it keeps order.
    generator = torch.Generator().manual_seed(shuffle_seed or 0)
    return DataLoader(
        data, batch_size=batch_size, shuffle=shuffle, generator=generator, collate_fn=data.collate
    )
