"""The way from SMILES to dense graphs and back.

Layout of a graph of at most N heavy atoms, everywhere in this package (hydrogens are implicit):

- `nodes`  `(..., N)` int: 0 for "no atom", k for `elements[k - 1]`; real atoms come first;
- `bonds`  `(..., N, N)` int: Kekulé bond order 0, 1, 2 or 3; symmetric, zero diagonal.

This module needs RDKit and NumPy, not torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from rdkit import Chem, rdBase

from generator.errors import GeneratorError
from generator.settings import GeneratorSettings

BOND_TYPES = {1: Chem.BondType.SINGLE, 2: Chem.BondType.DOUBLE, 3: Chem.BondType.TRIPLE}
_BONDS = {*BOND_TYPES.values(), Chem.BondType.AROMATIC}
MIN_MOLECULES = 20
_SHOWN = 3


@dataclass(frozen=True)
class GraphSet:
    """M molecules as dense graphs.

    Attributes:
    nodes: `(M, N)`, as in the module's docstring.
    bonds: `(M, N, N)`, likewise.
    sizes: `(M,)` heavy atoms.
    weights: `(M,)` relative sampling weights that sum to 1.
    smiles: canonical and without stereo.
    molecules: RDKit's, aromaticity perceived.
    """

    nodes: np.ndarray
    bonds: np.ndarray
    sizes: np.ndarray
    weights: np.ndarray
    smiles: tuple[str, ...]
    molecules: tuple[Chem.Mol, ...]


def read_training_set(
    smiles: Sequence[str], settings: GeneratorSettings, weights: Sequence[float] | None = None
) -> GraphSet:
    """Check and convert a training set.

    Stereochemistry is dropped. Repeated molecules are merged and their weights added.

    Args:
        smiles: at least 20 different molecules of positive weight.
        settings: elements and largest size.
        weights: relative sampling weights, one a SMILES; equal by default.

    Raises:
        GeneratorError: SMILES that RDKit cannot read; charged, fragmented, radical or isotope-labelled
            molecules; elements outside the alphabet; too many heavy atoms; too few molecules; bad weights.
    """
    if isinstance(smiles, str):
        raise GeneratorError("The training set is one text; give a list of SMILES.")
    masses = _checked_weights(len(smiles), weights)
    parsed = _parse(smiles)
    _refuse(smiles, parsed, settings)
    merged: dict[str, float] = {}
    kept: dict[str, Chem.Mol] = {}
    for molecule, mass in zip(parsed, masses, strict=True):
        if mass == 0.0:
            continue
        key = Chem.MolToSmiles(molecule)
        merged[key] = merged.get(key, 0.0) + mass
        kept[key] = molecule
    if len(kept) < MIN_MOLECULES:
        raise GeneratorError(
            f"Only {len(kept)} different molecules with a positive weight can be learned from; "
            f"give at least {MIN_MOLECULES}."
        )
    molecules = tuple(kept.values())
    dense = [to_arrays(molecule, settings) for molecule in molecules]
    nodes = np.stack([pair[0] for pair in dense])
    share = np.array(list(merged.values()))
    bonds = np.stack([pair[1] for pair in dense])
    return GraphSet(nodes, bonds, (nodes > 0).sum(axis=1), share / share.sum(), tuple(kept), molecules)


def learnable(smiles: Iterable[str], settings: GeneratorSettings) -> list[str]:
    """The molecules that `read_training_set` does not refuse."""
    kept = []
    for one in smiles:
        try:
            _refuse([one], _parse([one]), settings)
        except GeneratorError:
            continue
        kept.append(one)
    return kept


def _checked_weights(count: int, weights: Sequence[float] | None) -> np.ndarray:
    if weights is None:
        return np.ones(count)
    masses = np.asarray(weights, dtype=float)
    if masses.shape != (count,):
        raise GeneratorError(
            f"There are {masses.size} weights for {count} molecules; give one weight per molecule."
        )
    if not np.isfinite(masses).all() or (masses < 0).any():
        bad = int(np.flatnonzero(~(np.isfinite(masses) & (masses >= 0)))[0])
        raise GeneratorError(f"Weight {bad} is {masses[bad]}; give finite weights of 0 or more.")
    return masses


def _parse(smiles: Sequence[str]) -> list[Chem.Mol]:
    parsed: list[Chem.Mol] = []
    bad: list[str] = []
    with rdBase.BlockLogs():
        for text in smiles:
            molecule = Chem.MolFromSmiles(text) if isinstance(text, str) else None
            if molecule is None or molecule.GetNumAtoms() == 0:
                bad.append(str(text))
                continue
            Chem.RemoveStereochemistry(molecule)
            parsed.append(molecule)
    if bad:
        raise GeneratorError(
            f"{len(bad)} SMILES cannot be read ({_first(bad)}); give SMILES that RDKit can parse."
        )
    return parsed


def _refuse(smiles: Sequence[str], parsed: Sequence[Chem.Mol], settings: GeneratorSettings) -> None:
    """Raise for the first kind of molecule that the graphs cannot hold."""
    allowed = set(settings.elements)
    atoms = [list(molecule.GetAtoms()) for molecule in parsed]
    foreign = sorted({a.GetSymbol() for row in atoms for a in row} - allowed)
    checks = (
        (
            [any(a.GetFormalCharge() for a in row) for row in atoms],
            "formal charges; give neutral molecules",
        ),
        (
            [any(a.GetNumRadicalElectrons() or a.GetIsotope() for a in row) for row in atoms],
            "radical centres or isotope labels; give closed-shell molecules without isotopes",
        ),
        (
            [len(Chem.GetMolFrags(molecule)) > 1 for molecule in parsed],
            "more than one fragment; give one connected molecule per SMILES",
        ),
        (
            [any(a.GetSymbol() not in allowed for a in row) for row in atoms],
            f"elements outside the alphabet {', '.join(settings.elements)} (namely {', '.join(foreign)}); "
            "leave them out or add the elements to the settings",
        ),
        (
            [len(row) > settings.max_atoms for row in atoms],
            f"more than {settings.max_atoms} heavy atoms (at most {max(map(len, atoms), default=0)}); "
            "leave them out or raise max_atoms",
        ),
        (
            [any(b.GetBondType() not in _BONDS for b in m.GetBonds()) for m in parsed],
            "dative or other bonds; give molecules with single, double, triple and aromatic bonds only",
        ),
    )
    for flags, what in checks:
        if any(flags):
            shown = [text for text, flag in zip(smiles, flags, strict=True) if flag]
            verb = "has" if len(shown) == 1 else "have"
            noun = "molecule" if len(shown) == 1 else "molecules"
            head, _, remedy = what.partition("; ")
            raise GeneratorError(f"{len(shown)} {noun} {verb} {head} ({_first(shown)}); {remedy}.")


def _first(texts: Sequence[str]) -> str:
    shown = ", ".join(repr(text) for text in texts[:_SHOWN])
    return shown + (", …" if len(texts) > _SHOWN else "")


def to_arrays(molecule: Chem.Mol, settings: GeneratorSettings) -> tuple[np.ndarray, np.ndarray]:
    """Dense graph of one molecule: nodes `(N,)` and Kekulé bonds `(N, N)`, both int8."""
    kekule = Chem.Mol(molecule)
    Chem.Kekulize(kekule, clearAromaticFlags=True)
    size = settings.max_atoms
    nodes = np.zeros(size, dtype=np.int8)
    bonds = np.zeros((size, size), dtype=np.int8)
    for atom in kekule.GetAtoms():
        nodes[atom.GetIdx()] = 1 + settings.elements.index(atom.GetSymbol())
    for bond in kekule.GetBonds():
        i, j = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        bonds[i, j] = bonds[j, i] = round(bond.GetBondTypeAsDouble())
    return nodes, bonds


def to_molecule(nodes: np.ndarray, bonds: np.ndarray, elements: Sequence[str]) -> Chem.Mol:
    """Sanitised RDKit molecule of one dense graph; `MolSanitizeException` where a valence is broken."""
    molecule = Chem.RWMol()
    kinds, orders = nodes.tolist(), bonds.tolist()
    count = len(kinds) - kinds.count(0)
    for kind in kinds[:count]:
        molecule.AddAtom(_atom(elements[kind - 1]))
    for i in range(count):
        for j in range(i + 1, count):
            if orders[i][j]:
                molecule.AddBond(i, j, BOND_TYPES[orders[i][j]])
    Chem.SanitizeMol(molecule)
    return molecule


@cache
def _atom(symbol: str) -> Chem.Atom:
    return Chem.Atom(symbol)


def largest_valences(graphs: GraphSet, elements: Sequence[str]) -> tuple[int, ...]:
    """Valence that each element may use: the largest seen (hydrogens counted), 0 for an element never seen.

    Learned rather than taken from a table, so that sulfur is hypervalent only after sulfones were seen.
    """
    seen = dict.fromkeys(elements, 0)
    for molecule in graphs.molecules:
        for atom in molecule.GetAtoms():
            seen[atom.GetSymbol()] = max(seen[atom.GetSymbol()], atom.GetTotalValence())
    return tuple(seen[symbol] for symbol in elements)
