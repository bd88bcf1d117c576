"""Molecules with their geometries, from XYZ, SD, MOL, MOL2 and ASE's files."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from ase.data import chemical_symbols, covalent_radii
from scipy.spatial.distance import cdist

from alkit.datasets.formats import kind_of
from alkit.datasets.records import geometry_of, read_records
from alkit.datasets.xyz import properties_of, read_frames
from alkit.errors import DataError
from alkit.molecules.bonds import REACHES
from alkit.molecules.molecule import Molecule, canonical, canonical_of_any

SAME_PLACE = 0.4  # Å; the shortest bond there is, of H2, has 0.74
_BOND = 1.3  # of the sum of two covalent radii; in Bohr all distances are 1.9 times as long


def holds_structures(path: Path) -> bool:
    """Whether a file is one of molecules with their geometry alone."""
    return kind_of(path) in ("xyz", "db", "traj")


def may_hold_structures(path: Path) -> bool:
    """Whether a file may have geometries beside what names its molecules."""
    return kind_of(path) in ("sdf", "mol", "mol2")


def read_structures(path: Path, length: float = 1.0) -> list[Molecule]:
    """Molecules of a file with their geometries, in Å, in its order.

    A molecule is named by its ``smiles`` in the file, or its name there, else by its place and its formula.

    Args:
        path: any file of structures that ASE reads.
        length: Å in the file's unit.

    Raises:
        DataError: unreadable or empty file, a periodic cell, or a molecule that is charged or magnetic.
    """
    molecules = []
    for number, (where, numbers, positions, properties) in enumerate(_structures(path), 1):
        if properties.get("charge"):
            raise DataError(
                f"{path}: {where} is charged or magnetic; alkit knows neutral closed shells alone."
            )
        name = str(properties.get("smiles") or f"{number} {_formula(numbers)}")
        try:
            molecules.append(Molecule(name, numbers, np.asarray(positions) * length, "given"))
        except DataError as error:
            raise DataError(f"{path}, {where}: {error}.") from None
        if (closest := _closest(molecules[-1].positions)) < SAME_PLACE:
            raise DataError(
                f"{path}, {where}: two atoms are {closest:.2g} Å apart, as in no molecule; are positions "
                "missing, or in another unit?"
            )
    if not molecules:
        raise DataError(f"{path} holds no structures.")
    _warn_of_bohr(path, molecules)
    return molecules


def _formula(numbers: np.ndarray) -> str:
    from ase.formula import Formula

    return Formula.from_list([chemical_symbols[z] for z in numbers]).format("hill")


def _warn_of_bohr(path: Path, molecules: list[Molecule]) -> None:
    """Say so where no two atoms of a molecule are bonded, as in a geometry in another unit."""
    apart = [
        number
        for number, one in enumerate(molecules, 1)
        if len(one.numbers) > 1 and not bonded(one.numbers, one.positions)
    ]
    if apart:
        others = f" and {len(apart) - 1} others" if apart[1:] else ""
        warnings.warn(
            f"{path}: no two atoms of structure {apart[0]}{others} are bonded; is it in Bohr? --length bohr "
            "converts.",
            stacklevel=3,
        )


def _closest(positions: np.ndarray) -> float:
    """The least distance between two atoms, in Å."""
    distances = cdist(positions, positions) + np.diag(np.full(len(positions), np.inf))
    return float(distances.min())


def bonded(numbers: np.ndarray, positions: np.ndarray) -> bool:
    """Whether any two atoms are as near as a bond, positions in Å."""
    distances = cdist(positions, positions) + np.diag(np.full(len(numbers), np.inf))
    radii = covalent_radii[numbers]
    return bool((distances < _BOND * (radii[:, None] + radii)).any())


def _structures(path: Path) -> Iterator[tuple[str, np.ndarray, np.ndarray, dict[str, Any]]]:
    """Where a structure stands, its atomic numbers, positions, and what the file says of it by name."""
    kind = kind_of(path)
    if kind == "xyz":
        for frame in read_frames(path):
            yield f"line {frame.line}", frame.numbers, frame.positions, frame.properties
    elif kind in ("sdf", "mol", "mol2"):
        for one in read_records(path, kind):
            try:
                if one.problem:
                    raise DataError(one.problem)
                numbers, positions = geometry_of(one.mol)
            except DataError as error:
                raise DataError(f"{path}, {one.where}: {error}.") from None
            yield one.where, numbers, positions, {"smiles": one.smiles}
    else:
        yield from _of_ase(path)


@contextmanager
def reading_by_ase(path: Path) -> Iterator[None]:
    """Say in one sentence what ASE's readers could not read.

    Raises:
        DataError: the file cannot be read, or holds something else than structures.
    """
    try:
        yield
    except DataError:
        raise
    except OSError as error:
        raise DataError(f"Cannot read {path}: {error.strerror or error}.") from error
    except Exception as error:  # ASE's readers raise whatever a damaged file makes them
        raise DataError(f"{path} holds no structures that ASE can read ({error}).") from error


def _of_ase(path: Path) -> Iterator[tuple[str, np.ndarray, np.ndarray, dict[str, Any]]]:
    from ase.io import iread

    with reading_by_ase(path):
        if not path.is_file():
            raise FileNotFoundError(2, "No such file or directory")
        if kind_of(path) == "db":  # ase.io leaves out the key-value pairs
            structures = _of_database(path)
        else:
            structures = ((atoms, atoms.info) for atoms in iread(path, index=":"))
        for number, (atoms, properties) in enumerate(structures, 1):
            if atoms.pbc.any():
                raise DataError(f"{path}: structure {number} is periodic; molecules have no cell.")
            if not atoms.numbers.all():
                raise DataError(f"{path}: structure {number} has an atom that is no element.")
            yield (
                f"structure {number}",
                atoms.numbers,
                atoms.positions,
                properties_of(atoms) | dict(properties),
            )


def _of_database(path: Path) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Rows of an ASE database. ASE would add its tables to any other SQLite file: it sees a copy."""
    from ase.db import connect

    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as db:
        tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not {"systems", "information"} <= tables:
        raise DataError(f"{path} is no database of ASE: it has no table of systems.")
    with tempfile.TemporaryDirectory(prefix="alkit-") as folder:
        copy = shutil.copy(path, Path(folder) / "copy.db")
        yield from ((row.toatoms(), row.key_value_pairs) for row in connect(copy).select())


