"""SD, MOL and MOL2 files, by RDKit."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from alkit.datasets.formats import Kind, lines
from alkit.errors import DataError

_MOL2 = "@<TRIPOS>MOLECULE"


def read_records(path: Path, kind: Kind) -> Iterator[tuple[int, str, str, Any]]:
    """Number, SMILES, name and RDKit molecule of every record; of one that RDKit cannot read, its text's
    beginning in place of a SMILES, and None.

    Raises:
        DataError: unreadable file.
    """
    from rdkit import Chem, rdBase

    for number, block in enumerate(_blocks(path, kind), 1):
        name = (block[1] if kind == "mol2" and len(block) > 1 else block[0]).strip()
        with rdBase.BlockLogs():
            text = "".join(block)
            if kind == "mol2":
                mol = Chem.MolFromMol2Block(text, removeHs=False)
            else:
                mol = Chem.MolFromMolBlock(text, removeHs=False)
            if mol is None or not mol.GetNumAtoms():
                yield number, f"record {number} ({name or 'without a name'})", name, None
                continue
            if _has_3d(mol):
                Chem.AssignStereochemistryFrom3D(mol)
            yield number, Chem.MolToSmiles(Chem.RemoveHs(mol)), name, mol


def geometry_of(path: Path, number: int, mol: Any) -> tuple[np.ndarray, np.ndarray]:
    """``(n,)`` atomic numbers and ``(n, 3)`` Å of a record.

    Raises:
        DataError: it cannot be read, or has no geometry with all hydrogens.
    """
    from rdkit import Chem

    if mol is None:
        raise DataError(f"{path}, record {number}: RDKit cannot read it.")
    if not _has_3d(mol):
        raise DataError(f"{path}, record {number} is flat: a geometry in three dimensions is expected here.")
    if Chem.AddHs(mol).GetNumAtoms() != mol.GetNumAtoms():
        raise DataError(f"{path}, record {number} lacks hydrogens; a whole geometry is expected here.")
    return np.array([atom.GetAtomicNum() for atom in mol.GetAtoms()]), mol.GetConformer().GetPositions()


def _has_3d(mol: Any) -> bool:
    return bool(mol.GetNumConformers()) and mol.GetConformer().Is3D()


def _blocks(path: Path, kind: Kind) -> Iterator[list[str]]:
    """The lines of every record."""
    if kind == "mol2":
        numbered = 0

        def record_of(line: str) -> int:
            nonlocal numbered
            numbered += line.startswith(_MOL2)
            return numbered

        yield from (list(group) for record, group in groupby(lines(path), record_of) if record)
        return
    block: list[str] = []
    for line in lines(path):
        if line.startswith("$$$$"):
            yield block
            block = []
        else:
            block.append(line)
    if any(line.strip() for line in block):  # a MOL file, or an SD file whose last mark is missing
        yield block
