"""The bars on labels: as fast as a bare loop, faster than the xtb program, and none of them wrong in silence.

    python benchmarks/labels.py [--rows rate program many] [--molecules 2500] [--out DIR]

Data: the SMILES of ``qm9_12k.npz``. ``rate``: relaxed GFN2-xTB labels of 18 atoms through the local engine,
two workers, against two processes that loop over the same calculator: with alkit's own relaxation (the
engine's overhead alone) and with ASE's BFGS (what a script would do). ``program``: one process against
``xtb --opt`` from the same geometries, where that program is installed. ``many``: what becomes of so many
SMILES; every label is then judged by what it was not made with: the bonds that the electrons of another
Hamiltonian have in its geometry (Wiberg bond orders of GFN1-xTB above 0.5), and QM9's own energy (B3LYP).
"""

import argparse
import csv
import importlib.util
import multiprocessing
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from accuracy import DATA, ROOT
from ase import Atoms
from ase.io import write
from ase.optimize import BFGS
from ase.units import Hartree
from rdkit import RDLogger
from rdkit.Chem import rdDistGeom
from rich.console import Console
from rich.table import Table

from alkit.datasets.qm9 import ATOMREFS
from alkit.engines import LocalEngine
from alkit.errors import AS_GIVEN, LabelError
from alkit.molecules.conformers import embed
from alkit.molecules.molecule import Molecule, canonical, with_hydrogens
from alkit.reporting.progress import CampaignProgress
from alkit.simulators import Label, SimulatorSpec
from alkit.simulators.base import create_simulator
from alkit.simulators.optimizer import relax
from alkit.simulators.xtb import XTBSimulator

GFN = ("xtb", "tblite")  # the second where it is installed
FMAX, STEPS = 0.01, 300
BONDED = 0.5  # Wiberg bond order: 0.9 and more in a bond, 0.1 and less in a hydrogen bond
OUTLIER = 6.0  # robust standard deviations from QM9's energies


def qm9() -> Iterator[tuple[str, float]]:
    """Canonical SMILES and atomization energies (eV) in the file's order, which is random."""
    with np.load(DATA, allow_pickle=False) as file:
        data = dict(file)
    references = ATOMREFS["energy_U0"]
    ends = np.cumsum(data["n_atoms"])
    for smiles, end, n, u0 in zip(data["smiles"], ends, data["n_atoms"], data["u0"], strict=True):
        atoms = sum(references[int(z)] for z in data["Z"][end - n : end])
        yield canonical(str(smiles)), float(u0) * Hartree - atoms


def of_size(atoms: int, count: int) -> list[Molecule]:
    """Molecules of so many atoms, hydrogens included, placed by MMFF94."""
    found = []
    for smiles, _ in qm9():
        if with_hydrogens(smiles).GetNumAtoms() == atoms:
            try:
                found.append(embed(smiles))
            except LabelError:
                continue
        if len(found) == count:
            break
    return found


def bare(kind: str, molecules: list[Molecule], own: bool) -> None:
    """What a script does: a calculator, an optimizer, the energy."""
    for molecule in molecules:
        atoms = Atoms(molecule.numbers, molecule.positions, calculator=plain_calculator(kind))
        if own:
            relax(atoms, fmax=FMAX, max_steps=STEPS)
        else:
            BFGS(atoms, logfile=None).run(fmax=FMAX, steps=STEPS)
        atoms.get_potential_energy()


def plain_calculator(kind: str) -> Any:
    if kind == "tblite":
        from tblite.ase import TBLite

        return TBLite(method="GFN2-xTB", verbosity=0)
    from xtb.ase.calculator import XTB

    return XTB(method="GFN2-xTB")


def bare_rate(kind: str, molecules: list[Molecule], own: bool) -> float:
    """Labels a second of two processes, each with half of the molecules, started before the clock."""
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        pool.starmap(bare, [(kind, [molecule], own) for molecule in molecules[:2]])
        start = time.perf_counter()
        pool.starmap(bare, [(kind, molecules[::2], own), (kind, molecules[1::2], own)])
        return len(molecules) / (time.perf_counter() - start)


def engine_rate(kind: str, molecules: list[Molecule]) -> float:
    with LocalEngine(energy_of(kind), workers=2, timeout=120) as engine:
        for _ in engine.label_all(molecules[:4]):  # loads the library in both workers
            pass
        start = time.perf_counter()
        done = sum(isinstance(outcome, Label) for _, outcome in engine.label_all(molecules))
        return done / (time.perf_counter() - start)


