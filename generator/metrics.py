"""How good a set of sampled molecules is: valid, unique, novel, and of what make-up.

Definitions follow MOSES (10.3389/fphar.2020.565644): `unique` is a share of the valid ones, `novel` of the
unique ones; `valid_unique_novel` is their product, the share of all draws that are new, different molecules.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from rdkit import Chem, rdBase
from rdkit.Chem import rdMolDescriptors

from generator.errors import GeneratorError


def summary(sampled: Sequence[str], training: Sequence[str]) -> dict[str, Any]:
    """Compare sampled SMILES with the training set's.

    Returns
    -------
    dict
        `count`; the fractions `valid`, `unique`, `novel` and `valid_unique_novel`, 0 to 1; `means`, for each
        of heavy atoms, rings, smallest ring, unsaturation (rings plus pi bonds) and the element shares the
        pair
        (mean of the valid samples, mean of the training set); `distance`, for the whole-number descriptors
        the total variation distance between the two histograms, 0 (equal) to 1 (disjoint).

    Raises
    ------
    GeneratorError
        Either list is empty, or a training SMILES cannot be read.
    """
    if not sampled or not training:
        raise GeneratorError("A summary compares two sets; give at least one SMILES of each.")
    reference = _read(training)
    if len(reference) < len(training):
        raise GeneratorError(
            f"{len(training) - len(reference)} training SMILES are not readable as connected molecules; "
            "leave them out."
        )
    molecules = _read(sampled)
    keys = [Chem.MolToSmiles(molecule, isomericSmiles=False) for molecule in molecules]
    unique = set(keys)
    novel = unique - {Chem.MolToSmiles(molecule, isomericSmiles=False) for molecule in reference}
    return {
        "count": len(sampled),
        "valid": len(molecules) / len(sampled),
        "unique": len(unique) / max(1, len(molecules)),
        "novel": len(novel) / max(1, len(unique)),
        "valid_unique_novel": len(novel) / len(sampled),
        "means": _means(molecules, reference) if molecules else {},
        "distance": {
            name: _total_variation(map(describe, molecules), map(describe, reference))
            for name, describe in _DESCRIPTORS.items()
        }
        if molecules
        else {},
    }


def _read(smiles: Sequence[str]) -> list[Chem.Mol]:
    """The molecules that are sanitisable, one fragment and not empty."""
    with rdBase.BlockLogs():
        parsed = (Chem.MolFromSmiles(text) for text in smiles)
        return [
            molecule
            for molecule in parsed
            if molecule is not None and molecule.GetNumAtoms() and len(Chem.GetMolFrags(molecule)) == 1
        ]


def _smallest_ring(molecule: Chem.Mol) -> int:
    return min(map(len, molecule.GetRingInfo().AtomRings()), default=0)


def _unsaturation(molecule: Chem.Mol) -> int:
    """Rings plus pi bonds, counted on the Kekulé structure."""
    kekule = Chem.Mol(molecule)
    Chem.Kekulize(kekule, clearAromaticFlags=True)
    pi_bonds = sum(round(bond.GetBondTypeAsDouble()) - 1 for bond in kekule.GetBonds())
    return rdMolDescriptors.CalcNumRings(molecule) + pi_bonds


_DESCRIPTORS: dict[str, Callable[[Chem.Mol], int]] = {
    "heavy_atoms": Chem.Mol.GetNumHeavyAtoms,
    "rings": rdMolDescriptors.CalcNumRings,
    "smallest_ring": _smallest_ring,
    "unsaturation": _unsaturation,
}


def _means(sampled: list[Chem.Mol], reference: list[Chem.Mol]) -> dict[str, tuple[float, float]]:
    means = {
        name: (sum(map(describe, sampled)) / len(sampled), sum(map(describe, reference)) / len(reference))
        for name, describe in _DESCRIPTORS.items()
    }
    ours, theirs = _elements(sampled), _elements(reference)
    for symbol in sorted(ours.keys() | theirs.keys()):
        means[f"share_{symbol}"] = (ours[symbol] / ours.total(), theirs[symbol] / theirs.total())
    return means


def _elements(molecules: Iterable[Chem.Mol]) -> Counter[str]:
    return Counter(atom.GetSymbol() for molecule in molecules for atom in molecule.GetAtoms())


def _total_variation(first: Iterable[int], second: Iterable[int]) -> float:
    a, b = Counter(first), Counter(second)
    return 0.5 * sum(abs(a[value] / a.total() - b[value] / b.total()) for value in a.keys() | b.keys())
