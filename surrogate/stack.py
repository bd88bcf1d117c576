"""Several schnetpack SchNets of one architecture, computed side by side with their own weights.

The numbers are those of schnetpack's forward pass, up to rounding and the interpolation of filters
(`surrogate.convolution`); the weights stay in schnetpack's modules.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from surrogate.batches import (
    ATOM_INPUTS,
    KNOTS,
    MOLECULES,
    PARTNERS,
    POINTERS,
    ROW_DISTANCES,
    ROW_INPUTS,
    STARTS,
    VECTORS,
    WEIGHTS,
)
from surrogate.compat import schnetpack
from surrogate.convolution import STENCIL, Pairs, convolve
from surrogate.schnet import attention, network_of

_keys = schnetpack.properties
_SMALLEST = 1e-8  # variance; keeps logarithms finite


def evaluate_members(members: Sequence[Any], batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Evaluate ``s`` networks of one architecture.

    Returns:
        Outputs ``(s, b)``, the mean of several heads, and last atom features ``(s, n, features)``.
    """
    outputs, atoms = evaluate_heads(members, batch)
    return outputs.mean(dim=1), atoms


def evaluate_heads(members: Sequence[Any], batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Outputs ``(s, h, b)`` of all heads, and last atom features ``(s, n, features)``."""
    if hasattr(network_of(members[0]), "mixing"):  # PaiNN
        vectors = batch[VECTORS].expand(len(members), -1, -1)
        each = [one.representation(batch | {VECTORS: v}) for one, v in zip(members, vectors, strict=True)]
        return _heads(members, torch.stack([found["scalar_representation"] for found in each]), batch)
    return stacked(members, batch)


def variances(members: Sequence[Any], atoms: Tensor, batch: dict[str, Tensor]) -> Tensor:
    """``(s, b)`` variances of the outputs' errors, as the second heads have learned them.

    A molecule's comes from its atoms' as its value does. The features are taken as they are: the heads of
    errors have no part in making them (Nix and Weigend, ICNN 1994, https://doi.org/10.1109/ICNN.1994.374138).
    """
    heads, atoms = [member.output_modules[1] for member in members], atoms.detach()
    each = functional.softplus(_through([head.outnet for head in heads], atoms))
    return _aggregated(heads, each, atoms, batch)[..., 0] + _SMALLEST


def pooled(atoms: Tensor, batch: dict[str, Tensor], *, mean: bool = False) -> Tensor:
    """``(s, b, features)``: sums over the atoms of each molecule, or their means."""
    sums = atoms.new_zeros(len(atoms), len(batch[_keys.n_atoms]), atoms.shape[2])
    sums = sums.index_add(1, batch[_keys.idx_m], atoms)
    return sums / batch[_keys.n_atoms][:, None] if mean else sums


def stacked(members: Sequence[Any], batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Outputs and last atom features of ``s`` networks for ``b`` molecules of ``n`` atoms in all.

    Args:
        members: SchNets as `surrogate.schnet.build_model` gives them, alike but for their weights.
        batch: as `surrogate.batches.GraphDataset` cuts it.

    Returns:
        ``(s, h, b)`` outputs of the networks' heads and ``(s, n, features)``.
    """
    networks = [network_of(member) for member in members]
    pairs = Pairs(*(batch[name] for name in (MOLECULES, POINTERS, PARTNERS, STARTS, WEIGHTS)))
    known = _known(networks, batch)
    atoms = _described(known, batch)
    basis, cut = _rows(networks, batch)
    for depth, blocks in enumerate(zip(*(network.interactions for network in networks), strict=True)):
        table = _through([block.filter_network for block in blocks], basis) * cut[..., None]
        table = functional.pad(table, (0, 0, 0, STENCIL))  # a pair with a row of its own reads beyond it
        into = [block.in2f for block in blocks]
        # The first of these is linear in what is known of atoms, which is far less than there are atoms.
        sent = _dense(into, atoms) if depth else _described(_dense(into, known), batch)
        atoms = atoms + _through([block.f2out for block in blocks], convolve(sent, table, pairs))
    return _heads(members, atoms, batch)


def _heads(members: Sequence[Any], atoms: Tensor, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """``(s, h, b)`` outputs of the heads on ``(s, n, features)`` atom features, and these."""
    heads = [member.output_modules[0] for member in members]
    energies = _through([head.outnet for head in heads], atoms)
    return _aggregated(heads, energies, atoms, batch).transpose(1, 2), atoms


def _aggregated(heads: Sequence[Any], values: Tensor, atoms: Tensor, batch: dict[str, Tensor]) -> Tensor:
    """``(s, b, h)`` of molecules from ``(s, n, h)`` of atoms, as the heads' ``aggregation_mode`` says."""
    mode = heads[0].aggregation_mode
    if mode == "attention":
        gates = _through([head.gate for head in heads], atoms)
        values = values * attention(gates, batch[_keys.idx_m], len(batch[_keys.n_atoms]))
    return pooled(values, batch, mean=mode == "avg")


def _known(networks: Sequence[Any], batch: dict[str, Tensor]) -> Tensor:
    """``(s, elements + inputs, features)``: what each element, and each input of an atom, adds to an atom."""
    if batch[ATOM_INPUTS].shape[1] == 0:
        return _each(networks, lambda network: network.embedding.weight)
    elements = _each(networks, lambda network: network.embedding.elements.weight)
    inputs = _each(networks, lambda network: network.embedding.linear.weight)
    return torch.cat([elements, inputs.transpose(1, 2)], dim=1)


def _described(known: Tensor, batch: dict[str, Tensor]) -> Tensor:
    """``(s, n, f)`` from ``(s, elements + inputs, f)``."""
    inputs = batch[ATOM_INPUTS]
    atoms = torch.stack([functional.embedding(batch[_keys.Z], part) for part in known])
    return atoms + inputs @ known[:, -inputs.shape[1] :] if inputs.shape[1] else atoms


def _rows(networks: Sequence[Any], batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Radial basis ``(s, k, gaussians)`` and cutoff function of the rows of the filter tables.

    The cutoff function is ``(k,)``; or ``(s, k)``, of the vectors ``(s, k, 3)`` by which each network sees
    the pairs.
    """
    first = networks[0]
    radial = getattr(first.radial_basis, "distances", first.radial_basis)
    if VECTORS in batch:
        distances = batch[VECTORS].expand(len(networks), -1, -1).norm(dim=-1)
        return radial(distances), first.cutoff_fn(distances)
    inputs = batch[ROW_INPUTS]
    distances = torch.cat([batch[KNOTS], batch[ROW_DISTANCES]])
    basis = radial(distances).expand(len(networks), -1, -1)
    if inputs.shape[1]:
        weights = _each(networks, lambda network: network.radial_basis.linear.weight)
        added = inputs @ weights.transpose(1, 2)
        basis = basis + functional.pad(added, (0, 0, len(batch[KNOTS]), 0))
    return basis, first.cutoff_fn(distances)


def _through(layers: Sequence[Any], x: Tensor) -> Tensor:
    for alike in zip(*layers, strict=True):
        x = _dense(alike, x)
    return x


def _dense(alike: Sequence[Any], x: Tensor) -> Tensor:
    """One of schnetpack's dense layers in every network."""
    weights = _each(alike, lambda layer: layer.weight)
    if alike[0].bias is None:
        result = torch.bmm(x, weights.transpose(1, 2))
    else:
        biases = _each(alike, lambda layer: layer.bias)
        result = torch.baddbmm(biases[:, None], x, weights.transpose(1, 2))
    activated: Tensor = alike[0].activation(result)
    return activated


def _each(parts: Sequence[nn.Module], tensor: Callable[[Any], Tensor]) -> Tensor:
    tensors = [tensor(part) for part in parts]
    return tensors[0][None] if len(tensors) == 1 else torch.stack(tensors)
