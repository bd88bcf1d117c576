"""The kernel's covariance of molecules without regard to labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from surrogate.atom_kernel import Described, Descriptor, Lengths, atom_sums, kernel, self_kernel
from surrogate.checks import check_inputs
from surrogate.ensemble_files import element_numbers
from surrogate.inputs import Graph
from surrogate.likelihood import covariance
from surrogate.linear_part import Linear
from surrogate.low_rank import Covariance, factorised
from surrogate.settings import ModelSettings

# Before any label: those that labels of QM9 on GFN1- and GFN2-xTB choose, in round numbers (decision 025).
_USUAL_LENGTHS = (8.0, 2.2)
_USUAL_SIZE, _USUAL_LINE, _USUAL_NOISE = 4.0, 0.02, 0.02  # eV


def prior_covariance(settings: ModelSettings, graphs: Sequence[Graph]) -> Covariance:
    """How the energies of molecules vary together before any label is there, with usual lengths and sizes.

    Raises:
        SurrogateError: inputs that are missing, or a molecule without positions.
    """
    check_inputs(settings, graphs)
    n, mean = len(graphs), settings.intensive
    described = Descriptor.fit(element_numbers(settings), graphs)(graphs)
    counts, own = atom_sums(described, n, mean=mean), self_kernel(described, n, _USUAL_LENGTHS, mean=mean)
    raw = Linear.fit(graphs, counts)(graphs) * _USUAL_LINE
    unit = float(own.mean())
    squares = (raw**2).sum(axis=1), (counts**2).sum(axis=1)
    variances = covariance(own / unit, *squares, size=_USUAL_SIZE)
    columns = prior_columns(described, raw, _USUAL_LENGTHS, unit, _USUAL_SIZE, mean=mean)
    return factorised(columns, variances, _USUAL_NOISE)


def prior_columns(
    described: Described, raw: NDArray, lengths: Lengths, unit: float, size: float, *, mean: bool
) -> Callable[[NDArray[np.intp]], NDArray[np.float64]]:
    """A function that gives the covariance ``(n, b)`` of all molecules with ``b`` of them, eV²."""
    counts = atom_sums(described, len(raw), mean=mean)

    def columns(chosen: NDArray[np.intp]) -> NDArray[np.float64]:
        part = {number: atoms.among(chosen) for number, atoms in described.items()}
        atoms = kernel(part, len(chosen), described, len(raw), lengths, mean=mean).T / unit
        return covariance(atoms, raw @ raw[chosen].T, counts @ counts[chosen].T, size=size)

    return columns
