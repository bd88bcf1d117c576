"""A molecule: its name, its atoms and their places.

Identity is the canonical isomeric SMILES. The InChI is not used as a key, because it merges tautomers. These
differ in energy by more than the accuracy alkit aims at. Lengths are Angstrom.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from alkit.config.words import Geometry
from alkit.errors import DataError

GEOMETRIES = get_args(Geometry)


LONGEST_SMILES = 2000
"""Characters; RDKit overflows the stack, which ends the process, as it writes a chain of 50,000 atoms."""


@dataclass(frozen=True, eq=False, repr=False)
class Molecule:
    """One molecule with one geometry.

    Args:
        smiles: canonical isomeric SMILES (see :func:`canonical`).
        numbers: ``(n,)`` atomic numbers, hydrogens included.
        positions: ``(n, 3)`` float64, Å.
        geometry: where the positions come from, one of ``GEOMETRIES``.

    Raises:
        DataError: arrays that do not fit together.
    """

    smiles: str
    numbers: np.ndarray
    positions: np.ndarray
    geometry: str

    def __repr__(self) -> str:
        return f"Molecule({self.smiles!r:.80}, {len(self.numbers)} atoms, {self.geometry} geometry)"

    def __str__(self) -> str:
        return self.smiles

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


def canonical(smiles: str, *, ions: bool = False) -> str:
    """The canonical isomeric SMILES of a neutral closed-shell molecule: alkit's key.

    Args:
        smiles: any spelling of the molecule.
        ions: ions and radicals have a key too.

    Raises:
        DataError: text that is empty or no SMILES; several fragments, isotopes, wildcard atoms; without
            ``ions`` a net charge or unpaired electrons.
    """
    return _identity(_parse(smiles, ions=ions), smiles)


def canonical_of_any(smiles: str) -> str | None:
    """The canonical isomeric SMILES of any molecule, ions, radicals and mixtures too.

    Data sets know a molecule by it. None for text that is no SMILES, or longer than `LONGEST_SMILES`.
    """
    mol = _read(smiles)
    return None if mol is None else _identity(mol, smiles)


def _identity(mol: Any, smiles: str) -> str:
    """The SMILES after writing, reading and writing again.

    Rarely a first canonical form is not its own canonical form (stereo perceived only in the written order).
    This settles it. One that is written as it was read has been through all of that.
    """
    from rdkit import Chem, rdBase

    written = str(Chem.MolToSmiles(mol))
    if written == smiles:
        return written
    with rdBase.BlockLogs():
        return Chem.MolToSmiles(Chem.MolFromSmiles(written))


def _read(smiles: str) -> Any:
    """An RDKit molecule of one atom at least; None if there is none."""
    from rdkit import Chem, rdBase

    if len(smiles) > LONGEST_SMILES or not smiles.isascii():  # of "éC" RDKit reads the C
        return None
    with rdBase.BlockLogs():  # the reason goes into our own sentence, not onto the terminal
        mol = Chem.MolFromSmiles(smiles)
    return mol if mol is not None and mol.GetNumAtoms() else None


def charge_and_radicals(smiles: str) -> tuple[int, int]:
    """Net charge in e and unpaired electrons that ``smiles`` states; 0 and 0 of what is no SMILES."""
    if "[" not in smiles or (mol := _read(smiles)) is None:
        return 0, 0
    from rdkit import Chem

    return Chem.GetFormalCharge(mol), sum(atom.GetNumRadicalElectrons() for atom in mol.GetAtoms())


def with_hydrogens(smiles: str) -> Any:
    """The RDKit molecule of ``smiles``, ion and radical too, with explicit hydrogens.

    Its atom order is that of :func:`embed`.
    """
    from rdkit import Chem

    return Chem.AddHs(_parse(smiles, ions=True))


def atom_count(smiles: str) -> int:
    """The number of atoms of ``smiles``, hydrogens included."""
    molecule = _parse(smiles, ions=True)
    return int(molecule.GetNumAtoms(onlyExplicit=False))


def _parse(smiles: str, *, ions: bool = False) -> Any:
    """An RDKit molecule, or the `DataError` that says why there is none."""
    if not isinstance(smiles, str) or not smiles.strip():
        raise DataError("an empty SMILES names no molecule")
    if len(smiles.split()) > 1:
        raise DataError(f"{smiles!r:.100} is not one SMILES: it has a blank in it")
    if len(smiles) > LONGEST_SMILES:
        raise DataError(
            f"{smiles!r:.40} has {len(smiles)} characters; alkit reads SMILES of up to {LONGEST_SMILES}"
        )
    mol = _read(smiles.strip())
    if mol is None:
        raise DataError(f"{smiles!r} is not a SMILES that RDKit can read (syntax, valence or aromaticity)")
    if any(mark in smiles for mark in "[*."):  # no other SMILES can name any of it, and looking takes long
        for atom in mol.GetAtoms():
            atom.SetAtomMapNum(0)  # a label of the writer's, without chemical meaning
        if problem := _unsupported(mol):
            raise DataError(f"{smiles!r} {problem}; alkit knows single molecules without isotopes")
        if not ions and (problem := _open_shell(mol)):
            raise DataError(f"{smiles!r} {problem}; neutral closed-shell molecules are expected here")
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
    return ""


def _open_shell(mol: Any) -> str:
    from rdkit import Chem

    if charge := Chem.GetFormalCharge(mol):
        return f"has a net charge of {charge:+d}"
    if any(atom.GetNumRadicalElectrons() for atom in mol.GetAtoms()):
        return "has unpaired electrons"
    return ""


def without_stereo(smiles: str) -> str:
    """Canonical SMILES without stereo: what 2D mode sees of a molecule, and what its stereoisomers share."""
    from rdkit import Chem

    mol = _parse(smiles)
    if "[H]" in smiles:  # a hydrogen that is written for the stereo of its double bond alone
        Chem.RemoveStereochemistry(mol)
        mol = Chem.RemoveHs(mol)
    return Chem.MolToSmiles(mol, isomericSmiles=False)
