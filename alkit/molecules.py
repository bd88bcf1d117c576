"""What a molecule is to alkit: its name, its atoms and where they are.

Identity is the canonical isomeric SMILES. The InChI is not used as a key, because it merges tautomers, and
tautomers differ in energy by more than the accuracy alkit aims at. Lengths are Angstrom.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from alkit.errors import DataError, LabelError

GEOMETRIES = ("etkdg", "mmff", "xtb", "dataset", "given")
EMBEDDABLE = ("etkdg", "mmff")

# Distances over the sum of the covalent radii. With atoms in known order a bond counts as broken above
# STRETCHED and a contact as a new bond below TOUCHING: in between, strained cages have both bonds and
# contacts (1.6 to 1.9 Angstrom for two carbons), and no single threshold tells them apart. Where the order is
# unknown a single threshold must do, and TOUCHING is the one that fits best: of 6,000 QM9 geometries it
# misjudges 1, and 1.3, the usual choice, 316.
STRETCHED = 1.30
TOUCHING = 1.15
# Two of these (boron, silicon) across a ring of four, as in cyclodisiloxane, are no bond, although as close
# as one: ratios of 1.05 and 1.08 at Wiberg orders of 0.16 and 0.
ACROSS = (5, 14)

LONGEST_SMILES = 2000
"""Characters; RDKit overflows the stack, which ends the process, as it writes a chain of 50,000 atoms."""

_EMBED_TRIES = 4
_BOUNDS_TRIES = 3  # for each conformer
_MOST_ORDERS = 1000
_MMFF_ITERATIONS = 2000
# Spread of relaxed GFN2-xTB energies over seeds, 60 molecules of six and seven heavy atoms: 1.03 kcal/mol
# from one conformer, 0.43 from the lowest of 5, 0.27 from the lowest of 10 (docs/decisions/008).
CONFORMERS = 10


@dataclass(frozen=True, eq=False)
class Molecule:
    """One molecule with one geometry.

    ``smiles``: canonical isomeric SMILES (see :func:`canonical`); ``numbers``: ``(n,)`` atomic numbers,
    hydrogens included; ``positions``: ``(n, 3)`` float64, Angstrom; ``geometry``: where the positions come
    from, one of ``GEOMETRIES``. Raises `DataError` for arrays that do not fit together.
    """

    smiles: str
    numbers: np.ndarray
    positions: np.ndarray
    geometry: str

    def __post_init__(self) -> None:
        if self.geometry not in GEOMETRIES:
            raise DataError(
                f"{self.smiles}: unknown geometry {self.geometry!r}; use one of {', '.join(GEOMETRIES)}"
            )
        numbers = np.array(self.numbers, dtype=np.int64)
        positions = np.array(self.positions, dtype=np.float64)
        if numbers.ndim != 1 or not len(numbers) or positions.shape != (len(numbers), 3):
            raise DataError(
                f"{self.smiles}: atomic numbers of shape {numbers.shape} do not fit positions of shape "
                f"{positions.shape}; they must be (n,) and (n, 3)"
            )
        if not np.isfinite(positions).all():
            raise DataError(f"{self.smiles}: a position is not a finite number")
        object.__setattr__(self, "numbers", numbers)
        object.__setattr__(self, "positions", positions)


def canonical(smiles: str) -> str:
    """The canonical isomeric SMILES of a neutral closed-shell molecule: alkit's key.

    Raises `DataError`, with the reason, for text that is empty or no SMILES, and for what alkit's energies do
    not cover: several fragments, a net charge, unpaired electrons, isotopes, wildcard atoms.
    """
    from rdkit import Chem

    mol = _parse(smiles)
    # Writing and reading once more settles the rare string whose first canonical form is not its own
    # canonical form (stereo perceived only in the written order).
    return Chem.MolToSmiles(_parse(Chem.MolToSmiles(mol)))


def molecule_seed(seed: int, smiles: str) -> int:
    """A seed in [0, 2^31) made of a campaign's seed and the molecule's name alone.

    The geometry of a molecule thus does not depend on the order in which molecules were met, nor on
    Python's per-process hash salt.
    """
    digest = hashlib.sha256(f"{int(seed)}\n{smiles}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def embed(smiles: str, *, geometry: str = "mmff", seed: int = 0, conformers: int = CONFORMERS) -> Molecule:
    """A 3D geometry for ``smiles`` (canonical or not): the same one for the same seed, whatever came before.

    ``geometry``: "etkdg" is RDKit's ETKDGv3 distance geometry (doi:10.1021/acs.jcim.0c00025); "mmff" relaxes
    ``conformers`` of them with MMFF94 (doi:10.1002/(SICI)1096-987X(199604)17:5/6<490::AID-JCC1>3.0.CO;2-P)
    and takes the lowest. Cages that ETKDG cannot embed are placed by distance bounds and MMFF94. ``seed`` is
    the campaign's seed; the molecule's own is derived from it. Stereo centres that the SMILES leaves open are
    settled by the seed. Atoms come in the order of RDKit's AddHs: as in the canonical SMILES, then hydrogens.

    Raises `DataError` for a SMILES that :func:`canonical` refuses or a geometry that cannot be computed here,
    and `LabelError` with reason "embed_failed" or "mmff_failed".
    """
    if geometry not in EMBEDDABLE:
        raise DataError(
            f"geometry {geometry!r} cannot be made from a SMILES; use one of {', '.join(EMBEDDABLE)}"
        )
    key = canonical(smiles)
    mol = with_hydrogens(key)
    ids = _embed(mol, key, molecule_seed(seed, key), conformers if geometry == "mmff" else 1)
    best = _lowest_mmff(mol, key) if geometry == "mmff" else ids[0]
    numbers = np.array([atom.GetAtomicNum() for atom in mol.GetAtoms()])
    return Molecule(key, numbers, mol.GetConformer(best).GetPositions(), geometry)


def flat(smiles: str) -> str:
    """Canonical SMILES without stereo: what 2D mode sees of a molecule, and what its stereoisomers share."""
    from rdkit import Chem

    return Chem.MolToSmiles(_parse(smiles), isomericSmiles=False)


def with_hydrogens(smiles: str) -> Any:
    """The RDKit molecule of ``smiles`` with explicit hydrogens; its atom order is that of :func:`embed`."""
    from rdkit import Chem

    return Chem.AddHs(_parse(smiles))


def bond_ratios(numbers: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """``(n, n)``: distances over sums of covalent radii (doi:10.1039/b801115j); diagonal infinite."""
    from rdkit.Chem import GetPeriodicTable

    table = GetPeriodicTable()
    radii = np.array([table.GetRcovalent(int(z)) for z in numbers])
    distances = np.linalg.norm(positions[:, None] - positions[None], axis=-1)
    np.fill_diagonal(distances, np.inf)
    return distances / (radii[:, None] + radii)


def same_bond_graph(smiles: str, numbers: np.ndarray, positions: np.ndarray) -> bool:
    """Whether a geometry still has the bonds of ``smiles``; bond orders and stereo are not looked at.

    ``numbers``: ``(n,)``; ``positions``: ``(n, 3)`` Angstrom, atoms in any order.
    """
    return atom_order(smiles, numbers, positions) is not None


def atom_order(smiles: str, numbers: np.ndarray, positions: np.ndarray) -> np.ndarray | None:
    """``(n,)``: which atom of a geometry is each atom of ``smiles``, in the order of :func:`embed`.

    None where the geometry does not have the bonds of ``smiles``. In the order of :func:`embed` each bond is
    judged by itself; in another order the bonds perceived from the distances must form the same graph.
    ``numbers``: ``(n,)``; ``positions``: ``(n, 3)`` Angstrom.
    """
    numbers, positions = np.asarray(numbers), np.asarray(positions)
    mol = with_hydrogens(smiles)
    ratios = bond_ratios(numbers, positions)
    expected = [atom.GetAtomicNum() for atom in mol.GetAtoms()]
    if not np.array_equal(np.sort(expected), np.sort(numbers)):
        return None
    wanted = [(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()) for bond in mol.GetBonds()]
    if np.array_equal(expected, numbers):
        bonded = np.zeros(ratios.shape, dtype=bool)
        for i, j in wanted:
            bonded[i, j] = bonded[j, i] = True
        apart = ~bonded & ~_across(numbers, bonded)
        if (ratios[bonded] < STRETCHED).all() and (ratios[apart] > TOUCHING).all():
            return np.arange(len(numbers))
    close = ratios < TOUCHING
    for touching in (close, close & ~_across(numbers, close)):
        pairs = np.argwhere(np.triu(touching, k=1))
        # With as many atoms and bonds on both sides, "is a part of" means "is the same as".
        if len(pairs) == len(wanted):
            found = _bare_graph(numbers, pairs).GetSubstructMatch(_bare_graph(expected, wanted))
            if found:
                return np.array(found)
    return None


def same_bonds(mol: Any) -> Iterator[np.ndarray]:
    """Orders ``(n,)`` of the atoms of the RDKit molecule ``mol`` in which it has the same bonds between the
    same elements, but bond orders, charges or stated stereo in other places: one for each way to place them.

    At most 1,000 are looked at. ``mol`` has its hydrogens; those of one atom are not exchanged.
    """
    from rdkit import Chem

    atoms = list(mol.GetAtoms())
    own: dict[int, list[int]] = {}
    for atom in atoms:
        if atom.GetAtomicNum() == 1 and atom.GetDegree() == 1 and len(atoms) > 2:
            own.setdefault(atom.GetNeighbors()[0].GetIdx(), []).append(atom.GetIdx())
    left = {i for ends in own.values() for i in ends}
    kept = [i for i in range(len(atoms)) if i not in left]
    place = {i: k for k, i in enumerate(kept)}
    marks = np.zeros((len(kept), len(kept)))
    pairs = []
    for bond in mol.GetBonds():
        if bond.GetBeginAtomIdx() in place and bond.GetEndAtomIdx() in place:
            i, j = pair = place[bond.GetBeginAtomIdx()], place[bond.GetEndAtomIdx()]
            stated = bond.GetStereo() != Chem.BondStereo.STEREONONE
            marks[i, j] = marks[j, i] = bond.GetBondTypeAsDouble() + 10 * stated
            pairs.append(pair)
    for k, i in enumerate(kept):
        stated = atoms[i].GetChiralTag() != Chem.ChiralType.CHI_UNSPECIFIED
        marks[k, k] = atoms[i].GetFormalCharge() + 10 * stated
    graph = _bare_graph([atoms[i].GetAtomicNum() for i in kept], pairs)
    for k, i in enumerate(kept):
        graph.GetAtomWithIdx(k).SetIsotope(1 + len(own.get(i, ())))  # an isotope of 0 would match any
    seen = {marks.tobytes()}
    for match in graph.GetSubstructMatches(graph, uniquify=False, maxMatches=_MOST_ORDERS):
        moved = marks[np.ix_(match, match)]
        if moved.tobytes() not in seen:
            seen.add(moved.tobytes())
            order = np.zeros(len(atoms), dtype=int)
            for k, i in enumerate(kept):
                target = kept[match[k]]
                order[[i, *own.get(i, ())]] = [target, *own.get(target, ())]
            yield order


def _across(numbers: np.ndarray, bonded: np.ndarray) -> np.ndarray:
    """``(n, n)``: pairs across a ring of four that may come close without a bond."""
    wide = np.isin(numbers, ACROSS)
    return np.outer(wide, wide) & (bonded.astype(int) @ bonded > 1)


def _bare_graph(numbers: Any, pairs: Any) -> Any:
    """An unsanitised RDKit molecule with single bonds only: nothing but elements and neighbours can match."""
    from rdkit import Chem

    graph = Chem.RWMol()
    for number in numbers:
        atom = Chem.Atom(int(number))
        atom.SetNoImplicit(True)
        graph.AddAtom(atom)
    for i, j in pairs:
        graph.AddBond(int(i), int(j), Chem.BondType.SINGLE)
    return graph.GetMol()


def _parse(smiles: str) -> Any:
    """An RDKit molecule, or the `DataError` that says why there is none."""
    from rdkit import Chem, rdBase

    if not isinstance(smiles, str) or not smiles.strip():
        raise DataError("an empty SMILES names no molecule")
    if len(smiles.split()) > 1:
        raise DataError(f"{smiles!r:.100} is not one SMILES: it has a blank in it")
    if len(smiles) > LONGEST_SMILES:
        raise DataError(
            f"{smiles!r:.40} has {len(smiles)} characters; alkit reads SMILES of up to {LONGEST_SMILES}"
        )
    with rdBase.BlockLogs():  # the reason goes into our own sentence, not onto the terminal
        mol = Chem.MolFromSmiles(smiles.strip()) if smiles.isascii() else None  # it skips other letters
    if mol is None or not mol.GetNumAtoms():
        raise DataError(f"{smiles!r} is not a SMILES that RDKit can read (syntax, valence or aromaticity)")
    if any(mark in smiles for mark in "[*."):  # no other SMILES can name any of it, and looking takes long
        for atom in mol.GetAtoms():
            atom.SetAtomMapNum(0)  # a label of the writer's, without chemical meaning
        if problem := _unsupported(mol):
            raise DataError(f"{smiles!r} {problem}; alkit labels single, neutral, closed-shell molecules")
    return mol


def _unsupported(mol: Any) -> str:
    from rdkit import Chem

    atoms = list(mol.GetAtoms())
    if len(Chem.GetMolFrags(mol)) > 1:
        return "has several fragments"
    if any(atom.GetAtomicNum() == 0 for atom in atoms):
        return "has a wildcard atom"
    if any(atom.GetIsotope() for atom in atoms):
        return "names an isotope"
    if charge := Chem.GetFormalCharge(mol):
        return f"has a net charge of {charge:+d}"
    if any(atom.GetNumRadicalElectrons() for atom in atoms):
        return "has unpaired electrons"
    return ""


def _embed(mol: Any, smiles: str, seed: int, conformers: int) -> list[int]:
    """Up to that many conformers, at least one; their ids."""
    from rdkit import rdBase
    from rdkit.Chem import rdDistGeom

    for attempt in range(_EMBED_TRIES):
        params: Any = rdDistGeom.ETKDGv3()
        params.randomSeed = (seed + attempt) % 2**31
        # Random starting coordinates are slower and less tidy, but find cages that the default misses.
        params.useRandomCoords = attempt >= _EMBED_TRIES // 2
        with rdBase.BlockLogs():
            if ids := list(rdDistGeom.EmbedMultipleConfs(mol, conformers, params)):
                return ids
    if ids := _from_bounds(mol, smiles, seed, conformers):
        return ids
    raise LabelError("embed_failed", f"ETKDG found no geometry for {smiles} in {_EMBED_TRIES} tries")


def _from_bounds(mol: Any, smiles: str, seed: int, conformers: int) -> list[int]:
    """Conformers from bounds on distances alone, relaxed by MMFF94, that have the bonds of ``smiles``; ids.

    ETKDG asks that the neighbours of an atom surround it, as they do not in cages of small rings: of 2,500
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


def _lowest_mmff(mol: Any, smiles: str) -> int:
    """Relax all conformers; the id of the lowest that converged."""
    from rdkit import rdBase
    from rdkit.Chem import rdForceFieldHelpers

    with rdBase.BlockLogs():
        if not rdForceFieldHelpers.MMFFHasAllMoleculeParams(mol):
            raise LabelError("mmff_failed", f"MMFF94 has no parameters for {smiles}")
        ends = rdForceFieldHelpers.MMFFOptimizeMoleculeConfs(mol, maxIters=_MMFF_ITERATIONS)
    ids = [conformer.GetId() for conformer in mol.GetConformers()]
    converged = [(energy, i) for (status, energy), i in zip(ends, ids, strict=True) if status == 0]
    if not converged:
        raise LabelError("mmff_failed", f"MMFF94 did not converge for {smiles} in {_MMFF_ITERATIONS} steps")
    return min(converged)[1]
