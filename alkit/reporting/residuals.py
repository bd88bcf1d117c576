"""Test errors by groups of molecules: by size, by element and by functional group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from alkit.models.metrics import error_sizes, mae_half_width
from alkit.molecules.functional_groups import groups_of


@dataclass(frozen=True)
class Residual:
    """The errors of the molecules of one group, in the unit of the labels.

    Attributes:
        n: molecules.
        bias: mean of prediction less label.
        mae: mean absolute error.
        half_width: of its 95 % interval; infinite for a single molecule.
    """

    group: str
    n: int
    bias: float
    mae: float
    half_width: float


def residuals_by(groups: Mapping[str, ArrayLike], errors: NDArray) -> list[Residual]:
    """The errors of every group that has molecules, in the groups' order.

    Args:
        groups: by name, ``(n,)`` of which molecules belong to it; they may overlap.
        errors: ``(..., n)`` prediction less label; the axes before the last are seeds.
    """
    found = []
    for name, chosen in groups.items():
        inside = np.asarray(chosen, dtype=bool)
        if count := int(inside.sum()):
            some = np.asarray(errors)[..., inside]
            sizes = error_sizes(some.ravel())
            half_width = mae_half_width(count, sizes["mae"], sizes["rmse"])
            found.append(Residual(name, count, float(some.mean()), sizes["mae"], half_width))
    return found


def by_size(smiles: Sequence[str]) -> dict[str, NDArray[np.bool_]]:
    """Molecules by their number of heavy atoms."""
    from rdkit import Chem

    heavy = np.array([Chem.MolFromSmiles(one).GetNumHeavyAtoms() for one in smiles])
    return {str(size): heavy == size for size in np.unique(heavy)}


def by_element(smiles: Sequence[str]) -> dict[str, NDArray[np.bool_]]:
    """Molecules by the elements in them, hydrogen left out."""
    from alkit.models.metrics import element_counts

    elements = [set(element_counts(one)) - {"H"} for one in smiles]
    names = sorted(set().union(*elements))
    return {name: np.array([name in one for one in elements]) for name in names}


def by_functional_group(smiles: Sequence[str]) -> dict[str, NDArray[np.bool_]]:
    """Molecules by the functional groups in them, see `alkit.molecules.functional_groups`."""
    present = [groups_of(one) for one in smiles]
    names = dict.fromkeys(name for one in present for name in one)
    counts = {name: sum(name in one for one in present) for name in names}
    return {
        name: np.array([name in one for one in present]) for name in sorted(names, key=lambda n: -counts[n])
    }
