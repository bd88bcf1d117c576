"""Whether a relaxed geometry still is the molecule that was asked for: bonds, their orders, stereo."""

from __future__ import annotations

from typing import Any

import numpy as np

from alkit.molecules.bonds import ACROSS, atom_order, same_bonds
from alkit.molecules.molecule import with_hydrogens

# Wiberg bond orders (doi:10.1016/0040-4020(68)88057-3) of 258 relaxed QM9 molecules at GFN2-xTB: bonds of the
# SMILES 0.83 and more, other pairs 0.23 and less, double bonds 1.6 and more, single ones 1.3 and less. The
# bonds that a proton transfer broke and made: 0.09 and less, 0.77 and more. The thresholds lie in the gaps.
_BROKEN, _MADE = 0.4, 0.6
_ORDER_OFF = 0.7
# A Lewis structure says the order of a bond only where resonance does not blur it: not in aromatic rings, not
# at charged atoms, and not at hypervalent sulfur or phosphorus.
_CLEAR = frozenset({1, 6, 7, 8, 9})
# Centres of three neighbours that keep their handedness, and that RDKit reads from a SMILES but not from 3D.
_PYRAMIDS = frozenset({15, 33})


def changes(smiles: str, numbers: np.ndarray, positions: np.ndarray, orders: np.ndarray | None = None) -> str:
    """The difference that makes a geometry another molecule than ``smiles``; "" if there is none.

    Distances show bonds that are broken or made, and hydrogens that moved. Orders show bonds that are only
    stretched or touching, and double bonds that are none (a diradical). The shape shows inverted stereo that
    the SMILES states.

    Args:
        smiles: the molecule.
        numbers: ``(n,)``, atoms in any order.
        positions: ``(n, 3)`` Å.
        orders: ``(n, n)`` Wiberg bond orders of the closed-shell molecule, if there are any.
    """
    order = atom_order(smiles, numbers, positions)
    if order is None:
        return f"the geometry does not have the bonds of {smiles}"
    mol = with_hydrogens(smiles)
    problem = _changes(mol, smiles, positions[order], orders, order)
    if not problem:
        return ""
    # The distances do not say which of its equivalent atoms is which: in cyclooctatetraene, where the double
    # bonds are. It is the molecule if it is with any one of them in any place.
    for other in same_bonds(mol):
        if not _changes(mol, smiles, positions[order[other]], orders, order[other]):
            return ""
    return problem


def _changes(
    mol: Any, smiles: str, positions: np.ndarray, orders: np.ndarray | None, order: np.ndarray
) -> str:
    if any(mark in smiles for mark in "@/\\") and not same_stereo(mol, positions):
        return f"the geometry is another stereoisomer than {smiles}"
    return "" if orders is None else _other_orders(mol, orders[np.ix_(order, order)])


def shaped(mol: Any, positions: np.ndarray) -> Any:
    """A copy of the RDKit molecule ``mol`` with ``positions (n, 3)`` Angstrom and their stereo, all of it."""
    from rdkit import Chem

    copy = Chem.Mol(mol)
    copy.RemoveAllConformers()
    conformer = Chem.Conformer(len(positions))
    conformer.SetPositions(np.array(positions, dtype=float))
    copy.AddConformer(conformer)
    Chem.AssignStereochemistryFrom3D(copy, replaceExistingTags=True)
    pyramids = [a for a in copy.GetAtoms() if a.GetAtomicNum() in _PYRAMIDS and a.GetDegree() == 3]
    for atom in pyramids:
        a, b, c = (positions[near.GetIdx()] - positions[atom.GetIdx()] for near in atom.GetNeighbors())
        ccw = np.dot(a, np.cross(b, c)) > 0
        tags = Chem.ChiralType
        atom.SetChiralTag(tags.CHI_TETRAHEDRAL_CCW if ccw else tags.CHI_TETRAHEDRAL_CW)
    if pyramids:
        Chem.AssignStereochemistry(copy, cleanIt=True, force=True)  # takes the tags of those with twins away
    return copy


