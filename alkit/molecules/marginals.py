"""A set of molecules as a distribution, where the molecules themselves are not known.

Known are sizes, elements and fragments, as shares of the set.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator

from generator.balancing import balanced_weights

_MOST_FRAGMENTS = 64


@dataclass(frozen=True)
class Marginals:
    """Shares of a set of molecules.

    Attributes:
        sizes: heavy atoms -> share of the molecules.
        elements: atomic number of a heavy atom -> its mean share of a molecule's heavy atoms.
        fragments: an atom with its neighbours (Morgan environment of radius 1) -> share of the molecules that
            have it; the most frequent 64.
    """

    sizes: dict[int, float]
    elements: dict[int, float]
    fragments: dict[int, float]

    @classmethod
    def of(cls, smiles: Sequence[str]) -> Marginals:
        """The shares of one or more molecules."""
        described = [_described(one) for one in smiles]
        sizes = Counter(size for size, _, _ in described)
        elements, fragments = Counter[int](), Counter[int]()
        for size, counts, present in described:
            elements.update({number: count / size for number, count in counts})
            fragments.update(present)

        def shares(counter: Counter[int], most: int | None = None) -> dict[int, float]:
            # The smaller number of equally frequent ones comes first, whatever the order of the molecules.
            ranked = sorted(counter.items(), key=lambda item: (-item[1], item[0]))[:most]
            return {key: count / len(described) for key, count in ranked}

        return cls(shares(sizes), shares(elements), shares(fragments, _MOST_FRAGMENTS))

    def weights(self, smiles: Sequence[str]) -> NDArray[np.float64]:
        """``(n,)``, of sum 1: with them the molecules have these shares, as far as they can.

        Those nearest to equal ones of all such weights: see `generator.balancing`.
        """
        return balanced_weights(self._columns(smiles), self._wanted())

    def _columns(self, smiles: Sequence[str]) -> NDArray[np.float64]:
        rows = []
        for size, counts, present in map(_described, smiles):
            atoms = dict(counts)
            of_elements = [atoms.get(number, 0) / size for number in self.elements]
            rows.append(
                [*(size == k for k in self.sizes), *of_elements, *(one in present for one in self.fragments)]
            )
        return np.array(rows, dtype=np.float64)

    def _wanted(self) -> NDArray[np.float64]:
        return np.array([*self.sizes.values(), *self.elements.values(), *self.fragments.values()])


@lru_cache(maxsize=2**17)  # the same candidates and seeds are asked about in every round
def _described(smiles: str) -> tuple[int, tuple[tuple[int, int], ...], frozenset[int]]:
    """Heavy atoms, how many there are of each element, and the environments of radius 1."""
    molecule = Chem.MolFromSmiles(smiles)
    counts = Counter(atom.GetAtomicNum() for atom in molecule.GetAtoms() if atom.GetAtomicNum() > 1)
    present = GetMorganGenerator(radius=1).GetSparseFingerprint(molecule).GetOnBits()
    return max(sum(counts.values()), 1), tuple(sorted(counts.items())), frozenset(present)
