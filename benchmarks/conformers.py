"""Which conformer did the data set label: rules that guess it from a stereo SMILES, judged by energies.

    python benchmarks/conformers.py [--molecules 100] [--seed 5]

QM9's molecules 0 to 8,999 (``qm9_12k.npz``). Each rule takes one of ten conformers, which GFN2-xTB relaxes.
Its energy is compared with that of the minimum which the data set's own geometry relaxes to. What a rule
leaves is the least error of a surrogate that sees its geometries: no model can know it better. "The mean of
all minima" is no conformer, and what a model that averages over them would see.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from rdkit import Chem, RDLogger
from rdkit.Chem import rdDistGeom, rdForceFieldHelpers
from rich.console import Console
from rich.progress import track
from rich.table import Table

from alkit.errors import AlkitError
from alkit.molecules.conformers import CONFORMERS, molecule_seed
from alkit.molecules.identity import stereoisomer
from alkit.molecules.molecule import with_hydrogens
from alkit.simulators.optimizer import relax
from alkit.simulators.xtb import XTBSimulator
from alkit.threads import one_thread

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "qm9_12k.npz"
DEVELOPMENT = 9000  # molecules; the others test models
SAME = 0.005  # eV: energies of one minimum
ITERATIONS = 2000


def molecules(count: int, seed: int) -> Iterator[tuple[Chem.Mol, NDArray, NDArray]]:
    """Molecules of stereo SMILES with conformers by ETKDG, and the data set's atoms and positions (Å)."""
    with np.load(DATA, allow_pickle=False) as data:
        numbers, positions, names = data["Z"], data["R"], data["smiles"]
        ends = data["n_atoms"].cumsum()
    found = 0
    for i in np.random.default_rng(seed).permutation(DEVELOPMENT):
        own = slice(ends[i - 1] if i else 0, ends[i])
        smiles = stereoisomer(str(names[i]), numbers[own], positions[own])
        if not smiles:
            continue
        molecule = with_hydrogens(smiles)
        parameters: Any = rdDistGeom.ETKDGv3()
        parameters.randomSeed, parameters.maxIterations = molecule_seed(0, smiles), 20
        if not rdForceFieldHelpers.MMFFHasAllMoleculeParams(molecule):
            continue
        if not list(rdDistGeom.EmbedMultipleConfs(molecule, CONFORMERS, parameters)):
            continue
        yield molecule, numbers[own], positions[own]
        found += 1
        if found == count:
            return


def relaxed(numbers: NDArray, positions: NDArray) -> float:
    """eV, GFN2-xTB, at the minimum."""
    atoms = Atoms(numbers, positions, calculator=XTBSimulator().new_calculator())
    with one_thread():
        relax(atoms, fmax=0.02, max_steps=300)
    return float(atoms.get_potential_energy())


def by_mmff(molecule: Chem.Mol, *, charges: bool) -> tuple[NDArray, list[NDArray]]:
    """Energies (kcal/mol) and positions (Å) of the minima of all conformers."""
    copy, energies = Chem.Mol(molecule), []
    properties = rdForceFieldHelpers.MMFFGetMoleculeProperties(copy)
    properties.SetMMFFEleTerm(charges)
    for conformer in copy.GetConformers():
        field = rdForceFieldHelpers.MMFFGetMoleculeForceField(copy, properties, confId=conformer.GetId())
        field.Minimize(maxIts=ITERATIONS)
        energies.append(field.CalcEnergy())
    return np.array(energies), [one.GetPositions() for one in copy.GetConformers()]


def by_uff(molecule: Chem.Mol) -> tuple[NDArray, list[NDArray]]:
    copy = Chem.Mol(molecule)
    ends = rdForceFieldHelpers.UFFOptimizeMoleculeConfs(copy, maxIters=ITERATIONS)
    return np.array([energy for _, energy in ends]), [one.GetPositions() for one in copy.GetConformers()]


def guesses(molecule: Chem.Mol) -> dict[str, float]:
    """Energies in eV by rule."""
    numbers = np.array([atom.GetAtomicNum() for atom in molecule.GetAtoms()])
    energies, places = by_mmff(molecule, charges=True)
    minima = np.array([relaxed(numbers, one) for one in places])
    bare, bare_places = by_mmff(molecule, charges=False)
    uff, uff_places = by_uff(molecule)
    sizes = [((one - one.mean(axis=0)) ** 2).sum() for one in places]
    return {
        "the lowest by GFN2-xTB": float(minima.min()),
        "the lowest by MMFF94": float(minima[energies.argmin()]),
        "the lowest by MMFF94 without charges": relaxed(numbers, bare_places[bare.argmin()]),
        "the first of ETKDG": relaxed(numbers, molecule.GetConformer(0).GetPositions()),
        "the lowest by UFF": relaxed(numbers, uff_places[uff.argmin()]),
        "the most extended": float(minima[np.argmax(sizes)]),
        "the mean of all minima": float(minima.mean()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--molecules", type=int, default=100)
    parser.add_argument("--seed", type=int, default=5)
    arguments = parser.parse_args()
    RDLogger.DisableLog("rdApp.*")
    found: dict[str, list[float]] = defaultdict(list)
    for molecule, numbers, positions in track(
        molecules(arguments.molecules, arguments.seed), total=arguments.molecules
    ):
        try:
            own, others = relaxed(numbers, positions), guesses(molecule)
        except AlkitError as error:
            print(f"{Chem.MolToSmiles(Chem.RemoveHs(molecule))} is left out: {error}")
            continue
        for rule, energy in others.items():
            found[rule].append(energy - own)
    table = Table(title="GFN2-xTB minima from a rule's conformer, against that from the data set's geometry")
    for column in ("conformer", "molecules", "the same", "mean, eV", "mean absolute deviation", "RMS"):
        table.add_column(column, justify="left" if column == "conformer" else "right")
    for rule, listed in found.items():
        apart = np.array(listed)
        about = np.abs(apart - np.median(apart)).mean()
        same = (np.abs(apart) < SAME).mean()
        table.add_row(
            rule, str(len(apart)), f"{same:.0%}", f"{apart.mean():+.4f}", f"{about:.4f}", f"{apart.std():.4f}"
        )
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