def stereoisomer(smiles: str, numbers: np.ndarray, positions: np.ndarray) -> str:
    """Isomeric SMILES of the stereoisomer that a geometry of ``smiles`` is.

    ``smiles`` may leave stereo open. "" for a geometry that does not have its bonds.
    """
    order = atom_order(smiles, numbers, positions)
    if order is None:
        return ""
    return _name(shaped(with_hydrogens(smiles), positions[order]))


def same_stereo(mol: Any, positions: np.ndarray) -> bool:
    """Whether the stereo that ``mol`` states is that of ``positions``; what it leaves open is free."""
    from rdkit import Chem

    perceived = shaped(mol, positions)
    centres = Chem.Mol(perceived)
    Chem.AssignAtomChiralTagsFromStructure(centres)
    none = Chem.ChiralType.CHI_UNSPECIFIED
    for stated, seen, centre in zip(mol.GetAtoms(), perceived.GetAtoms(), centres.GetAtoms(), strict=True):
        if stated.GetChiralTag() == none:
            seen.SetChiralTag(none)
        elif (
            seen.GetChiralTag() == none
        ):  # a centre only by what is stated: of branches that the shape has equal
            seen.SetChiralTag(centre.GetChiralTag())
    for stated, seen in zip(mol.GetBonds(), perceived.GetBonds(), strict=True):
        if stated.GetStereo() == Chem.BondStereo.STEREONONE:
            seen.SetStereo(Chem.BondStereo.STEREONONE)
    # By name, as two equivalent branches of opposite handedness may have been mistaken for each other.
    return _name(perceived) == _name(mol)


def _name(mol: Any) -> str:
    r"""Isomeric SMILES.

    Its / and \ come from the directions of bonds. RDKit keeps them as they were when the stereo of a double
    bond is perceived or taken away: here they are made again.
    """
    from rdkit import Chem

    copy = Chem.Mol(mol)
    for bond in copy.GetBonds():
        bond.SetBondDir(Chem.BondDir.NONE)
    Chem.SetDoubleBondNeighborDirections(copy)
    return str(Chem.MolToSmiles(Chem.RemoveHs(copy)))


def _other_orders(mol: Any, orders: np.ndarray) -> str:
    expected = np.zeros(orders.shape)
    for bond in mol.GetBonds():
        i, j = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        expected[i, j] = expected[j, i] = order = bond.GetBondTypeAsDouble()
        if orders[i, j] < _BROKEN:
            return f"the bond {_named(mol, i, j)} is broken: its order is {orders[i, j]:.2f}"
        clear = not bond.GetIsAromatic() and all(
            atom.GetAtomicNum() in _CLEAR and not atom.GetFormalCharge()
            for atom in (bond.GetBeginAtom(), bond.GetEndAtom())
        )
        if clear and abs(orders[i, j] - order) > _ORDER_OFF:
            return f"the bond {_named(mol, i, j)} has the order {orders[i, j]:.2f} in place of {order:.0f}"
    bonded = expected > 0
    # Ends of the same atom share electrons without a bond, in azides up to an order of 0.7; where they do
    # bond, to a ring of three, the distance says so, but not of boron and silicon.
    wide = np.isin([atom.GetAtomicNum() for atom in mol.GetAtoms()], ACROSS)
    apart = ~(bonded | ((bonded.astype(int) @ bonded > 0) & ~np.outer(wide, wide)))
    made = np.argwhere(np.triu(apart & (orders > _MADE), k=1))
    for i, j in made.tolist():
        return f"a bond {_named(mol, i, j)} has formed: its order is {orders[i, j]:.2f}"
    return ""


def _named(mol: Any, i: int, j: int) -> str:
    return "-".join(f"{mol.GetAtomWithIdx(k).GetSymbol()}{k}" for k in (i, j))
