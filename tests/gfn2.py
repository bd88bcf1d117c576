"""GFN2-xTB single points, as tests want them."""

from typing import NamedTuple

import numpy as np

from alkit.baselines.base import Reading, create_baseline
from alkit.models.graphs import GFN2
from alkit.molecules.molecule import Molecule

LEVEL = create_baseline(GFN2).level


class Point(NamedTuple):
    energy: float
    charges: np.ndarray
    bond_orders: np.ndarray
    level: object


def reading(numbers, positions, *, smiles: str = "C") -> Reading:
    return create_baseline(GFN2).read(Molecule(smiles, numbers, positions, "given"))


def single_point(numbers, positions, *, smiles: str = "C") -> Point:
    found = reading(numbers, positions, smiles=smiles)
    return Point(found.energy, found.atoms[:, 0], found.pairs[..., 0], found.level)