def by_rate(arguments: Any, progress: CampaignProgress) -> Iterator[dict[str, Any]]:
    molecules = sound(of_size(18, arguments.timed))
    for repeat in range(3):
        for kind in installed():
            # The engine between two bare loops, as the machine may change its pace.
            before = bare_rate(kind, molecules, True)
            ours = engine_rate(kind, molecules)
            own = (before + bare_rate(kind, molecules, True)) / 2
            ase = bare_rate(kind, molecules, False)
            yield {
                "row": f"run {repeat + 1}, {kind}, {len(molecules)} molecules of 18 atoms",
                "engine [1/s]": ours,
                "bare, own relaxation": own,
                "bare, ASE's BFGS": ase,
                "of own (bar 0.95)": ours / own,
                "of ASE's": ours / ase,
            }


def installed() -> list[str]:
    return [kind for kind in GFN if importlib.util.find_spec(kind)]


def energy_of(kind: str) -> SimulatorSpec:
    return SimulatorSpec(kind, {"target": "energy"})


def sound(molecules: list[Molecule]) -> list[Molecule]:
    """Those that get their label at the first attempt: the others a bare loop gets wrong, and no slower."""
    simulator = create_simulator(SimulatorSpec("xtb", {"target": "energy", "recover": False}))

    def labelled(molecule: Molecule) -> bool:
        try:
            simulator.label(molecule)
        except LabelError:
            return False
        return True

    return [molecule for molecule in molecules if labelled(molecule)]


def by_program(arguments: Any, progress: CampaignProgress) -> Iterator[dict[str, Any]]:
    program = shutil.which("xtb")
    if program is None:
        yield {"row": "xtb --opt", "note": "the program xtb is not on PATH: not measured"}
        return
    simulators = {kind: create_simulator(energy_of(kind)) for kind in installed()}
    molecules = sound(of_size(18, arguments.timed))
    for simulator in simulators.values():
        simulator.label(molecules[0])  # loads the library
    for repeat in range(3):
        theirs, cycles = program_rate(program, molecules)
        row: dict[str, Any] = {
            "row": f"run {repeat + 1}, xtb --opt, {len(molecules)} molecules, one process",
            "program [1/s]": theirs,
            "its cycles": cycles,
        }
        for kind, simulator in simulators.items():
            start = time.perf_counter()
            steps = [simulator.label(one).parts["steps"] for one in molecules]
            rate = len(molecules) / (time.perf_counter() - start)
            row[f"{kind} [1/s]"], row[f"{kind}, steps"] = rate, float(np.mean(steps))
            row[f"{kind}, ratio (bar 1.5)"] = rate / theirs
        yield row


def program_rate(program: str, molecules: list[Molecule]) -> tuple[float, float]:
    """Molecules a second, and cycles of each."""
    start, cycles = time.perf_counter(), []
    with tempfile.TemporaryDirectory() as folder:
        for molecule in molecules:
            write(f"{folder}/start.xyz", Atoms(molecule.numbers, molecule.positions))
            output = subprocess.run(
                [program, "start.xyz", "--opt", "--gfn", "2", "--parallel", "1"],
                cwd=folder, capture_output=True, text=True, check=True,
            ).stdout  # fmt: skip
            cycles += [int(found) for found in re.findall(r"CONVERGED AFTER (\d+) ITERATIONS", output)]
    return len(molecules) / (time.perf_counter() - start), float(np.mean(cycles or [np.nan]))


def by_many(arguments: Any, progress: CampaignProgress) -> Iterator[dict[str, Any]]:
    """Outcomes of many SMILES, and an independent judgement of every label."""
    references, outcomes = {}, {}
    for smiles, energy in qm9():
        references.setdefault(smiles, energy)
        if len(references) == arguments.molecules:
            break
    start = time.perf_counter()

    tries = counted_tries()
    retried: set[str] = set()  # ETKDG's first try gave no geometry

    def placed() -> Iterator[Molecule]:
        for smiles in references:
            tries.clear()
            try:
                yield embed(smiles)
            except LabelError as error:
                outcomes[smiles] = error
                advance(1)
            if len(tries) > 1:
                retried.add(smiles)

    with (
        progress,
        progress.steps("labelling", len(references)) as advance,
        LocalEngine(energy_of("xtb"), workers=2, timeout=120) as engine,
    ):
        for molecule, outcome in engine.label_all(placed()):
            outcomes[molecule.smiles] = outcome
            advance(1)
    seconds = time.perf_counter() - start
    labels = {smiles: one for smiles, one in outcomes.items() if isinstance(one, Label)}
    failed = {smiles: one for smiles, one in outcomes.items() if isinstance(one, LabelError)}
    stumbled = {
        smiles: "embedding" if smiles in retried else one.attempts[0].reason
        for smiles, one in outcomes.items()
        if smiles in retried or (one.attempts and one.attempts[0].reason)
    }
    saved = [labels[smiles] for smiles in stumbled if smiles in labels]
    wrong = judged(labels, references)
    yield {
        "row": f"{len(references)} SMILES",
        "labels": len(labels),
        "failed": dict(Counter(one.reason for one in failed.values())),
        "without a reason": sum(not one.reason for one in failed.values()),
        "first attempts failed": dict(Counter(stumbled.values())),
        "recovered (bar 0.90)": len(saved) / max(len(stumbled), 1),
        "by": dict(Counter(last for one in saved if (last := one.attempts[-1].strategy) != AS_GIVEN)),
        "bonds differ": wrong["bonds"],
        "energy differs": wrong["energy"],
        "seconds": seconds,
    }
    write_outcomes(arguments.out / "many.csv", outcomes, references)


