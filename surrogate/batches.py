"""Batches that networks read, made from graphs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from surrogate.compat import schnetpack
from surrogate.convolution import STENCIL, interpolation, knots
from surrogate.inputs import Graph
from surrogate.settings import ModelSettings

TARGET = (
    "energy"  # key of the prediction and of the target: eV beyond references and baseline, over the scale
)
ATOM_INPUTS, PAIR_INPUTS = "atom_inputs", "pair_inputs"
LEFT_OUT = "left_out"  # of which members: they validate on the molecule, the others learn from it
# What surrogate.stack reads: the fields of `convolution.Pairs`, and the rows of pairs that have their own.
MOLECULES, POINTERS, PARTNERS = "molecules", "pointers", "partners"
STARTS, WEIGHTS = "starts", "weights"
KNOTS, ROW_DISTANCES, ROW_INPUTS = "knots", "row_distances", "row_inputs"
_FEW_ROWS = 500  # about as many as there are knots: a table twice as long
_keys = schnetpack.properties
# What `surrogate.forces` needs: both atoms of every pair, and the vector from the first to the second.
FIRSTS, SECONDS, VECTORS = _keys.idx_i, _keys.idx_j, _keys.Rij
FORCES = _keys.forces  # (n, 3), over the scale
MOLECULE_OF_ATOM = _keys.idx_m


class GraphDataset(Dataset):
    """Graphs with their targets, or without, as one long list of atoms and one of pairs.

    What batches need of every pair is found once, and a batch is cut out by index. For SchNet that is how a
    pair's filter is read from a table (`surrogate.convolution`), for PaiNN its vector. Every item is its own
    index, so that batches are cut at once. The numbers of atoms and pairs stay on the host. So all sizes are
    known there, and no batch waits for a GPU.

    Args:
        targets: ``(n,)`` in units of the ensemble's scale.
        left_out: ``(n, s)``.
        forces: ``(atoms, 3)`` of each molecule, in units of the scale over Å.
        sloped: whether forces can be computed, see `surrogate.forces`: SchNet then has a vector of every
            pair, too, and no table. So it is where ``forces`` are given.
    """

    def __init__(
        self,
        graphs: Sequence[Graph],
        settings: ModelSettings,
        targets: Sequence[float] | NDArray | None = None,
        left_out: NDArray[np.bool_] | None = None,
        *,
        forces: Sequence[NDArray] | None = None,
        sloped: bool = False,
    ):
        self.graphs = list(graphs)
        self.left_out = None if left_out is None else torch.from_numpy(np.array(left_out, dtype=bool))
        self.targets = None if targets is None else torch.as_tensor(np.asarray(targets), dtype=torch.float32)
        if not self.graphs:
            return  # there is nothing to cut
        self._atoms_of = _Stretches([len(graph) for graph in self.graphs])
        self._atoms = {
            _keys.Z: _joined([graph.numbers for graph in self.graphs]),
            ATOM_INPUTS: _joined([graph.atom_inputs for graph in self.graphs]),
        }
        if forces is not None:
            self._atoms[FORCES] = _joined(forces).float()
        firsts = _joined([graph.receivers for graph in self.graphs])
        seconds = _joined([graph.senders for graph in self.graphs])
        lengths = [len(graph.senders) for graph in self.graphs]
        self._rows_of: _Stretches | None = None
        vectors = _joined([graph.vectors for graph in self.graphs])
        inputs = _joined([graph.pair_inputs for graph in self.graphs])
        if settings.representation == "painn":
            self._pairs = {FIRSTS: firsts, SECONDS: seconds, VECTORS: vectors, PAIR_INPUTS: inputs}
        else:
            once = firsts < seconds
            owners = torch.repeat_interleave(torch.tensor(lengths))[once]
            lengths = torch.bincount(owners, minlength=len(self.graphs)).tolist()
            self._pairs = {"firsts": firsts[once], PARTNERS: seconds[once]}
            atoms = firsts[once] + self._atoms_of.starts[owners]
            self._atoms["pairs"] = torch.bincount(atoms, minlength=self._atoms_of.total)
            if sloped or forces is not None:
                self._pairs[VECTORS] = vectors[once]
            else:
                self._read_filters(vectors[once].norm(dim=1), inputs[once], owners, settings)
        self._pairs_of = _Stretches(lengths)

    def to(self, device: torch.device) -> "GraphDataset":
        """The same, moved to where its batches are cut."""
        for name, value in vars(self).items():
            if isinstance(value, Tensor | _Stretches):
                setattr(self, name, value.to(device))
            elif isinstance(value, dict):
                setattr(self, name, {key: tensor.to(device) for key, tensor in value.items()})
        return self

    def _read_filters(
        self, distances: Tensor, inputs: Tensor, owners: Tensor, settings: ModelSettings
    ) -> None:
        """Where pairs find their filters; ``owners``: the molecule of each pair.

        Knots that no pair reads are left out, such as those nearer than a bond: a fifth of them. Pairs that
        see more than a distance have rows below the knots: if they are few, every batch has them all;
        otherwise a molecule has its own, one after the other.
        """
        self._knots = knots(settings.cutoff, settings.gaussians)
        starts, weights = interpolation(distances, self._knots)
        own = inputs.any(dim=1)
        if len(read := starts[~own]):
            first = int(read.min())
            self._knots = self._knots[first : int(read.max()) + STENCIL]
            starts -= first
        rows = torch.cat([distances[own, None], inputs[own]], dim=1)
        few, which = rows.unique(dim=0, return_inverse=True)
        if len(few) > _FEW_ROWS:
            named = torch.cat([owners[own, None].to(rows.dtype), rows], dim=1)
            each, which = named.unique(dim=0, return_inverse=True)
            counts = torch.bincount(each[:, 0].long(), minlength=len(self.graphs))
            self._rows_of, few = _Stretches(counts.tolist()), each[:, 1:]
            which = which - self._rows_of.starts[owners[own]]
            self._pairs["own"] = own
        self._rows = few
        starts[own] = len(self._knots) + which
        weights[own] = torch.eye(STENCIL)[0]
        self._pairs |= {STARTS: starts, WEIGHTS: weights}

    def __len__(self) -> int:
        return len(self.graphs)

    def __getitem__(self, index: int) -> int:
        return index

    def batch(self, indices: Sequence[int]) -> dict[str, Tensor]:
        """One disconnected graph of many molecules, and their targets."""
        chosen = torch.as_tensor(indices)
        atoms, pairs = self._atoms_of.cut(chosen), self._pairs_of.cut(chosen)
        batch = {name: values[atoms.places] for name, values in self._atoms.items()}
        batch |= {_keys.n_atoms: atoms.lengths, _keys.idx_m: atoms.owners}
        cut = {name: values[pairs.places] for name, values in self._pairs.items()}
        shifts = atoms.begins[pairs.owners]
        for name in cut.keys() & {"firsts", PARTNERS, FIRSTS, SECONDS}:
            cut[name] += shifts
        if "firsts" in cut:
            firsts = cut.pop("firsts")
            batch |= {POINTERS: _pointers(batch.pop("pairs")), MOLECULES: _pointers(atoms.lengths)}
            if VECTORS in cut:
                batch |= {FIRSTS: firsts, SECONDS: cut[PARTNERS]} | _each_its_row(cut[PARTNERS])
            else:
                batch |= self._table_rows(chosen, cut, pairs.owners)
        if self.targets is not None:
            batch[TARGET] = self.targets[atoms.chosen]
        if self.left_out is not None:
            batch[LEFT_OUT] = self.left_out[atoms.chosen]
        return batch | cut

    def _table_rows(self, chosen: Tensor, cut: dict[str, Tensor], owners: Tensor) -> dict[str, Tensor]:
        """Knots and further rows of a batch's table; the pairs' starts are changed to where they lie."""
        rows = self._rows
        if self._rows_of is not None:
            stretches = self._rows_of.cut(chosen)
            rows = rows[stretches.places]
            cut[STARTS] += cut.pop("own") * stretches.begins[owners]
        return {KNOTS: self._knots, ROW_DISTANCES: rows[:, 0], ROW_INPUTS: rows[:, 1:]}


@dataclass(frozen=True)
class _Cut:
    """Stretches of a few molecules, put one after the other.

    Attributes:
        chosen: ``(b,)``, the molecules.
        lengths: ``(b,)``, how long the stretch of each is.
        begins: ``(b,)``, where it begins among them.
        places: ``(n,)``, where their items lie in the whole.
        owners: ``(n,)``, which of the ``b`` each item is of.
    """

    chosen: Tensor
    lengths: Tensor
    begins: Tensor
    places: Tensor
    owners: Tensor


class _Stretches:
    """Where the items of each molecule lie, of stretches one after the other.

    How long they are is known on the host too, so that no size of a result has to be asked of a GPU.
    """

    def __init__(self, lengths: Sequence[int]):
        self._on_host = torch.tensor(lengths, dtype=torch.int64)
        self.lengths = self._on_host
        self.starts = self.lengths.cumsum(0) - self.lengths
        self.total = int(self._on_host.sum())

    def to(self, device: torch.device) -> "_Stretches":
        self.lengths, self.starts = self.lengths.to(device), self.starts.to(device)
        return self

    def cut(self, chosen: Tensor) -> _Cut:
        """Cut out the items of ``(b,)`` molecules, in their order; ``chosen`` lies on the host."""
        count = int(self._on_host[chosen].sum())
        chosen = chosen.to(self.lengths.device, non_blocking=True)
        lengths = self.lengths[chosen]
        begins = lengths.cumsum(0) - lengths
        owners = torch.repeat_interleave(lengths, output_size=count)
        shifts = (self.starts[chosen] - begins)[owners]
        return _Cut(chosen, lengths, begins, shifts + torch.arange(count, device=shifts.device), owners)


def _joined(parts: Sequence[NDArray]) -> Tensor:
    return torch.from_numpy(np.concatenate(parts))


def _each_its_row(pairs: Tensor) -> dict[str, Tensor]:
    """Where pairs find their filters in a table that has a row for each of them, in their order."""
    weights = torch.zeros(len(pairs), STENCIL, device=pairs.device)
    weights[:, 0] = 1.0
    return {STARTS: torch.arange(len(pairs), device=pairs.device), WEIGHTS: weights}


def _pointers(counts: Tensor) -> Tensor:
    return torch.cat([counts.new_zeros(1), counts.cumsum(0)])


def collate(graphs: Sequence[Graph]) -> dict[str, Tensor]:
    """Make schnetpack's own input dictionary of many molecules, without positions or cells."""
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
        data, batch_size=batch_size, shuffle=shuffle, generator=generator, collate_fn=data.batch
    )
