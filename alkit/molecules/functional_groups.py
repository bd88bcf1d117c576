"""Functional groups of molecules, by SMARTS: the one table that reports sort molecules by."""

from __future__ import annotations

from functools import cache
from typing import Any

GROUPS = {
    "alcohol": "[CX4][OX2H]",
    "enol or phenol": "[#6;X3;!$(C=O);!$(C=N)][OX2H]",
    "ether": "[OX2;!$(O~[!#6])]([#6;!$(C=[O,N])])[#6;!$(C=[O,N])]",
    "aldehyde": "[CX3;H1,H2;!$(C[!#6;!#1])]=O",
    "ketone": "[#6][CX3](=O)[#6]",
    "carboxylic acid": "[CX3](=O)[OX2H]",
    "ester": "[CX3](=O)[OX2][#6;!$(C=[O,N])]",
    "amide": "[CX3](=O)[NX3]",
    "amine": "[NX3;!$(N~[!#6;!#1]);!$(N[#6]=[O,N,S]);!$(N[CX2])]",
    "imine": "[CX3;!$(C[NX3])]=[NX2;!$(N~[!#6;!#1])]",
    "oxime": "[CX3]=[NX2][OX2]",
    "amidine": "[NX3][CX3]=[NX2]",
    "nitrile": "[CX2]#[NX1]",
    "nitro": "[NX3+](=O)[O-]",
    "alkene": "[CX3]=[CX3]",
    "alkyne": "[CX2]#[CX2]",
    "halide": "[#6][F,Cl,Br,I]",
    "sulfide or thiol": "[SX2]",
    "aromatic": "a",
    "ring of 3": "[r3]",
    "ring of 4": "[r4]",
    "larger ring": "[r{5-}]",
}
"""Name and SMARTS; a molecule may have several."""
NONE = "none of these"


@cache
def _patterns() -> dict[str, Any]:
    from rdkit import Chem

    return {name: Chem.MolFromSmarts(smarts) for name, smarts in GROUPS.items()}


def groups_of(smiles: str) -> tuple[str, ...]:
    """Names of the functional groups in a molecule, in the table's order; `NONE` where there is none."""
    from rdkit import Chem

    molecule = Chem.MolFromSmiles(smiles)
    found = tuple(name for name, pattern in _patterns().items() if molecule.HasSubstructMatch(pattern))
    return found or (NONE,)