def perceived_smiles(numbers: np.ndarray, positions: np.ndarray) -> str | None:
    """Canonical SMILES, stereo included, of a neutral molecule's geometry.

    Args:
        numbers: ``(n,)`` atomic numbers.
        positions: ``(n, 3)`` Å.

    Returns:
        None if RDKit finds no bonding. What is in several pieces or open-shell, however far a bond may reach,
        is named as the shortest reach has it.
    """
    from rdkit import Chem, rdBase

    atoms = [
        f"{chemical_symbols[int(z)]} {x:.8f} {y:.8f} {w:.8f}"
        for z, (x, y, w) in zip(numbers, positions, strict=True)
    ]
    block, first = "\n".join([str(len(atoms)), "", *atoms]), None
    with rdBase.BlockLogs():
        for reach in REACHES:  # RDKit's own 1.3 fails on 5 % of QM9, 1.15 on 0.2 %
            smiles = _bonded_within(Chem.MolFromXYZBlock(block), reach)
            if smiles is None:
                continue
            try:
                return canonical(smiles)
            except DataError:
                first = first or smiles
    return first


def _bonded_within(molecule: Any, reach: float) -> str | None:
    from rdkit import Chem
    from rdkit.Chem import rdDetermineBonds

    try:
        rdDetermineBonds.DetermineBonds(molecule, charge=0, useVdw=True, covFactor=reach)
        return canonical_of_any(Chem.MolToSmiles(Chem.RemoveHs(molecule)))
    except (ValueError, RuntimeError):
        return None
