"""Splits that keep stereoisomers on one side.

A test molecule must not be known from its mirror image, which has the same energy. And 2D mode cannot tell
stereoisomers apart. So molecules with one SMILES without stereo are a group that is not cut.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from alkit.errors import DataError
from alkit.molecules.molecule import without_stereo


def stereo_groups(smiles: Sequence[str], indices: Iterable[int] | None = None) -> dict[str, list[int]]:
    """Indices by SMILES without stereo, in order of appearance.

    Args:
        smiles: of all molecules.
        indices: the molecules to group; all by default. What alkit does not cover (an ion, a radical) is in
            no group.
    """
    groups: dict[str, list[int]] = {}
    for i in range(len(smiles)) if indices is None else indices:
        try:
            groups.setdefault(without_stereo(smiles[i]), []).append(i)
        except DataError:
            continue
    return groups


def grouped_order(groups: Sequence[Sequence[int]], rng: np.random.Generator) -> list[int]:
    """All indices in a random order of the groups; members of a group stand side by side."""
    return [i for k in rng.permutation(len(groups)) for i in groups[k]]


def grouped_split(groups: Iterable[Sequence[int]], sizes: Sequence[int]) -> list[list[int]]:
    """Sets of at least ``sizes`` indices, filled in the order of the groups, and a last one with the rest.

    Where the groups are too few, later sets stay short.
    """
    sets: list[list[int]] = [[] for _ in range(len(sizes) + 1)]
    for group in groups:
        open_sets = (part for part, size in zip(sets, sizes, strict=False) if len(part) < size)
        next(open_sets, sets[-1]).extend(group)
    return sets


def cut_between_groups(names: Sequence[str], cut: int) -> int:
    """The first place at ``cut`` or after it where two neighbours are of different groups.

    Args:
        names: the group of each molecule, members of a group side by side.
        cut: place to begin with, from 0.
    """
    while 0 < cut < len(names) and names[cut] == names[cut - 1]:
        cut += 1
    return cut
