"""A row's atoms and SMILES: which molecule it is, and whether they belong together."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.spatial.distance import cdist

from alkit.datasets.importing.rows import Row
from alkit.datasets.structures import SAME_PLACE, bonded, perceived_smiles
from alkit.errors import DataError
from alkit.molecules.identity import changes
from alkit.molecules.molecule import canonical, with_hydrogens

_REMEMBERED = 10_000  # molecules


class Structure(NamedTuple):
    """A row's molecule: canonical SMILES, ``(n,)`` atomic numbers, and ``(n, 3)`` Å or None."""

    smiles: str
    numbers: np.ndarray
    positions: np.ndarray | None


class Structures:
    """The molecules of rows.

    Args:
        smiles: of rows that state none.
        length: Å in the unit of the positions.
    """

    def __init__(self, smiles: str | None, length: float):
        self._smiles, self._length = smiles, length
        self._perceived: dict[bytes, str] = {}

    def of(self, row: Row) -> Structure:
        """The molecule of a row; its SMILES is perceived from the geometry where none is stated.

        Raises:
            DataError: why the row cannot be used, without its place.
        """
        if row.problem:
            raise DataError(row.problem)
        stated = row.smiles or self._smiles or ""
        if row.numbers is None or row.positions is None:
            if not stated:
                raise DataError("it has neither a SMILES nor a geometry")
            name = canonical(stated)
            return Structure(name, _atoms(name), None)
        numbers, positions = row.numbers, np.asarray(row.positions, dtype=np.float64) * self._length
        _check_places(numbers, positions)
        if not stated:
            if row.charge:
                raise DataError("it is charged or magnetic; alkit knows neutral closed shells alone")
            return Structure(self._perceive(numbers, positions), numbers, positions)
        name = canonical(stated)
        _check_composition(name, numbers)
        if problem := changes(name, numbers, positions):
            raise DataError(problem)
        return Structure(name, numbers, positions)

    def _perceive(self, numbers: np.ndarray, positions: np.ndarray) -> str:
        key = numbers.tobytes()
        last = self._perceived.get(key)
        # Geometries of one molecule often come one after another, and a look at the bonds is quick.
        if last is not None and not changes(last, numbers, positions):
            return last
        perceived = perceived_smiles(numbers, positions)
        if perceived is None:
            raise DataError(
                "RDKit finds no bonds of a neutral closed-shell molecule in its geometry; state its SMILES"
            )
        name = canonical(perceived)
        _check_composition(name, numbers)
        if len(self._perceived) >= _REMEMBERED:
            self._perceived.clear()
        self._perceived[key] = name
        return name


def _atoms(smiles: str) -> np.ndarray:
    return np.array([atom.GetAtomicNum() for atom in with_hydrogens(smiles).GetAtoms()])


def _check_composition(smiles: str, numbers: np.ndarray) -> None:
    if sorted(_atoms(smiles).tolist()) != sorted(numbers.tolist()):
        from ase.formula import Formula
        from ase.symbols import Symbols

        has, wanted = (
            Formula.from_list(list(Symbols(np.array(atoms)))).format("hill")
            for atoms in (numbers, _atoms(smiles))
        )
        raise DataError(f"its geometry is of {has}, and its SMILES {smiles} of {wanted}")


def _check_places(numbers: np.ndarray, positions: np.ndarray) -> None:
    if positions.shape != (len(numbers), 3) or not len(numbers):
        raise DataError(f"it has {len(numbers)} atoms and positions of shape {positions.shape}")
    if numbers.min() < 1:
        raise DataError("it has an atom that is no element")
    if not np.isfinite(positions).all():
        raise DataError("a position is not a finite number")
    if len(numbers) < 2:
        return
    closest = float((cdist(positions, positions) + np.diag(np.full(len(positions), np.inf))).min())
    if closest < SAME_PLACE:
        raise DataError(
            f"two of its atoms are {closest:.2g} Å apart, as in no molecule; are positions missing, or in "
            "another unit?"
        )
    if not bonded(numbers, positions):
        raise DataError("no two of its atoms are bonded; are positions in Bohr (--length bohr)?")
