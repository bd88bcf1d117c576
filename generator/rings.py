"""Ring patterns of molecules: what a training set has shown to be possible.

Bonds that break no valence can still make an impossible molecule: a triple bond in a small ring, a double
bond at a bridgehead. Nothing about chemistry is written down here. A pattern that a training molecule has is
familiar, and molecules with other patterns are not drawn. So 96 to 98 % of them keep their bonds when
GFN2-xTB relaxes them; without this it is 88 % (docs/decisions/016).
"""

from __future__ import annotations

from collections.abc import Sequence

from rdkit import Chem

_ORDERS = {
    Chem.BondType.SINGLE: "1",
    Chem.BondType.DOUBLE: "2",
    Chem.BondType.TRIPLE: "3",
    Chem.BondType.AROMATIC: "a",
}


def ring_patterns(molecule: Chem.Mol) -> set[str]:
    """Ring patterns of a sanitised molecule, as readable keys.

    - ring position: element, sizes of the rings through the atom, orders of its bonds within and outside
    rings;
    - ring: size and the orders of its bonds; fusion: sizes of two rings and the number of atoms they share;
    - system: sizes of all rings that hang together.
    """
    info = molecule.GetRingInfo()
    rings = [frozenset(ring) for ring in info.AtomRings()]
    patterns = set[str]()
    for bond_ids in info.BondRings():
        orders = sorted([_ORDERS[molecule.GetBondWithIdx(k).GetBondType()] for k in bond_ids])
        patterns.add(f"ring {len(bond_ids)} {''.join(orders)}")
    for k in frozenset().union(*rings):
        patterns.add(_ring_position(molecule.GetAtomWithIdx(k), sorted(info.AtomRingSizes(k))))
    for a, first in enumerate(rings):
        for second in rings[a + 1 :]:
            shared = len(first & second)
            if shared:
                small, large = sorted((len(first), len(second)))
                patterns.add(f"fusion {small} {large} {shared}")
    patterns.update(_ring_systems(rings))
    return patterns


def _ring_systems(rings: Sequence[frozenset[int]]) -> set[str]:
    """The ring sizes of every set of rings that hang together by shared atoms, as in "system 3,4,5"."""
    systems: list[list[frozenset[int]]] = []
    for ring in rings:
        touching = [system for system in systems if any(ring & other for other in system)]
        systems = [system for system in systems if system not in touching]
        systems.append([ring, *(other for system in touching for other in system)])
    return {"system " + ",".join(map(str, sorted(map(len, system)))) for system in systems}


def _ring_position(atom: Chem.Atom, sizes: list[int]) -> str:
    inside: list[str] = []
    outside: list[str] = []
    for bond in atom.GetBonds():
        (inside if bond.IsInRing() else outside).append(_ORDERS[bond.GetBondType()])
    bonds = f"{''.join(sorted(inside))}|{''.join(sorted(outside))}"
    return f"position {atom.GetSymbol()} {sizes} {bonds}"
