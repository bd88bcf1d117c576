"""SchNet's continuous-filter convolution, with every filter read from a table.

A filter depends on the distance alone, so it need not be computed for every pair of every molecule. It is
computed at equally spaced distances, the knots. A pair's filter is interpolated from the four around it
(cubic Lagrange polynomials: the error falls with the fourth power of the spacing). Pairs whose filter sees
more than a distance, such as a bond order, have a row of their own below the knots. A pair is listed once and
serves both of its atoms.

On a CPU the sum over neighbours runs in compiled loops, which never write a filter or a message to memory;
they are what makes training several times faster (docs/concepts/surrogate.md). Elsewhere torch's own
operators do the same.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any

import numpy as np
import torch
from torch import Tensor

from surrogate.compiled import compiled
from surrogate.parallel import map_in_order

STENCIL = 4  # rows of the table that a pair's filter is made from
_KNOTS_PER_GAUSSIAN = 12
_MOLECULES_PER_CALL = 16
_CALLS = 4  # that share the work on a table's gradient
_FEATURES_PER_CALL = 64


@dataclass(frozen=True)
class Pairs:
    """Which atoms interact, and by which filter. A pair is listed once, with its earlier atom.

    Attributes:
        molecules: ``(b + 1,)`` int64; the atoms of molecule ``m`` are ``molecules[m]`` to
            ``molecules[m + 1]``.
        pointers: ``(n + 1,)`` int64; the pairs of atom ``i`` are ``pointers[i]`` to ``pointers[i + 1]``.
        partners: ``(p,)`` int64, later atoms of the same molecule.
        starts: ``(p,)`` int64, first of the ``STENCIL`` rows of the table.
        weights: ``(p, STENCIL)``, of those rows.
    """

    molecules: Tensor
    pointers: Tensor
    partners: Tensor
    starts: Tensor
    weights: Tensor


def knots(cutoff: float, gaussians: int) -> Tensor:
    """``(k,)`` Å: where the filters of a table are computed, from 0 to the cutoff."""
    return torch.linspace(0.0, cutoff, _KNOTS_PER_GAUSSIAN * max(gaussians - 1, 1) + 1)


def interpolation(distances: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
    """First row and ``(p, STENCIL)`` weights that read filters at ``(p,)`` distances off the knots."""
    steps = distances.double() / float(places[1] - places[0])
    starts = (steps.long() - 1).clamp(0, len(places) - STENCIL)
    t = steps - starts
    a, b, c = t - 1, t - 2, t - 3
    weights = torch.stack([-a * b * c / 6, t * b * c / 2, -t * a * c / 2, t * a * b / 6], dim=1)
    return starts, weights.float()


def convolve(atoms: Tensor, table: Tensor, pairs: Pairs) -> Tensor:
    """Sum over neighbours of their features times the pair's filter.

    Args:
        atoms: ``(s, n, f)`` features of ``n`` atoms in ``s`` networks.
        table: ``(s, k, f)`` filters.
        pairs: the neighbours of every atom.

    Returns:
        ``(s, n, f)``; gradients, and gradients of gradients, reach ``atoms`` and ``table``.
    """
    if atoms.device.type == "cpu":
        summed: Tensor = _Convolution.apply(atoms.to(table.dtype), table, pairs)
        return summed
    return convolve_by_torch(atoms, table, pairs)


def convolve_by_torch(atoms: Tensor, table: Tensor, pairs: Pairs) -> Tensor:
    """The same with torch's operators, on any device."""
    weights = pairs.weights.to(table.dtype)
    filters = sum(table[:, pairs.starts + k] * weights[:, k, None] for k in range(STENCIL))
    firsts = torch.repeat_interleave(pairs.pointers.diff(), output_size=len(pairs.partners))
    atoms = atoms.to(table.dtype)
    sums = torch.zeros_like(atoms).index_add(1, firsts, atoms[:, pairs.partners] * filters)
    return sums.index_add(1, pairs.partners, atoms[:, firsts] * filters)


class _Convolution(torch.autograd.Function):
    """Linear in atoms and in the table.

    Both derivatives are sums of the same two kinds again, so that forces, which are gradients, have gradients
    too.
    """

    @staticmethod
    def forward(ctx: Any, atoms: Tensor, table: Tensor, pairs: Pairs) -> Tensor:
        ctx.save_for_backward(atoms, table)
        ctx.pairs = pairs
        return _sum_neighbours(atoms, table, pairs)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        atoms, table = ctx.saved_tensors
        to_atoms = to_table = None
        if ctx.needs_input_grad[0]:
            # A pair's filter is the same in both directions, so the transposed sum is the sum itself.
            to_atoms = _Convolution.apply(gradient, table, ctx.pairs)
        if ctx.needs_input_grad[1]:
            to_table = _TableGradient.apply(atoms, gradient, table.shape[1], ctx.pairs)
        return to_atoms, to_table, None


