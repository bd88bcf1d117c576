"""Weights with which one set of molecules has the make-up of another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator
from scipy.optimize import minimize
from scipy.special import logsumexp

_RIDGE = 0.01  # what cannot be matched, such as a size that no molecule has, is not forced at the cost of all
_MOST_DESCRIPTORS = 100
Descriptors = dict[Hashable, float]


def balanced_weights(
    columns: NDArray[np.float64], wanted: NDArray[np.float64], start: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """``(n,)``, of sum 1: with them the columns `(n, k)` have the means `wanted` `(k,)`, as far as they can.

    Those nearest to the weights `start` `(n,)`, equal ones by default, of all such weights: entropy
    balancing, Hainmueller, https://doi.org/10.1093/pan/mpr025.
    """
    spread = columns.std(axis=0)
    differing = spread > 0
    scaled = (columns[:, differing] - wanted[differing]) / spread[differing]
    offset = np.zeros(len(columns)) if start is None else np.log(np.maximum(start, np.finfo(float).tiny))

    def dual(strengths: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        logits = scaled @ strengths + offset
        total = float(logsumexp(logits))
        gradient = np.exp(logits - total) @ scaled + _RIDGE * strengths
        return total + _RIDGE / 2 * float(strengths @ strengths), gradient

    found = minimize(dual, np.zeros(scaled.shape[1]), jac=True, method="L-BFGS-B").x
    logits = scaled @ found + offset
    weights: NDArray[np.float64] = np.exp(logits - logsumexp(logits))
    return weights


def make_up(
    smiles: Iterable[str], like: Iterable[str], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Descriptors `(n, k)` of molecules, and the weighted means `(k,)` of those to be like.

    The k are the 100 that are most frequent among the latter: see `_described`.
    """
    reference, described = [_described(one) for one in like], [_described(one) for one in smiles]
    frequency = Counter(key for descriptors in reference for key in descriptors)
    chosen = {key: k for k, (key, _) in enumerate(frequency.most_common(_MOST_DESCRIPTORS))}
    return _columns(described, chosen), weights @ _columns(reference, chosen)


def _columns(described: list[Descriptors], chosen: dict[Hashable, int]) -> NDArray[np.float64]:
    columns = np.zeros((len(described), len(chosen)))
    for row, descriptors in enumerate(described):
        for key, value in descriptors.items():
            if key in chosen:
                columns[row, chosen[key]] = value
    return columns


def _described(smiles: str) -> Descriptors:
    """Descriptors of one molecule.

    They are its size, its number of rings, and each atom with its neighbours (Morgan environment of
    radius 1). Atoms of each element (aromatic or not) and rings of each size are counted.
    """
    molecule = Chem.MolFromSmiles(smiles)
    rings = molecule.GetRingInfo().AtomRings()
    environments = GetMorganGenerator(radius=1).GetSparseFingerprint(molecule).GetOnBits()
    atoms = Counter((atom.GetSymbol(), atom.GetIsAromatic()) for atom in molecule.GetAtoms())
    described: Descriptors = {("environment", one): 1.0 for one in environments}
    described |= {("atoms", kind): float(count) for kind, count in atoms.items()}
    described |= {("atoms squared", kind): float(count**2) for kind, count in atoms.items()}
    described |= {("ring", size): float(count) for size, count in Counter(map(len, rings)).items()}
    described["size", molecule.GetNumAtoms()] = described["rings", len(rings)] = 1.0
    return described
