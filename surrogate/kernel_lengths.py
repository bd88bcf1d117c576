"""How far apart two atoms are before the kernel takes them for different."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from surrogate.atom_kernel import Described, Lengths, atom_sums, kernel
from surrogate.likelihood import fit_sizes

_LENGTHS = (1.0, 2.0, 4.0, 8.0, 16.0), (1.5, 2.2, 3.2, 5.0)
_SAMPLED = 300  # labels that lengths are chosen on; sizes are fitted to all
_SEED = 0


def choose_lengths(
    described: Described, lines: Sequence[NDArray], rests: NDArray, *, mean: bool, most_noise: float
) -> Lengths:
    """Lengths of the largest marginal likelihood, on some of the labels where they are many.

    Args:
        described: atoms of the molecules.
        lines: ``(n, j)`` columns of the molecule, and of its baselines.
        rests: ``(n,)`` eV, what is learned.
        mean: of an intensive property.
        most_noise: eV, upper bound of the noise.
    """
    chosen = np.sort(np.random.default_rng(_SEED).permutation(len(rests))[:_SAMPLED])
    part = {number: atoms.among(chosen) for number, atoms in described.items()}
    m = len(chosen)
    columns = (*(line[chosen] for line in lines), atom_sums(part, m, mean=mean))
    products = [column @ column.T for column in columns]
    best, found = np.inf, (_LENGTHS[0][0], _LENGTHS[1][0])
    seen = described[next(iter(described))].inputs.shape[1] > 0
    for lengths in product(_LENGTHS[0], _LENGTHS[1] if seen else _LENGTHS[1][:1]):
        atoms = kernel(part, m, part, m, lengths, mean=mean)
        atoms /= np.diag(atoms).mean()
        value, _ = fit_sizes(rests[chosen], atoms, *products, most_noise=most_noise)
        if value < best:
            best, found = value, lengths
    return found
