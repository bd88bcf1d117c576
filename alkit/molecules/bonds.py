"""Bonds perceived from a geometry, and whether they are those of a SMILES."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from alkit.molecules.molecule import with_hydrogens

# Distances over the sum of the covalent radii. With atoms in known order a bond counts as broken above
# STRETCHED and a contact as a new bond below TOUCHING: in between, strained cages have both bonds and
# contacts (1.6 to 1.9 Angstrom for two carbons), and no single threshold tells them apart. Where the order is
# unknown a single threshold must do, and TOUCHING is the one that fits best: of 6,000 QM9 geometries it
# misjudges 1, and 1.3, the usual choice, 316.
STRETCHED = 1.30
TOUCHING = 1.15
# A bond that a simulation has stretched needs a wider one: any between the two that gives the SMILES will do.
REACHES = (TOUCHING, 1.2, 1.25, STRETCHED)
# Two of these (boron, silicon) across a ring of four, as in cyclodisiloxane, are no bond, although as close
# as one: ratios of 1.05 and 1.08 at Wiberg orders of 0.16 and 0.
ACROSS = (5, 14)
_MOST_ORDERS = 1000


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

    Args:
        smiles: the molecule.
        numbers: ``(n,)``, atoms in any order.
        positions: ``(n, 3)`` Å.
    """
    return atom_order(smiles, numbers, positions) is not None


def atom_order(smiles: str, numbers: np.ndarray, positions: np.ndarray) -> np.ndarray | None:
    """``(n,)``: which atom of a geometry is each atom of ``smiles``, in the order of :func:`embed`.

    None where the geometry does not have the bonds of ``smiles``. In the order of :func:`embed` each bond is
    judged by itself. In another order the bonds perceived from the distances must form the same graph.

    Args:
        smiles: the molecule.
        numbers: ``(n,)``.
        positions: ``(n, 3)`` Å.
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
    graphs = [ratios < reach for reach in REACHES]
    for touching in (graph for close in graphs for graph in (close, close & ~_across(numbers, close))):
        pairs = np.argwhere(np.triu(touching, k=1))
        # With as many atoms and bonds on both sides, "is a part of" means "is the same as".
        if len(pairs) == len(wanted):
            order = _bare_graph(numbers, pairs).GetSubstructMatch(_bare_graph(expected, wanted))
            if order:
                return np.array(order)
    return None


def same_bonds(mol: Any) -> Iterator[np.ndarray]:
    """Yield orders ``(n,)`` of a molecule's atoms in which it has the same bonds.

    They are between the same elements; bond orders, charges or stated stereo may be in other places, one
    order for each way to place them.

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
