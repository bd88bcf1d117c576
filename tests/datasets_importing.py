"""Ten molecules in MMFF94 geometries with total energies of GFN2-xTB, and files of them in any form."""

import csv
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from tblite.interface import Calculator

from alkit.molecules.conformers import embed
from alkit.molecules.molecule import canonical

HARTREE = 27.211386245988  # eV, CODATA 2018
BOHR = 0.529177210903  # Å
KCAL = 0.0433641039  # eV, kcal/mol
SMILES = ("C", "CO", "CCO", "CC(C)=O", "C#N", "NC=O", "C1CC1", "CCN", "COC", "O")
LEVEL = "GFN2-xTB"


class One(NamedTuple):
    """A molecule: canonical SMILES, atoms, total energy in eV, forces in eV/Å."""

    smiles: str
    numbers: np.ndarray
    positions: np.ndarray
    energy: float
    forces: np.ndarray

    @property
    def atoms(self) -> Atoms:
        atoms = Atoms(self.numbers, self.positions)
        atoms.calc = SinglePointCalculator(atoms, energy=self.energy, forces=self.forces)
        return atoms


def computed(smiles: str, numbers: np.ndarray, positions: np.ndarray) -> One:
    """By tblite's own interface, past alkit's simulators."""
    calculator = Calculator("GFN2-xTB", numbers, positions / BOHR)
    calculator.set("verbosity", 0)
    result = calculator.singlepoint()
    forces = -np.array(result.get("gradient")) * HARTREE / BOHR
    return One(smiles, numbers, positions, float(result.get("energy")) * HARTREE, forces)


@cache
def ten() -> tuple[One, ...]:
    placed = [embed(canonical(smiles), seed=0) for smiles in SMILES]
    return tuple(computed(one.smiles, one.numbers, one.positions) for one in placed)


def write_table(path: Path, rows: list[dict], delimiter: str = ",") -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


def table(path: Path, factor: float = 1 / HARTREE, delimiter: str = ",", **changed: object) -> Path:
    """A table of SMILES and energies; ``changed`` maps a number of a row to another energy or SMILES."""
    rows = [{"smiles": one.smiles, "E": repr(one.energy * factor)} for one in ten()]
    return write_table(path, rows, delimiter)
