"""Geometries to start from, other than the one given: of the same molecule and the same stereoisomer."""

from __future__ import annotations

from typing import Any

import numpy as np

from alkit.errors import LabelError
from alkit.molecules.bonds import atom_order
from alkit.molecules.conformers import CONFORMERS, molecule_seed
from alkit.molecules.identity import same_stereo, shaped
from alkit.molecules.molecule import Molecule, with_hydrogens

_MMFF_ITERATIONS = 2000
# Conformers closer than this are one: heavy atoms and polar hydrogens, best superposition, Angstrom.
_SAME = 0.3
_PER_CONFORMER = 4  # embedded for each one asked for
_BY_CHANCE = 3
# Tries of each conformer. A stereoisomer that ETKDG cannot make it does not make in ten times as many either.
_EMBED_TRIES = 20


def embedded(molecule: Molecule, *, seed: int, random: bool = False) -> Molecule:
    """``molecule`` embedded again: the lowest of ten MMFF94 conformers.

    Stereo that the SMILES leaves open stays that of the given geometry, where it has the bonds of the SMILES.

    Args:
        molecule: with its geometry, Å.
        seed: combined with the molecule's name.
        random: distance geometry starts from random coordinates.

    Raises:
        LabelError: "embed_failed".
    """
    mol, order = _with_stereo(molecule)
    ranked = _ranked(mol, molecule.smiles, seed, CONFORMERS, random)
    return _molecule(molecule, mol, order, ranked[0])


def conformers(molecule: Molecule, count: int) -> list[Molecule]:
    """``molecule`` as it is, then up to ``count - 1`` other conformers, lowest MMFF94 energy first.

    It alone where ETKDG makes no other.
    """
    if count == 1:
        return [molecule]
    from rdkit.Chem import rdMolAlign

    mol, order = _with_stereo(molecule)
    own = list(type(mol)(mol).GetConformers())
    try:
        ranked = _ranked(mol, molecule.smiles, 0, max(CONFORMERS, _PER_CONFORMER * count), False)
    except LabelError:
        return [molecule]
    ids = [mol.AddConformer(conformer, assignId=True) for conformer in own]
    core = _without_nonpolar_hydrogens(mol)
    # The mirror image of a conformer of an achiral molecule is as good as itself.
    achiral = not any(int(atom.GetChiralTag()) for atom in mol.GetAtoms())
    ids += [_mirrored(core, j) for j in ids if achiral]
    kept: list[int] = []
    for i in ranked:
        if len(kept) == count - 1:
            break
        if all(rdMolAlign.GetBestRMS(core, core, i, j) > _SAME for j in ids):
            kept.append(i)
            ids += [i, _mirrored(core, i)] if achiral else [i]
    return [molecule, *(_molecule(molecule, mol, order, i) for i in kept)]


def mmff_relaxed(molecule: Molecule) -> Molecule:
    """``molecule`` relaxed from where it is with MMFF94.

    Raises:
        LabelError: "mmff_failed".
    """
    from rdkit import rdBase
    from rdkit.Chem import rdForceFieldHelpers

    mol, order = _with_stereo(molecule)
    if not mol.GetNumConformers():
        raise LabelError("mmff_failed", f"{molecule.smiles}: the geometry lacks the bonds to start from")
    with rdBase.BlockLogs():
        status = rdForceFieldHelpers.MMFFOptimizeMolecule(mol, maxIters=_MMFF_ITERATIONS)
    if status != 0:
        raise LabelError("mmff_failed", f"MMFF94 did not relax the start of {molecule.smiles}")
    return _molecule(molecule, mol, order, mol.GetConformer().GetId())


def _with_stereo(molecule: Molecule) -> tuple[Any, np.ndarray | None]:
    """The RDKit molecule at the geometry given, with its stereo, and `atom_order`; or bare and None."""
    order = atom_order(molecule.smiles, molecule.numbers, molecule.positions)
    mol = with_hydrogens(molecule.smiles)
    return (mol, None) if order is None else (shaped(mol, molecule.positions[order]), order)


def _ranked(mol: Any, smiles: str, seed: int, count: int, random: bool) -> list[int]:
    """Embed ``count`` conformers into ``mol`` in place of its own; their ids, lowest MMFF94 energy first."""
    from rdkit.Chem import rdDistGeom

    params: Any = rdDistGeom.ETKDGv3()
    # Not the seed of `embed`, whose campaign may have the same number.
    params.randomSeed = molecule_seed(seed, f"another start of {smiles}")
    params.useRandomCoords = random
    params.maxIterations = _EMBED_TRIES
    # ETKDG makes no stereoisomer of some fused small rings on demand, but each of them by chance.
    for enforce, times in ((True, 1), (False, _BY_CHANCE)):
        params.enforceChirality = enforce
        ranks = [
            (energy, i)
            for energy, i in _embed(mol, times * count, params)
            if same_stereo(mol, mol.GetConformer(i).GetPositions())
        ]
        if ranks:
            return [i for _, i in sorted(ranks)]
    raise LabelError("embed_failed", f"ETKDG found no other geometry for {smiles}")


def _embed(mol: Any, count: int, params: Any) -> list[tuple[float, int]]:
    """Conformers relaxed with MMFF94, where it has the parameters: energy (0 where not) and id."""
    from rdkit import rdBase
    from rdkit.Chem import rdDistGeom, rdForceFieldHelpers

    with rdBase.BlockLogs():
        ids = list(rdDistGeom.EmbedMultipleConfs(mol, count, params))
        if not ids or not rdForceFieldHelpers.MMFFHasAllMoleculeParams(mol):
            return [(0.0, i) for i in ids]
        ends = rdForceFieldHelpers.MMFFOptimizeMoleculeConfs(mol, maxIters=_MMFF_ITERATIONS)
    return [(energy, i) for (_, energy), i in zip(ends, ids, strict=True)]


def _without_nonpolar_hydrogens(mol: Any) -> Any:
    from rdkit import Chem

    core = Chem.RWMol(mol)
    core.BeginBatchEdit()
    for atom in mol.GetAtoms():
        if atom.GetAtomicNum() == 1 and any(near.GetAtomicNum() == 6 for near in atom.GetNeighbors()):
            core.RemoveAtom(atom.GetIdx())
    core.CommitBatchEdit()
    return core.GetMol()


def _mirrored(mol: Any, conformer: int) -> int:
    """Add the mirror image of a conformer; its id."""
    from rdkit import Chem

    image = Chem.Conformer(mol.GetConformer(conformer))
    image.SetPositions(image.GetPositions() * [1.0, 1.0, -1.0])
    return int(mol.AddConformer(image, assignId=True))


def _molecule(molecule: Molecule, mol: Any, order: np.ndarray | None, conformer: int) -> Molecule:
    """Conformer ``conformer`` of ``mol``, its atoms in the order of ``given`` where that is known."""
    positions = mol.GetConformer(conformer).GetPositions()
    numbers = np.array([atom.GetAtomicNum() for atom in mol.GetAtoms()])
    if order is not None:
        back = np.argsort(order)
        numbers, positions = numbers[back], positions[back]
    return Molecule(molecule.smiles, numbers, positions, "mmff")