class _TableGradient(torch.autograd.Function):
    """Linear in atoms and in the gradient of their sums, and the same when these two are exchanged."""

    @staticmethod
    def forward(ctx: Any, atoms: Tensor, gradient: Tensor, rows: int, pairs: Pairs) -> Tensor:
        ctx.save_for_backward(atoms, gradient)
        ctx.pairs = pairs
        return _table_gradient(atoms, gradient, rows, pairs)

    @staticmethod
    def backward(ctx: Any, table: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        atoms, gradient = ctx.saved_tensors
        to_atoms = _Convolution.apply(gradient, table, ctx.pairs) if ctx.needs_input_grad[0] else None
        to_gradient = _Convolution.apply(atoms, table, ctx.pairs) if ctx.needs_input_grad[1] else None
        return to_atoms, to_gradient, None, None


def _sum_neighbours(atoms: Tensor, table: Tensor, pairs: Pairs) -> Tensor:
    result = torch.empty_like(atoms, memory_format=torch.contiguous_format)
    x, filters, out = _array(atoms), _array(table), _array(result)
    lists = _lists(pairs)
    blocks = _blocks(pairs, _MOLECULES_PER_CALL)

    def call(job: tuple[int, tuple[int, int]]) -> None:
        s, (first, last) = job
        _neighbours(x[s], filters[s], *lists, out[s], first, last)

    deque(map_in_order(call, product(range(len(x)), blocks)), maxlen=0)
    return result


def _table_gradient(atoms: Tensor, gradient: Tensor, length: int, pairs: Pairs) -> Tensor:
    """Sum the tables that each call adds to, in order.

    How many there are must not depend on the number of threads. A table as long as the list of pairs is
    divided by features instead.
    """
    networks, _, width = atoms.shape
    calls = max(_CALLS // networks, 1)
    if len(pairs.partners) < calls * length:
        calls = 1
    blocks = _blocks(pairs, -(-(len(pairs.molecules) - 1) // calls))
    step = width if calls > 1 else _FEATURES_PER_CALL
    features = [(start, min(start + step, width)) for start in range(0, width, step)]
    parts = atoms.new_zeros(len(blocks), networks, length, width)
    x, g, out = _array(atoms), _array(gradient), _array(parts)
    lists = _lists(pairs)

    def call(job: tuple[int, int, tuple[int, int]]) -> None:
        s, part, columns = job
        _scatter(x[s], g[s], *lists, out[part, s], *blocks[part], *columns)

    deque(map_in_order(call, product(range(networks), range(len(blocks)), features)), maxlen=0)
    return parts.sum(dim=0) if len(blocks) > 1 else parts[0]


def _array(tensor: Tensor) -> np.ndarray[Any, Any]:
    return tensor.detach().contiguous().numpy()


def _lists(pairs: Pairs) -> tuple[np.ndarray[Any, Any], ...]:
    return tuple(_array(part) for part in (pairs.pointers, pairs.partners, pairs.starts, pairs.weights))


def _blocks(pairs: Pairs, molecules: int) -> list[tuple[int, int]]:
    """First and last atom of so many molecules at a time."""
    edges = [*pairs.molecules[:-1:molecules].tolist(), int(pairs.molecules[-1])]
    return list(pairwise(edges))


# Every number is computed by one call in one order: these sums do not depend on the number of threads.
# The loops release the interpreter's lock.


@compiled
def _neighbours(x, table, pointers, partners, starts, weights, out, first, last):
    out[first:last] = 0
    for i in range(first, last):
        xi, total = x[i], out[i]
        for p in range(pointers[i], pointers[i + 1]):
            j, k = partners[p], starts[p]
            xj, other = x[j], out[j]
            w0, w1, w2, w3 = weights[p, 0], weights[p, 1], weights[p, 2], weights[p, 3]
            t0, t1, t2, t3 = table[k], table[k + 1], table[k + 2], table[k + 3]
            for f in range(len(total)):
                filtered = w0 * t0[f] + w1 * t1[f] + w2 * t2[f] + w3 * t3[f]
                total[f] += filtered * xj[f]
                other[f] += filtered * xi[f]


@compiled
def _scatter(x, gradient, pointers, partners, starts, weights, out, first, last, f0, f1):
    for i in range(first, last):
        xi, gi = x[i, f0:f1], gradient[i, f0:f1]
        for p in range(pointers[i], pointers[i + 1]):
            j, k = partners[p], starts[p]
            xj, gj = x[j, f0:f1], gradient[j, f0:f1]
            w0, w1, w2, w3 = weights[p, 0], weights[p, 1], weights[p, 2], weights[p, 3]
            t0, t1, t2, t3 = out[k, f0:f1], out[k + 1, f0:f1], out[k + 2, f0:f1], out[k + 3, f0:f1]
            for f in range(f1 - f0):
                both = gi[f] * xj[f] + gj[f] * xi[f]
                t0[f] += w0 * both
                t1[f] += w1 * both
                t2[f] += w2 * both
                t3[f] += w3 * both
