"""A stranger's data, from file to first report, in three commands and no edits.

    python benchmarks/own_data.py [--qm9 qm9_12k.npz] [--schnetpack own_md.db] [--molecules 250]

Four files: a CSV of SMILES with total energies in Hartree whose isolated atoms nobody knows, an SD file with
atomization energies in kcal/mol, extended XYZ with energies and forces (five shaken geometries a molecule),
and a database as schnetpack writes it. The CSV has QM9's energies (``--qm9``, the .npz of alkit's development
data), else GFN2-xTB's, as the others have, which tblite computes here; ``--schnetpack`` names a database of
somebody else's with the property ``energy``. Prints the commands as they ran, and the MAE on molecules
(geometries, where there is one molecule) that training has not seen, beside the trivial predictors of the
same labels.
"""

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import ase.io
import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.db import connect
from ase.units import Bohr, Hartree, kcal, mol
from rdkit import Chem
from rdkit.Geometry import Point3D
from rich.console import Console
from rich.table import Table
from tblite.interface import Calculator

from alkit.molecules.conformers import embed
from alkit.molecules.enumeration import seed_molecules
from alkit.molecules.free_atoms import ATOM_ENERGIES
from alkit.molecules.molecule import Molecule, with_hydrogens

SHAKEN, A_MOLECULE = 0.03, 5  # Å; geometries
KCAL = kcal / mol
ROW = re.compile(r"^\s*0\s+(\d+)\s+eV\s+([\d.]+)\s+.*?([\d.]+)\s+([\d.]+)\s+([\d.]+)\s*$", re.M)


class Case(NamedTuple):
    """A file, what its owner says of it, and of the training."""

    name: str
    file: str
    says: tuple[str, ...]
    trains: tuple[str, ...] = ()


class Row(NamedTuple):
    """What the three commands gave: labels, MAE in eV, those of trivial predictors, and seconds."""

    case: str
    labels: int
    mae: float
    mean: float
    elements: float
    bonds: float
    seconds: float


def energy_and_forces(numbers: np.ndarray, positions: np.ndarray) -> tuple[float, np.ndarray]:
    """Total energy in eV and forces in eV/Å, by tblite's own interface."""
    calculator = Calculator("GFN2-xTB", numbers, positions / Bohr)
    calculator.set("verbosity", 0)
    result = calculator.singlepoint()
    return float(result.get("energy")) * Hartree, -np.array(result.get("gradient")) * Hartree / Bohr


def molecules(count: int) -> list[Molecule]:
    """The first of alkit's enumeration that have four to seven heavy atoms, in MMFF94 geometries."""
    found = []
    for smiles in seed_molecules():
        heavy = Chem.MolFromSmiles(smiles).GetNumAtoms()
        if 4 <= heavy <= 7 and len(found) < count:
            found.append(embed(smiles, seed=0, conformers=1))
    return found


def write_csv(path: Path, qm9: Path | None, made: list[tuple[Molecule, float]], count: int) -> None:
    if qm9 is None:
        rows = [(one.smiles, energy / Hartree) for one, energy in made]
    else:
        with np.load(qm9, allow_pickle=False) as arrays:
            rows = list(zip(arrays["smiles"][:count].tolist(), arrays["u0"][:count].tolist(), strict=True))
    path.write_text("SMILES,E_tot\n" + "".join(f"{smiles},{energy!r}\n" for smiles, energy in rows))


def write_sdf(path: Path, made: list[tuple[Molecule, float]]) -> None:
    with Chem.SDWriter(str(path)) as writer:
        for one, energy in made:
            record, conformer = with_hydrogens(one.smiles), Chem.Conformer(len(one.numbers))
            conformer.Set3D(True)
            for k, place in enumerate(one.positions):
                conformer.SetAtomPosition(k, Point3D(*place))
            record.AddConformer(conformer)
            atoms = sum(ATOM_ENERGIES["GFN2-xTB"][int(z)] for z in one.numbers)
            record.SetDoubleProp("atomization_kcal", (energy - atoms) / KCAL)
            writer.write(record)