def write_outcomes(
    table: Path, outcomes: dict[str, Label | LabelError], references: dict[str, float]
) -> None:
    """One row a SMILES: label, or the reason why there is none, and QM9's energy in eV."""
    with table.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["smiles", "label_eV", "reason", "attempts", "qm9_eV"])
        for smiles, outcome in outcomes.items():
            tries = "; ".join(f"{one.strategy}: {one.reason or 'label'}" for one in outcome.attempts)
            value, reason = (outcome.value, "") if isinstance(outcome, Label) else ("", outcome.reason)
            rows.writerow([smiles, value, reason, tries, references[smiles]])


def counted_tries() -> list[int]:
    """A list that grows by one with every call of RDKit's embedding."""
    tries: list[int] = []
    plain = rdDistGeom.EmbedMultipleConfs

    def counting(*arguments: Any, **settings: Any) -> Any:
        tries.append(1)
        return plain(*arguments, **settings)

    rdDistGeom.EmbedMultipleConfs = counting
    return tries


def judged(labels: dict[str, Label], references: dict[str, float]) -> dict[str, list[str]]:
    """Molecules whose label has other bonds than the SMILES by bond order, or another energy than QM9's."""
    bonds = [smiles for smiles, label in labels.items() if bonds_by_order(label) != bonds_of(smiles)]
    counts = np.array([np.bincount(label.numbers, minlength=10) for label in labels.values()], dtype=float)
    ours = np.array([label.value for label in labels.values()])
    theirs = np.array([references[smiles] for smiles in labels])
    design = np.column_stack([counts[:, counts.any(axis=0)], ours])
    for _ in range(3):  # the fit does not follow the outliers
        weights, *_ = np.linalg.lstsq(design, theirs, rcond=None)
        residual = theirs - design @ weights
        sigma = 1.4826 * np.median(np.abs(residual - np.median(residual)))
        keep = np.abs(residual) < OUTLIER * sigma
        weights, *_ = np.linalg.lstsq(design[keep], theirs[keep], rcond=None)
    residual = theirs - design @ weights
    print(f"QM9's energies from ours: {sigma:.3f} eV is one robust standard deviation")
    energy = [
        f"{smiles} ({error:+.2f} eV)"
        for smiles, error in zip(labels, residual, strict=True)
        if abs(error) > OUTLIER * sigma
    ]
    return {"bonds": bonds, "energy": energy}


def bonds_by_order(label: Label) -> set[tuple[int, int]]:
    atoms = Atoms(label.numbers, label.positions)
    atoms.calc = XTBSimulator(method="GFN1-xTB").new_calculator()
    atoms.get_potential_energy()
    orders = XTBSimulator().bond_orders(atoms)
    return {(int(i), int(j)) for i, j in np.argwhere(np.triu(orders > BONDED, k=1))}


def bonds_of(smiles: str) -> set[tuple[int, int]]:
    """In the order of `embed`."""
    ends = [(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()) for bond in with_hydrogens(smiles).GetBonds()]
    return {(min(pair), max(pair)) for pair in ends}


ROWS: dict[str, Callable[[Any, CampaignProgress], Iterator[dict[str, Any]]]] = {
    "rate": by_rate,
    "program": by_program,
    "many": by_many,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--molecules", type=int, default=2500)
    parser.add_argument("--timed", type=int, default=120, help="Molecules of 18 atoms for the rates.")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "labels")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    RDLogger.DisableLog("rdApp.*")
    console, progress = Console(width=160, markup=False), CampaignProgress(Console(stderr=True))
    for name in arguments.rows:
        table = Table("what", "figure", title=name)
        for row in ROWS[name](arguments, progress):
            for key, value in row.items():
                table.add_row(key, f"{value:.3f}" if isinstance(value, float) else str(value))
            table.add_section()
        console.print(table)


if __name__ == "__main__":
    main()
