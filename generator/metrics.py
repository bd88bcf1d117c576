"""How good a set of sampled molecules is: valid, unique, novel, and similar in make-up.

Definitions follow MOSES (https://doi.org/10.3389/fphar.2020.565644): `unique` is a share of the valid ones,
`novel` of the unique ones. `valid_unique_novel` is their product, the share of all draws that are new,
different molecules. Among all molecules of a kind novelty can mean drift. Two numbers show it: the make-up
beside the training set's, and the synthetic accessibility (SA score, https://doi.org/10.1186/1758-2946-1-8,
from 1, easy, to 10).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from importlib.machinery import SourceFileLoader
from pathlib import Path
from statistics import mean
from types import ModuleType
from typing import Any

from rdkit import Chem, RDConfig, rdBase
from rdkit.Chem import rdMolDescriptors

from generator.errors import GeneratorError

_LONGEST = 2000  # characters; RDKit overflows the stack when it writes a chain of some 50,000 atoms


def summary(
    sampled: Sequence[str], training: Sequence[str], *, novel_against: Iterable[str] | None = None
) -> dict[str, Any]:
    """Compare sampled SMILES with the training set's.

    Args:
        sampled: SMILES as the generator drew them.
        training: SMILES of the training set; all must be readable.
        novel_against: molecules that are not novel, as canonical SMILES without stereo; the training set by
            default.

    Returns:
        `count`; the fractions `valid`, `unique`, `novel` and `valid_unique_novel`, 0 to 1; `means` and
        `distance`.

        `means` has pairs (mean of the valid samples, mean of the training set). They are of heavy atoms,
        rings, smallest ring, unsaturation (rings plus pi bonds), SA score and the shares of elements and
        bonds.

        `distance` has, for whole-number descriptors, the total variation distance between the two histograms,
        0 (equal) to 1 (disjoint).

    Raises:
        GeneratorError: either list is empty, or a training SMILES cannot be read.
    """
    if not sampled or not training:
        raise GeneratorError("A summary compares two sets; give at least one SMILES of each.")
    reference = parse(training)
    if len(reference) < len(training):
        raise GeneratorError(
            f"{len(training) - len(reference)} training SMILES are not readable as connected molecules; "
            "leave them out."
        )
    molecules = parse(sampled)
    keys = [Chem.MolToSmiles(molecule, isomericSmiles=False) for molecule in molecules]
    unique = set(keys)
    if novel_against is None:
        novel_against = (Chem.MolToSmiles(molecule, isomericSmiles=False) for molecule in reference)
    novel = unique.difference(novel_against)
    return {
        "count": len(sampled),
        "valid": len(molecules) / len(sampled),
        "unique": len(unique) / max(1, len(molecules)),
        "novel": len(novel) / max(1, len(unique)),
        "valid_unique_novel": len(novel) / len(sampled),
        "means": _means(molecules, reference) if molecules else {},
        "distance": {
            name: _total_variation(map(describe, molecules), map(describe, reference))
            for name, describe in DESCRIPTORS.items()
        }
        if molecules
        else {},
    }


def parse(smiles: Sequence[str]) -> list[Chem.Mol]:
    """The molecules that are sanitisable, one fragment and not empty."""
    with rdBase.BlockLogs():
        parsed = (Chem.MolFromSmiles(text) for text in smiles if len(text) <= _LONGEST and text.isascii())
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


DESCRIPTORS: dict[str, Callable[[Chem.Mol], int]] = {
    "heavy_atoms": Chem.Mol.GetNumHeavyAtoms,
    "rings": rdMolDescriptors.CalcNumRings,
    "smallest_ring": _smallest_ring,
    "unsaturation": _unsaturation,
}


def _means(sampled: list[Chem.Mol], reference: list[Chem.Mol]) -> dict[str, tuple[float, float]]:
    means = {
        name: (sum(map(describe, sampled)) / len(sampled), sum(map(describe, reference)) / len(reference))
        for name, describe in DESCRIPTORS.items()
    }
    means["sa_score"] = mean(map(sa_score, sampled)), mean(map(sa_score, reference))
    for count in (elements, bonds):
        ours, theirs = count(sampled), count(reference)
        for name in sorted(ours.keys() | theirs.keys()):
            shares = (ours[name] / max(1, ours.total()), theirs[name] / max(1, theirs.total()))
            means[f"share_{name}"] = shares
    return means


def elements(molecules: Iterable[Chem.Mol]) -> Counter[str]:
    """Heavy atoms by symbol."""
    return Counter(atom.GetSymbol() for molecule in molecules for atom in molecule.GetAtoms())


def bonds(molecules: Iterable[Chem.Mol]) -> Counter[str]:
    """Bonds between heavy atoms by kind: single, double, triple, aromatic."""
    return Counter(str(bond.GetBondType()).lower() for molecule in molecules for bond in molecule.GetBonds())


def sa_score(molecule: Chem.Mol) -> float:
    """Synthetic accessibility, by RDKit's own implementation: 1 (easy) to 10."""
    return float(_sa_scorer().calculateScore(molecule))


@cache
def _sa_scorer() -> Any:
    """RDKit ships it as a script beside the package."""
    path = Path(RDConfig.RDContribDir) / "SA_Score" / "sascorer.py"
    loader = SourceFileLoader("rdkit_sascorer", str(path))
    module = ModuleType(loader.name)
    module.__file__ = str(path)  # beside which it looks for its data
    loader.exec_module(module)
    return module


def _total_variation(first: Iterable[int], second: Iterable[int]) -> float:
    a, b = Counter(first), Counter(second)
    return 0.5 * sum(abs(a[value] / a.total() - b[value] / b.total()) for value in a.keys() | b.keys())