def shaken(made: list[tuple[Molecule, float]], each: int) -> list[Atoms]:
    """Geometries around those given, with their energies and forces."""
    rng, frames = np.random.default_rng(0), []
    for one, _ in made:
        for _ in range(each):
            places = one.positions + rng.normal(0, SHAKEN, one.positions.shape)
            energy, forces = energy_and_forces(one.numbers, places)
            atoms = Atoms(one.numbers, places)
            atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)
            frames.append(atoms)
    return frames


def write_schnetpack(path: Path, frames: list[Atoms]) -> None:
    """As ``ASEAtomsData`` writes it: units in the metadata, numbers in the data of a row."""
    with connect(path) as database:
        database.metadata = {
            "_property_unit_dict": {"energy": "kcal/mol", "forces": "kcal/mol/Ang"},
            "_distance_unit": "Ang",
            "atomrefs": {},
        }
        for atoms in frames:
            energy = np.array([atoms.get_potential_energy() / KCAL])
            data = {"energy": energy, "forces": atoms.get_forces() / KCAL}
            database.write(Atoms(atoms.numbers, atoms.positions), data=data)


def write_files(work: Path, qm9: Path | None, schnetpack: Path | None, count: int) -> list[Case]:
    made = [(one, energy_and_forces(one.numbers, one.positions)[0]) for one in molecules(count)]
    write_csv(work / "totals.csv", qm9, made, count)
    write_sdf(work / "energies.sdf", made)
    ase.io.write(work / "shaken.extxyz", shaken(made[::A_MOLECULE], A_MOLECULE))
    own = schnetpack
    if own is None:
        own = work / "own_md.db"
        write_schnetpack(own, shaken([(embed("CCO", seed=0), 0.0)], 40))
    level = "B3LYP/6-31G(2df,p)" if qm9 else "unknown"
    totals = ("--property", "E_tot=u0", "--unit", "hartree", "--kind", "total", "--references", "fit")
    sdf = ("--property", "atomization_kcal=energy", "--unit", "kcal/mol", "--kind", "atomization")
    gfn2 = ("--level", "GFN2-xTB")
    return [
        Case("CSV, Hartree totals", "totals.csv", (*totals, "--level", level)),
        Case("SDF, a property", "energies.sdf", (*sdf, *gfn2)),
        Case("extxyz, energies and forces", "shaken.extxyz", ("--kind", "total", *gfn2)),
        Case("schnetpack's own_md.db", str(own), ("--kind", "total", *gfn2), ("--forces",)),
    ]


def run(work: Path, *words: str) -> str:
    print(f"$ alkit {shlex.join(words)}", flush=True)
    command = [sys.executable, "-W", "ignore", "-m", "alkit", *words]
    done = subprocess.run(command, cwd=work, env=os.environ, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"exit code {done.returncode}: {done.stderr}")
    return done.stdout


def report_of(case: Case, work: Path) -> Row:
    """The three commands, as anyone would give them."""
    start, name = time.perf_counter(), re.sub(r"\W+", "_", Path(case.file).stem)
    print(run(work, "data", "import", case.file, "--to", f"{name}_imported.db", *case.says).splitlines()[0])
    run(work, "data", "info", f"{name}_imported.db")
    said = run(work, "train", f"{name}_imported.db", "--out", f"{name}_model", *case.trains)
    print(said, flush=True)
    found = ROW.search(said)
    assert found, said
    labels, mae, mean, elements, bonds = found.groups()
    seconds = time.perf_counter() - start
    return Row(case.name, int(labels), float(mae), float(mean), float(elements), float(bonds), seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--qm9", type=Path, help="qm9_12k.npz, for the CSV")
    parser.add_argument("--schnetpack", type=Path, help="a database as schnetpack writes it")
    parser.add_argument("--molecules", type=int, default=250)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="alkit-own-data-") as folder:
        work = Path(folder)
        paths = [path.resolve() if path else None for path in (given.qm9, given.schnetpack)]
        cases = write_files(work, *paths, given.molecules)
        rows = [report_of(case, work) for case in cases]
    table = Table(title="MAE, eV, on what training has not seen")
    for column in ("file", "labels", "MAE", "mean", "elements", "bonds", "seconds"):
        table.add_column(column, justify="left" if column == "file" else "right")
    for row in rows:
        numbers = (row.mae, row.mean, row.elements, row.bonds)
        table.add_row(row.case, str(row.labels), *(f"{one:.3f}" for one in numbers), f"{row.seconds:.0f}")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
