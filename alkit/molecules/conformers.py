"""Conformers of a SMILES: ETKDG distance geometry and MMFF94, the same for the same seed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from alkit.config.words import Embedding
from alkit.errors import DataError, LabelError
from alkit.molecules.bonds import same_bond_graph
from alkit.molecules.molecule import Molecule, canonical, with_hydrogens

EMBEDDABLE = get_args(Embedding)
_EMBED_TRIES = 4
_EMBED_ITERATIONS = 20  # for a conformer, before another way is tried
_BOUNDS_TRIES = 3  # for each conformer
_MMFF_ITERATIONS = 2000
_SAME = 1e-3  # kcal/mol: minima that are no farther apart are one
# Spread of relaxed GFN2-xTB energies over seeds, 60 molecules of six and seven heavy atoms: 1.03 kcal/mol
# from one conformer, 0.43 from the lowest of 5, 0.27 from the lowest of 10 (docs/decisions/008).
CONFORMERS = 10


def molecule_seed(seed: int, smiles: str) -> int:
    """A seed in [0, 2^31) made of a campaign's seed and the molecule's name alone.

    The geometry of a molecule thus does not depend on the order in which molecules were met, nor on
    Python's per-process hash salt.
    """
    digest = hashlib.sha256(f"{int(seed)}\n{smiles}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


@dataclass(frozen=True)
class Unplaced:
    """A molecule whose geometry is made where it is needed, as `embed` makes it."""

    smiles: str
    seed: int = 0

    def place(self) -> Molecule:
        """The molecule with its geometry. Raises as `embed` does."""
        return embed(self.smiles, seed=self.seed)


def embed(smiles: str, *, geometry: str = "mmff", seed: int = 0, conformers: int = CONFORMERS) -> Molecule:
    """Make a 3D geometry (Å) for a SMILES; the same one for the same seed.

    What came before does not matter. Ions and radicals have one too. Cages that ETKDG cannot embed are placed
    by distance bounds and MMFF94. Stereo centres that the SMILES leaves open are settled by the seed. Atoms
    come in the order of RDKit's AddHs: as in the canonical SMILES, then hydrogens.

    Args:
        smiles: canonical or not.
        geometry: "etkdg" is RDKit's ETKDGv3 distance geometry (https://doi.org/10.1021/acs.jcim.0c00025).
            "mmff" relaxes ``conformers`` of them with MMFF94
            (https://doi.org/10.1002/(SICI)1096-987X(199604)17:5/6<490::AID-JCC1>3.0.CO;2-P) and takes the
            lowest. A molecule without MMFF94 parameters (H2, CO, HCl, boron …) stays as ETKDG placed it, and
            its ``geometry`` says so.
        seed: of the campaign; the molecule's own is derived from it.
        conformers: number of them for "mmff".

    Raises:
        DataError: a SMILES that :func:`canonical` refuses, or a geometry that cannot be computed here.
        LabelError: "embed_failed" or "mmff_failed".
    """
    if geometry not in EMBEDDABLE:
        raise DataError(
            f"geometry {geometry!r} cannot be made from a SMILES; use one of {', '.join(EMBEDDABLE)}"
        )
    from rdkit.Chem import rdForceFieldHelpers

    key = canonical(smiles, ions=True)
    mol = with_hydrogens(key)
    if geometry == "mmff" and not rdForceFieldHelpers.MMFFHasAllMoleculeParams(mol):
        geometry = "etkdg"
    ids = _embed(mol, key, molecule_seed(seed, key), conformers if geometry == "mmff" else 1)
    best = min(_relaxed_by_mmff(mol, key))[1] if geometry == "mmff" else ids[0]
    numbers = np.array([atom.GetAtomicNum() for atom in mol.GetAtoms()])
    return Molecule(key, numbers, mol.GetConformer(best).GetPositions(), geometry)


def minima(smiles: str, *, seed: int = 0, conformers: int = CONFORMERS) -> list[Molecule]:
    """The distinct MMFF94 minima of as many ETKDG conformers, the lowest first; the same for the same seed.

    The first is what `embed` gives, and the only one where MMFF94 has no parameters. Raises as `embed` does.
    """
    from rdkit.Chem import rdForceFieldHelpers

    key = canonical(smiles, ions=True)
    mol = with_hydrogens(key)
    if not rdForceFieldHelpers.MMFFHasAllMoleculeParams(mol):
        return [embed(key, seed=seed, conformers=conformers)]
    _embed(mol, key, molecule_seed(seed, key), conformers)
    numbers = np.array([atom.GetAtomicNum() for atom in mol.GetAtoms()])
    kept: list[tuple[float, int]] = []
    for energy, i in sorted(_relaxed_by_mmff(mol, key)):
        if not kept or energy - kept[-1][0] > _SAME:
            kept.append((energy, i))
    return [Molecule(key, numbers, mol.GetConformer(i).GetPositions(), "mmff") for _, i in kept]


def _embed(mol: Any, smiles: str, seed: int, conformers: int) -> list[int]:
    """Up to that many conformers, at least one; their ids."""
    ids = (
        _by_etkdg(mol, seed, conformers, _EMBED_ITERATIONS)
        or _from_bounds(mol, smiles, seed, conformers)
        or _by_etkdg(mol, seed, conformers)
    )
    if not ids:
        raise LabelError("embed_failed", f"ETKDG found no geometry for {smiles} in {_EMBED_TRIES} tries")
    return ids


def _by_etkdg(mol: Any, seed: int, conformers: int, iterations: int = 0) -> list[int]:
    """Conformers by ETKDG, or none; ``iterations`` for each of them, RDKit's own number by default.

    Few are enough: of 250 molecules of QM9, 249 have the same geometry with 20. Cages of small rings, which
    ETKDG does not find at all, take it seconds otherwise, and half of the time of all.
    """
    from rdkit import rdBase
    from rdkit.Chem import rdDistGeom

    for attempt in range(_EMBED_TRIES):
        params: Any = rdDistGeom.ETKDGv3()
        params.randomSeed = (seed + attempt) % 2**31
        params.maxIterations = iterations
        # Random starting coordinates are slower and less tidy, but find cages that the default misses.
        params.useRandomCoords = attempt >= _EMBED_TRIES // 2
        with rdBase.BlockLogs():
            if ids := list(rdDistGeom.EmbedMultipleConfs(mol, conformers, params)):
                return ids
    return []


def _from_bounds(mol: Any, smiles: str, seed: int, conformers: int) -> list[int]:
    """Conformers from bounds on distances alone, relaxed by MMFF94, that have the bonds of ``smiles``; ids.

    ETKDG asks that the neighbours of an atom surround it, as they do not in cages of small rings. In 2,500
    molecules of QM9 it finds no geometry for 21, and this one for all of them. Stereo is left to chance, so
    nothing comes of a SMILES that states any.
    """
    from rdkit import Chem, rdBase
    from rdkit.Chem import rdDistGeom, rdForceFieldHelpers
    from rdkit.DistanceGeometry import DistGeom

    mol.RemoveAllConformers()
    if any(mark in smiles for mark in "@/\\") or not rdForceFieldHelpers.MMFFHasAllMoleculeParams(mol):
        return []
    bounds = rdDistGeom.GetMoleculeBoundsMatrix(mol)
    DistGeom.DoTriangleSmoothing(bounds)
    numbers, kept = [atom.GetAtomicNum() for atom in mol.GetAtoms()], []
    for attempt in range(_BOUNDS_TRIES * conformers):
        scratch, shape = Chem.Mol(mol), Chem.Conformer(len(numbers))
        with rdBase.BlockLogs():
            try:
                places = DistGeom.EmbedBoundsMatrix(bounds, randomSeed=(seed + attempt) % 2**31)
            except ValueError:
                continue
            shape.SetPositions(np.array(places))
            scratch.AddConformer(shape)
            rdForceFieldHelpers.MMFFOptimizeMoleculeConfs(scratch, maxIters=_MMFF_ITERATIONS)
        if same_bond_graph(smiles, np.array(numbers), scratch.GetConformer().GetPositions()):
            kept.append(mol.AddConformer(scratch.GetConformer(), assignId=True))
        if len(kept) == conformers:
            break
    return kept


def _relaxed_by_mmff(mol: Any, smiles: str) -> list[tuple[float, int]]:
    """Relax all conformers; energies (kcal/mol) and ids of those that converged, at least one."""
    from rdkit import rdBase
    from rdkit.Chem import rdForceFieldHelpers

    with rdBase.BlockLogs():
        ends = rdForceFieldHelpers.MMFFOptimizeMoleculeConfs(mol, maxIters=_MMFF_ITERATIONS)
    ids = [conformer.GetId() for conformer in mol.GetConformers()]
    converged = [(energy, i) for (status, energy), i in zip(ends, ids, strict=True) if status == 0]
    if not converged:
        raise LabelError("mmff_failed", f"MMFF94 did not converge for {smiles} in {_MMFF_ITERATIONS} steps")
    return converged
