"""The kernel's covariance of molecules without regard to labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from surrogate.atom_kernel import Described, Descriptor, Lengths, atom_sums, kernel, self_kernel
from surrogate.checks import check_inputs
from surrogate.ensemble_files import element_numbers
from surrogate.inputs import Graph
from surrogate.likelihood import Sizes, covariance
from surrogate.linear_part import Linear, whole_numbers
from surrogate.low_rank import Covariance, factorised
from surrogate.settings import ModelSettings

# Before any label: those that labels of QM9 on GFN1- and GFN2-xTB choose, in round numbers (decision 025).
_USUAL_LENGTHS, _USUAL_SIZES = (8.0, 2.2), Sizes(4.0, 0.02, 0.02)


def prior_covariance(settings: ModelSettings, graphs: Sequence[Graph]) -> Covariance:
    """How the energies of molecules vary together before any label is there, with usual lengths and sizes.

    Raises:
        SurrogateError: inputs that are missing, or a molecule without positions.
    """
    check_inputs(settings, graphs)
    n, mean = len(graphs), settings.intensive
    described = Descriptor.fit(element_numbers(settings), graphs)(graphs)
    values, counts = whole_numbers(graphs), atom_sums(described, n, mean=mean)
    raw, own = Linear.fit(values)(values), self_kernel(described, n, _USUAL_LENGTHS, mean=mean)
    unit = float(own.mean())
    variances = covariance(_USUAL_SIZES, own / unit, (raw**2).sum(axis=1), (counts**2).sum(axis=1))
    columns = prior_columns(described, raw, _USUAL_LENGTHS, unit, _USUAL_SIZES, mean=mean)
    return factorised(columns, variances, _USUAL_SIZES.noise)


def prior_columns(
    described: Described, raw: NDArray, lengths: Lengths, unit: float, sizes: Sizes, *, mean: bool
) -> Callable[[NDArray[np.intp]], NDArray[np.float64]]:
    """A function that gives the covariance ``(n, b)`` of all molecules with ``b`` of them, eV²."""
    counts = atom_sums(described, len(raw), mean=mean)

    def columns(chosen: NDArray[np.intp]) -> NDArray[np.float64]:
        part = {number: atoms.among(chosen) for number, atoms in described.items()}
        atoms = kernel(part, len(chosen), described, len(raw), lengths, mean=mean).T / unit
        return covariance(sizes, atoms, raw @ raw[chosen].T, counts @ counts[chosen].T)

    return columns
