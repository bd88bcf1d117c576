"""SD, MOL and MOL2 files, by RDKit."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import groupby, takewhile
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from alkit.datasets.formats import Kind, lines
from alkit.errors import DataError

_COORDINATE = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_MOL2 = "@<TRIPOS>MOLECULE"
_DATA_NAME = re.compile(r"<(.+)>")


class Record(NamedTuple):
    """One molecule of a file.

    It has a SMILES (or what stands in its place), a name, and RDKit's molecule or the problem that prevented
    it. An SD record also has data by name.
    """

    number: int
    smiles: str
    name: str
    mol: Any
    problem: str = ""
    data: Mapping[str, str] = MappingProxyType({})

    @property
    def where(self) -> str:
        """Its place in the file, with its name if it has one."""
        return f"record {self.number} ({self.name})" if self.name else f"record {self.number}"


def read_records(path: Path, kind: Kind) -> Iterator[Record]:
    """Read every record of a file.

    Yields:
        Records, also of molecules that RDKit cannot read.

    Raises:
        DataError: unreadable file.
    """
    from rdkit import Chem, rdBase

    for number, block in enumerate(_blocks(path, kind), 1):
        title = block[1:2] if kind == "mol2" else block[:1]
        name = "".join(title).strip()
        with rdBase.BlockLogs():
            text = "".join(block)
            if kind == "mol2":
                mol = Chem.MolFromMol2Block(text, removeHs=False)
            else:
                mol = Chem.MolFromMolBlock(text, removeHs=False)
            data = {} if kind == "mol2" else dict(_data(block))
            problem = "RDKit cannot read it as a molecule" if mol is None or not mol.GetNumAtoms() else ""
            if problem := problem or _bad_coordinate(block):
                yield Record(
                    number, f"record {number} ({name or 'without a name'})", name, None, problem, data
                )
                continue
            if _has_3d(mol):
                Chem.AssignStereochemistryFrom3D(mol)
            yield Record(number, Chem.MolToSmiles(Chem.RemoveHs(mol)), name, mol, data=data)


def _data(block: list[str]) -> Iterator[tuple[str, str]]:
    """The data items of an SD record: ``> <NAME>``, then lines up to a blank one."""
    below = iter(block)
    for line in below:
        if line.startswith(">") and (found := _DATA_NAME.search(line)):
            yield found[1], "\n".join(takewhile(str.strip, (text.rstrip("\r\n") for text in below)))


def _bad_coordinate(block: list[str]) -> str:
    """The problem with the coordinates of a V2000 record; RDKit reads a "--1" in them as 0."""
    if len(block) < 4 or not block[3].rstrip().endswith("V2000"):
        return ""
    for atom, line in enumerate(block[4 : 4 + int(block[3][:3])], 1):
        for field in (line[:10], line[10:20], line[20:30]):
            if _COORDINATE.fullmatch(field.strip()) is None:
                return f"a coordinate of atom {atom} is {field.strip()!r}, no number"
    return ""


def geometry_of(mol: Any) -> tuple[np.ndarray, np.ndarray]:
    """``(n,)`` atomic numbers and ``(n, 3)`` Å of a record.

    Raises:
        DataError: it has no geometry with all hydrogens.
    """
    from rdkit import Chem

    if not _has_3d(mol):
        raise DataError("it is flat, and a geometry in three dimensions is expected here")
    if Chem.AddHs(mol).GetNumAtoms() != mol.GetNumAtoms():
        raise DataError("it lacks hydrogens, and a whole geometry is expected here")
    return np.array([atom.GetAtomicNum() for atom in mol.GetAtoms()]), mol.GetConformer().GetPositions()


def has_geometry(mol: Any) -> bool:
    """Whether a record has places for all its atoms, hydrogens included."""
    from rdkit import Chem

    return _has_3d(mol) and Chem.AddHs(mol).GetNumAtoms() == mol.GetNumAtoms()


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
