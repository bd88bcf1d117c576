"""alkit.simulators.vibrations against ASE's own implementation and against springs solved by hand."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.units import invcm
from ase.vibrations import Vibrations
from threadpoolctl import threadpool_limits

from alkit.molecules.conformers import embed
from alkit.molecules.molecule import Molecule
from alkit.simulators import vibrations
from alkit.simulators.optimizer import relax
from alkit.simulators.xtb import XTBSimulator

xtb = pytest.importorskip("xtb.ase.calculator", reason="xtb has no wheel for this Python")


class Springs(Calculator):
    """Springs (eV/A^2) of natural length 1 between neighbours on a chain."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012 - ASE's own convention

    def __init__(self, strength: float):
        super().__init__()
        self.strength = strength

    def calculate(self, atoms=None, properties=(), system_changes=()) -> None:
        super().calculate(atoms, properties, system_changes)
        x = self.atoms.positions
        forces, energy = np.zeros_like(x), 0.0
        for i in range(len(x) - 1):
            arm = x[i + 1] - x[i]
            length = np.linalg.norm(arm)
            pull = self.strength * (length - 1) * arm / length
            forces[i] += pull
            forces[i + 1] -= pull
            energy += self.strength * (length - 1) ** 2 / 2
        self.results = {"energy": energy, "forces": forces}


@pytest.mark.parametrize(("strength", "sign"), [(30.0, 1), (-30.0, -1)])
def test_a_diatomic_vibrates_as_the_textbook_says(strength: float, sign: int) -> None:
    atoms = Atoms("NO", [[0, 0, 0], [0, 0.6, 0.8]], calculator=Springs(strength))
    modes = vibrations.modes(atoms, vibrations.hessian(atoms, step=1e-4, central=True))
    reduced = np.prod(atoms.get_masses()) / atoms.get_masses().sum()
    expected = sign * 521.4709 * np.sqrt(30.0 / reduced)  # cm-1 of 1 eV/A^2 and 1 amu
    assert modes.energies.shape == (1,)  # straight: five motions of the whole
    assert modes.lowest == pytest.approx(expected, rel=1e-5)
    assert modes.zero_point == pytest.approx(abs(expected) * invcm / 2, rel=1e-5)
    assert np.array_equal(atoms.positions, [[0, 0, 0], [0, 0.6, 0.8]])


def test_an_atom_does_not_vibrate() -> None:
    atoms = Atoms("O", calculator=Springs(1.0))
    modes = vibrations.modes(atoms, vibrations.hessian(atoms, step=1e-3, central=False))
    assert (modes.energies.size, modes.zero_point, modes.lowest) == (0, 0.0, float("inf"))


@pytest.mark.parametrize("smiles", ["N#CC#N", "C#CC#C"])
def test_a_linear_molecule_from_a_bent_start_keeps_its_bends(smiles: str) -> None:
    molecule, found = embed(smiles, geometry="etkdg", seed=0), []
    for seed in (0, 5, 7):  # of which one or the other ends a little bent
        bend = 0.05 * np.random.default_rng(seed).normal(size=molecule.positions.shape)
        start = Molecule(smiles, molecule.numbers, molecule.positions + bend, "given")
        found.append(XTBSimulator(recover=False).label(start).parts["zpve"])
    assert np.ptp(found) < 5e-4


@pytest.mark.parametrize(
    ("smiles", "linear"),
    [
        ("O", False),
        ("OO", False),
        ("N=C=O", False),
        ("O=S=O", False),
        ("FN=NF", False),
        ("OC#CC#CC#CC#C", False),
        ("O=C=O", True),
        ("C#[N+][O-]", True),
        ("C#CC#CC#CC#C", True),
    ],
)
def test_only_what_is_linear_counts_as_linear(smiles: str, linear: bool) -> None:
    label = XTBSimulator(target="energy").label(embed(smiles, geometry="etkdg", seed=0))
    atoms = Atoms(label.numbers, label.positions)
    modes = vibrations.modes(atoms, np.eye(3 * len(atoms)))
    assert len(modes.energies) == 3 * len(atoms) - (5 if linear else 6)


@pytest.mark.parametrize(("smiles", "rigid"), [("O", 6), ("C#C", 5), ("CC=O", 6)])
def test_zero_point_energies_agree_with_ase(smiles: str, rigid: int, tmp_path: Path) -> None:
    molecule = embed(smiles, seed=0)
    atoms = Atoms(molecule.numbers, molecule.positions)
    atoms.calc = xtb.XTB(method="GFN2-xTB", accuracy=1e-3)
    with threadpool_limits(1):
        relax(atoms, fmax=1e-3, max_steps=200)
        oracle = Vibrations(atoms, name=str(tmp_path / "vib"), delta=0.005)
        oracle.run()
        energies = np.sort(oracle.get_energies().real)[rigid:]
        for step, central in ((1e-4, False), (5e-3, True)):
            modes = vibrations.modes(atoms, vibrations.hessian(atoms, step=step, central=central))
            assert len(modes.energies) == 3 * len(atoms) - rigid
            assert modes.zero_point == pytest.approx(energies.sum() / 2, abs=1e-3)
