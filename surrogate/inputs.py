"""From molecules to graphs: which atoms interact, and at which distance.

Both modes give schnetpack's SchNet the same thing, a list of directed pairs with a vector each, because its
filters see the length of that vector alone. In 3D mode it is the interatomic vector; in 2D mode the
topological distance along x.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from surrogate.errors import SurrogateError

# Shortening of a bond against the sum of single-bond covalent radii, by bond order: least-squares ratios of
# textbook C-C, C=C, C#C and aromatic lengths (1.54, 1.34, 1.20, 1.40 Å).
_BOND_SHORTENING = {1.0: 1.0, 1.5: 0.91, 2.0: 0.87, 3.0: 0.78}


@dataclass(frozen=True, eq=False)
class Graph:
    """One molecule as SchNet sees it.

    Attributes:
        numbers: ``(n,)`` int64, atomic numbers, hydrogens included.
        senders, receivers: ``(p,)`` int64, atom indices j and i of the directed pairs within the cutoff.
        vectors: ``(p, 3)`` float32, Å; their lengths are the distances.
    """

    numbers: NDArray[np.int64]
    senders: NDArray[np.int64]
    receivers: NDArray[np.int64]
    vectors: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.numbers)


def graph_3d(numbers: NDArray, positions: NDArray, *, cutoff: float) -> Graph:
    """Pairs of atoms nearer than ``cutoff``.

    Args:
        numbers: ``(n,)`` atomic numbers.
        positions: ``(n, 3)`` Å.
        cutoff: Å.

    Raises:
        SurrogateError: no atoms, shapes that disagree, or coordinates that are not finite.
    """
    numbers = np.asarray(numbers, dtype=np.int64)
    positions = np.asarray(positions, dtype=np.float64)
    if len(numbers) == 0:
        raise SurrogateError("A molecule without atoms has no energy to predict.")
    if positions.shape != (len(numbers), 3):
        raise SurrogateError(f"positions have shape {positions.shape}; {(len(numbers), 3)} is expected.")
    if not np.isfinite(positions).all():
        raise SurrogateError("positions contain NaN or infinity; every coordinate must be finite, in Å.")
    vectors = positions[None, :, :] - positions[:, None, :]
    return _pairs(numbers, np.linalg.norm(vectors, axis=-1), vectors, cutoff)


def graph_2d(smiles: str, *, cutoff: float) -> Graph:
    """Pairs of atoms whose topological distance is below ``cutoff``.

    The topological distance is the length in Å of the shortest path over bonds, each as long as the sum of
    its atoms' covalent radii, shortened by bond order. It needs the SMILES alone, so it is the same before
    and after a molecule is labelled.

    Raises:
        SurrogateError: the SMILES does not parse.
    """
    from rdkit import Chem

    molecule = Chem.MolFromSmiles(smiles)
    if molecule is None or molecule.GetNumAtoms() == 0:
        raise SurrogateError(f"{smiles!r} is not a SMILES of a molecule.")
    molecule = Chem.AddHs(molecule)
    numbers = np.array([atom.GetAtomicNum() for atom in molecule.GetAtoms()], dtype=np.int64)
    distances = _topological_distances(molecule, numbers)
    vectors = np.zeros((*distances.shape, 3))
    vectors[..., 0] = distances
    return _pairs(numbers, distances, vectors, cutoff)


def _topological_distances(molecule, numbers: NDArray[np.int64]) -> NDArray[np.float64]:
    """``(n, n)`` shortest paths in Å; infinite between fragments."""
    from rdkit import Chem
    from scipy.sparse.csgraph import shortest_path

    table = Chem.GetPeriodicTable()
    radii = [table.GetRcovalent(int(z)) for z in numbers]
    lengths = np.zeros((len(numbers), len(numbers)))
    for bond in molecule.GetBonds():
        i, j = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        shortening = _BOND_SHORTENING.get(bond.GetBondTypeAsDouble(), 1.0)
        lengths[i, j] = lengths[j, i] = shortening * (radii[i] + radii[j])
    return shortest_path(lengths, method="D", directed=False)


def _pairs(numbers: NDArray, distances: NDArray, vectors: NDArray, cutoff: float) -> Graph:
    near = distances < cutoff
    np.fill_diagonal(near, False)
    receivers, senders = np.nonzero(near)
    return Graph(numbers, senders, receivers, vectors[receivers, senders].astype(np.float32))
